"""Weights that are of a wrong kind are told by their first bytes, sound ones never."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import pytest

from ferrari.common.atomic_files import sha256_path
from ferrari.networks import weight_files, weight_kinds
from ferrari.networks.weight_files import ModelError, UnpinnedPickleError, Weights
from tests.settings import ROOT
from tests.shared import shared

DEMO = ROOT / "models/demo"
ONNX = (DEMO / "face-detector.onnx").read_bytes()
XML = next((DEMO / "person-seg_openvino_model").glob("*.xml")).read_bytes()
PICKLE = pickle.dumps({"weights": 1})
SAFETENSORS = (40).to_bytes(8, "little") + b'{"w":{"dtype":"F32"}}'.ljust(40) + bytes(200)
ENGINE = (60).to_bytes(4, "little") + b'{"stride": 32}'.ljust(60) + b"ftrt" + bytes(200)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def zipped(name: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, b"x" * 100)
    return made.getvalue()


def tarred(name: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return made.getvalue()


TORCH, ZIP = zipped("yolo/data.pkl"), zipped("weights/readme.txt")


def check(path: Path, loader: str, pin: str | None = None) -> None:
    """As before a run: `loader` is yolo, or the name of a segmenter."""
    section, segmenter = ("detect", "isnet") if loader == "yolo" else ("mask", loader)
    config = {"detect": {"backend": "yolo"}, "mask": {"segmenter": segmenter}}
    weight_kinds.require(Weights(path.stem, path, pin), section, config)


@pytest.mark.parametrize(
    ("content", "name", "loader", "said"),
    [
        (b"my notes\n", "own.onnx", "yolo", "is plain text"),
        (b"my notes\n", "own.pt", "yolo", "is plain text"),
        (b"<!DOCTYPE html><p>404", "own.onnx", "isnet", "is an HTML page (a failed download?)"),
        (LFS, "own.onnx", "isnet", "a pointer of Git LFS"),
        (LFS, "own.pt", "yolo", "a pointer of Git LFS"),
        (b"", "own.pt", "sam", "is empty"),
        (ZIP, "own.pt", "yolo", "is a ZIP archive"),
        (ZIP, "own.onnx", "isnet", "is a ZIP archive"),
        (TORCH, "own.onnx", "isnet", "is a PyTorch file"),
        (TORCH, "own.bin", "yolo", "is known as one by the ending .pt alone: rename it"),
        (PICKLE, "own.onnx", "u2net", "is a PyTorch file"),
        (tarred("pickle"), "own.onnx", "u2net", "is a PyTorch file"),  # an old format of torch
        (SAFETENSORS, "own.safetensors", "yolo", "is a safetensors file"),
        (SAFETENSORS, "own.pt", "sam", "is a safetensors file"),
        (b"\x89HDF\r\n\x1a\n" + bytes(99), "own.h5", "isnet", "is an HDF5 file"),
        (b"\x1f\x8b\x08" + bytes(99), "own.onnx", "isnet", "is a gzip archive"),
        (b"\xff\xd8\xff\xe0" + bytes(99), "own.jpg", "isnet", "is a picture"),
        (bytes(range(99)), "own.bin", "yolo", "ends in .bin"),
        (bytes(range(99)), "own.pt", "isnet", "ends in .pt"),
        (ONNX, "own.onnx", "sam", "ends in .onnx"),
        (XML, "own.xml", "yolo", "is an XML file"),
        (XML, "own.xml", "isnet", "lacks its weights, own.bin beside it"),
    ],
)
def test_what_cannot_be_the_weights_is_said_before_any_job(tmp_path, content, name, loader, said):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError) as refused:
        check(path, loader)
    told = str(refused.value)
    assert told.startswith(f"{'detect' if loader == 'yolo' else 'mask'}.weights: {path} ")
    assert said in told and "Give the path of such a file" in told


@pytest.mark.parametrize(
    ("content", "name", "loader"),
    [
        (ONNX, "own.onnx", "yolo"),
        (ONNX, "own.onnx", "isnet"),
        (ONNX, "own.onnx", "ram"),
        (ONNX, "own", "isnet"),
        (ENGINE, "own.engine", "yolo"),
        (bytes(range(99)), "own.tflite", "yolo"),
        (b"\x0a\x05Const" + bytes(99), "own.pb", "isnet"),
        (bytes(99), "own.onnx", "isnet"),  # loading it tells
    ],
)
def test_sound_weights_and_what_is_not_known_pass(tmp_path, content, name, loader):
    path = tmp_path / name
    path.write_bytes(content)
    check(path, loader)


@pytest.mark.parametrize("name", ["own.pt", "own.pth", "own.v2.pt", "own.torchscript"])
@pytest.mark.parametrize("content", [TORCH, PICKLE], ids=["zip", "pickle"])
def test_a_pinned_pickle_passes_and_one_without_a_pin_is_told(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    check(path, "yolo", sha256_path(path))
    with pytest.raises(UnpinnedPickleError, match=r"^detect\.weights: .* set weights_sha256: "):
        check(path, "yolo")
    with pytest.raises(ModelError, match=r"^detect\.weights: .*SHA-256 is .*, expected 0000"):
        check(path, "yolo", "0" * 64)


def test_exports_pass(tmp_path):
    check(DEMO / "person-seg_openvino_model", "yolo")
    (tmp_path / "own.xml").write_bytes(XML)
    (tmp_path / "own.bin").write_bytes(bytes(99))
    check(tmp_path / "own.xml", "isnet")
    for name, loader in (("own.bin", "isnet"), ("own.bin", "yolo"), ("own.xml", "yolo")):
        with pytest.raises(ModelError, match="is a part of an OpenVINO export: name its folder;"):
            check(tmp_path / name, loader)


def test_a_listed_file_that_somebody_put_there_is_told_by_its_size(tmp_path):
    entry = weight_files.table()["models"]["isnet"]
    path = tmp_path / entry["file"]
    weights = Weights("isnet", path, entry["sha256"], entry)
    config = {"detect": {"backend": "yolo"}, "mask": {"segmenter": "isnet"}}
    weight_kinds.require(weights, "mask", config)  # it is fetched
    path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(ModelError, match=r"have 22 bytes and not [\d,]+: it is an HTML page"):
        weight_kinds.require(weights, "mask", config)


def test_the_boxes_of_a_segmenter_are_its_own_setting(tmp_path):
    path = tmp_path / "own.onnx"
    path.write_text("my notes")
    config = {"detect": {"backend": "mask"}, "mask": {"segmenter": "isnet"}}
    with pytest.raises(ModelError, match=r"^mask\.weights: "):
        weight_kinds.require(Weights("own", path), "detect", config)


def test_weights_of_a_segmenter_that_finds_boxes_are_missed_under_its_own_setting(tmp_path):
    config = {
        "detect": {"backend": "mask", "class": "person"},
        "mask": {"segmenter": "isnet", "weights": str(tmp_path / "gone.onnx")},
        "models": {"accept_noncommercial": False},
        "cache": str(tmp_path),
    }
    with pytest.raises(ModelError, match=r"^mask\.weights: there is no file"):
        weight_kinds.fit(config, "detect")


@pytest.mark.real
def test_real_weights_pass():
    check(shared("weights/isnet-general-use.fp16.onnx"), "isnet")
    check(shared("weights/yolo11n_int8_openvino_model"), "yolo")
