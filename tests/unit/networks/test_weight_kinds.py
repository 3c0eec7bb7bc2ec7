"""Weights that are of a wrong kind are told by what their file says, sound ones never."""

from __future__ import annotations

import io
import json
import pickle
import re
import shutil
import tarfile
import zipfile
from functools import partial
from pathlib import Path

import pytest
import yaml

from ferrari.common.atomic_files import sha256_path
from ferrari.networks import weight_contents, weight_files, weight_kinds
from ferrari.networks.backends import onnx_file
from ferrari.networks.weight_files import ModelError, UnpinnedPickleError, Weights
from tests import settings
from tests.settings import ROOT
from tests.shared import shared
from tests.unit.networks import onnx_files

DEMO = ROOT / "models/demo"
EXPORT = DEMO / "person-seg_openvino_model"
ONNX = (DEMO / "face-detector.onnx").read_bytes()
XML = next(EXPORT.glob("*.xml")).read_bytes()
PICKLE = pickle.dumps({"weights": 1})
SAFETENSORS = (40).to_bytes(8, "little") + b'{"w":{"dtype":"F32"}}'.ljust(40) + bytes(200)
ENGINE = (60).to_bytes(4, "little") + b'{"stride": 32}'.ljust(60) + b"ftrt" + bytes(200)
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"


def zipped(name: str, content: bytes = b"x" * 100) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, content)
    return made.getvalue()


def tarred(name: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return made.getvalue()


def torch_file(model: str = "DetectionModel") -> bytes:
    """The beginning of a pickle as torch and ultralytics write it."""
    return zipped("yolo/data.pkl", b"\x80\x02cultralytics.nn.tasks\n%s\nq" % model.encode())


TORCH, ZIP = torch_file(), zipped("weights/readme.txt")


def config_for(loader: str, named: object = None, **detect: object) -> tuple[str, dict]:
    """The section and the settings that have `named` loaded: `loader` is yolo, or the name of a
    segmenter.
    """
    section, segmenter = ("detect", "isnet") if loader == "yolo" else ("mask", loader)
    config = {
        "detect": settings.section("detect", **detect),
        "mask": settings.section("mask", segmenter=segmenter),
        "models": settings.section("models"),
        "cache": "cache",
    }
    config[section]["weights"] = str(named) if named else None
    return section, config


def check(path: Path, loader: str, pin: str | None = None, **detect: object) -> None:
    """As before a run."""
    section, config = config_for(loader, path, **detect)
    config[section]["weights_sha256"] = pin
    weight_kinds.fit(config, section)


def refusal(path: Path, loader: str, **detect: object) -> str:
    with pytest.raises(ModelError) as refused:
        check(path, loader, **detect)
    return str(refused.value)


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
    told = refusal(path, loader)
    assert told.startswith(f"{'detect' if loader == 'yolo' else 'mask'}.weights: {path} ")
    assert said in told and "Give the path of such a file" in told


@pytest.mark.parametrize(
    ("content", "name", "loader"),
    [
        (ONNX, "own", "isnet"),  # what its first picture shows
        (ENGINE, "own.engine", "yolo"),
        (bytes(range(99)), "own.tflite", "yolo"),
        (b"\x0a\x05Const" + bytes(99), "own.pb", "isnet"),
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


def test_an_export_passes_and_a_part_of_it_is_told(tmp_path):
    check(EXPORT, "yolo")
    check(EXPORT, "yolo-seg")
    (tmp_path / "own.xml").write_bytes(XML)
    (tmp_path / "own.bin").write_bytes(bytes(99))
    for name, loader in (("own.bin", "isnet"), ("own.bin", "yolo"), ("own.xml", "yolo")):
        with pytest.raises(ModelError, match="is a part of an OpenVINO export: name its folder;"):
            check(tmp_path / name, loader)


def test_a_listed_file_that_somebody_put_there_is_told_by_its_size(tmp_path):
    _, config = config_for("isnet")
    config["cache"] = str(tmp_path)
    (weights,) = weight_files.for_segmenter(config["mask"], tmp_path)
    weight_kinds.require(weights, "mask", config)  # it is fetched
    weights.path.parent.mkdir(parents=True)
    weights.path.write_bytes(b"<html>Not found</html>")
    with pytest.raises(ModelError) as early:
        weight_kinds.fit(config, "mask")
    told = f"{weights.path}: its size is 22 bytes, expected 88,188,479 bytes; delete it to have it"
    assert str(early.value).startswith(f"the weights isnet: {told}")
    assert str(early.value).endswith("The file is an HTML page (a failed download?)")
    with pytest.raises(ModelError, match=re.escape(told)):  # the same words as in a job
        weight_files.check_file(weights.path, weights.entry)


def test_the_boxes_of_a_segmenter_are_its_own_setting(tmp_path):
    path = tmp_path / "own.onnx"
    path.write_text("my notes")
    _, config = config_for("isnet", backend="mask")
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


# --- a network for something else ----------------------------------------------------------------


def alpha_net(path: Path, fed=(1, 3, 1024, 1024), given=(1, 1, 1024, 1024), **noted) -> Path:
    """An ONNX file whose outputs are of the shape that is given; None says nothing of it."""
    onnx_files.save(path, [("Identity", ["x"], "y", {})], {}, ["y"], fed, **noted)
    if given is not None:
        model = onnx_file.read(path)
        onnx_file.set_shape(model.graph.output[0], given)
        path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("file", "loader", "said"),
    [
        ("face-detector.onnx", "isnet", "gives 1 x 1600 x 1 for 1 x 3 x 320 x 320, which is no"),
        ("face-detector.onnx", "u2net", "gives 1 x 1600 x 1 for 1 x 3 x 320 x 320, which is no"),
        ("face-embedding.onnx", "isnet", "gives 1 x 64 for 1 x 3 x 64 x 64, which is no alpha"),
        ("face-detector.onnx", "yolo", "does not say which classes it knows"),
        ("face-detector.onnx", "yolo-seg", "does not say which classes it knows"),
        ("person-seg_openvino_model", "isnet", "is a YOLO network (segment)"),
        ("person-seg_openvino_model", "modnet", "is a YOLO network (segment)"),
        ("person-seg_openvino_model", "sam", "is a folder"),
    ],
)
def test_a_network_for_something_else_is_told_before_any_job(file, loader, said):
    told = refusal(DEMO / file, loader)
    name = "detect.backend: yolo" if loader == "yolo" else f"mask.segmenter: {loader}"
    assert f"{DEMO / file} {said}" in told and f"; {name} needs a " in told


@pytest.mark.parametrize(
    ("fed", "given", "said"),
    [
        ((1, 3, 320, 320), (1, 1, 320, 320), "takes pictures of 320 x 320 alone (is it one for "),
        ((1, 3, 512, 512), (1, 1, 512, 512), "takes pictures of 512 x 512 alone; mask.segmenter"),
        ((1, 1024, 1024, 3), None, "takes 1 x 1024 x 1024 x 3, and not the three planes of a"),
        ((1, 64), None, "takes 1 x 64, and not the three planes"),
        ((1, 3, 1024, 1024), (1, 2, 1024, 1024), "gives 1 x 2 x 1024 x 1024 for"),
        ((1, 3, 1024, 1024), (1, 84, 8400), "gives 1 x 84 x 8400 for"),
        ((1, 3, "h", "w"), (1, "n", 1), "gives 1 x ? x 1 for 1 x 3 x ? x ?"),
    ],
)
def test_a_network_that_isnet_s_pictures_do_not_fit_is_told(tmp_path, fed, given, said):
    given = given and tuple(None if isinstance(size, str) else size for size in given)
    assert f"own.onnx {said}" in refusal(alpha_net(tmp_path / "own.onnx", fed, given), "isnet")


@pytest.mark.parametrize(
    ("fed", "given"),
    [
        ((1, 3, 1024, 1024), (1, 1, 1024, 1024)),
        ((1, 3, 1024, 1024), (1, 1, 256, 256)),
        ((1, 3, 1024, 1024), (1, 1024, 1024)),
        ((1, 3, 1024, 1024), None),
        (("n", 3, "h", "w"), (None, 1, None, None)),
        (("n", 3, "h", "w"), None),
        ((-1, 3, 0, 0), (-1, 1, 0, 0)),  # as some exporters say that a size may be any
    ],
)
def test_a_network_that_may_give_an_alpha_passes(tmp_path, fed, given):
    check(alpha_net(tmp_path / "own.onnx", fed, given), "isnet")


def test_a_network_of_one_size_is_no_modnet(tmp_path):
    """Whose pictures have their own shape."""
    one = alpha_net(tmp_path / "own.onnx", (1, 3, 512, 512), (1, 1, 512, 512))
    assert "takes pictures of 512 x 512 alone; mask.segmenter: modnet" in refusal(one, "modnet")
    check(alpha_net(tmp_path / "any.onnx", (1, 3, "h", "w"), (1, 1, None, None)), "modnet")


@pytest.mark.parametrize("notes", [{}, {"names": "none"}], ids=["none", "no names"])
def test_a_cut_off_or_empty_onnx_file_is_told(tmp_path, notes):
    path = tmp_path / "own.onnx"
    whole = alpha_net(path, **notes).read_bytes()
    for content in (whole[:-1], whole[: len(whole) // 2], bytes(99), b"\x07" * 99):
        path.write_bytes(content)
        assert "own.onnx is no ONNX file, or a damaged one (" in refusal(path, "isnet")
    path.write_bytes(onnx_file.empty(13, 8).SerializeToString())
    assert "own.onnx is no ONNX file: there is no network in it" in refusal(path, "isnet")


def test_a_damaged_openvino_graph_is_told(tmp_path):
    path = tmp_path / "own.xml"
    path.with_suffix(".bin").touch()
    path.write_bytes(XML[: len(XML) // 2])
    assert "own.xml is no OpenVINO graph, or a damaged one" in refusal(path, "isnet")
    path.write_text("<net><layers/></net>")
    assert "there is no network in it" in refusal(path, "isnet")


def test_numbers_of_an_openvino_graph_that_are_cut_off_or_missing_are_told(tmp_path):
    folder = yolo_export(tmp_path / "own_openvino_model", "detect")
    check(folder, "yolo")
    numbers = next(folder.glob("*.bin"))
    whole = numbers.read_bytes()
    numbers.write_bytes(whole[:-1])
    told = refusal(folder, "yolo")
    assert f"{numbers} is cut off: it ends 1 bytes too early; detect.backend: yolo needs" in told
    numbers.unlink()
    told = refusal(folder, "yolo")
    assert f"{folder} lacks the numbers of its graph: {numbers.name} is not there;" in told


@pytest.mark.parametrize(
    "content",
    [b"names: {0: person\n- [", bytes(99), b"\xff\xfename"],
    ids=["cut off", "zeros", "no text"],
)
def test_damaged_notes_of_an_export_are_told(tmp_path, content):
    export = yolo_export(tmp_path / "own_openvino_model", "detect")
    (export / "metadata.yaml").write_bytes(content)
    told = refusal(export, "yolo")
    assert "metadata.yaml is damaged, it cannot be read as YAML (" in told
    assert "\n" not in told


def test_a_damaged_graph_beside_sound_notes_is_told(tmp_path):
    export = yolo_export(tmp_path / "own_openvino_model", "detect")
    graph = next(export.glob("*.xml"))
    for content in (XML[: len(XML) // 2], XML.replace(b"<dim>", b"<dim>x")):
        graph.write_bytes(content)
        assert f"{graph.name} is no OpenVINO graph, or a damaged one (" in refusal(export, "yolo")


def yolo_export(path: Path, task: str, **noted: object) -> Path:
    noted = {"names": {0: "person"}, "task": task, **noted}
    if path.suffix == ".engine":
        notes = json.dumps(noted).encode()
        path.write_bytes(len(notes).to_bytes(4, "little") + notes + bytes(99))
        return path
    if path.suffix:
        return alpha_net(path, (1, 3, 64, 64), (1, 84, 8400), **noted)
    shutil.copytree(EXPORT, path)
    (path / "metadata.yaml").write_text(yaml.safe_dump(noted))
    return path


@pytest.mark.parametrize("name", ["own.onnx", "own.engine", "own_openvino_model"])
def test_what_an_export_of_yolo_is_for_counts(tmp_path, name):
    export = partial(yolo_export, tmp_path / name)

    def again(*asked, **noted):
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return export(*asked, **noted)

    check(export("detect"), "yolo")
    assert "gives boxes and no masks" in refusal(tmp_path / name, "yolo-seg")
    assert "knows no class 'dog'; it knows person" in refusal(tmp_path / name, "yolo", **DOG)
    check(again("segment"), "yolo")
    check(tmp_path / name, "yolo-seg")
    for task in ("pose", "obb", "classify"):
        told = refusal(again(task), "yolo")
        assert f"is a YOLO network for another task ({task}); detect.backend: yolo needs" in told


DOG = {"class": "dog"}


@pytest.mark.parametrize(
    ("model", "loader", "said"),
    [
        ("PoseModel", "yolo", "is a YOLO network for another task (pose)"),
        ("ClassificationModel", "yolo", "is a YOLO network for another task (classify)"),
        ("RTDETRDetectionModel", "yolo", "holds RTDETRDetectionModel, and no YOLO network"),
        ("DetectionModel", "yolo-seg", "gives boxes and no masks"),
        ("DetectionModel", "sam", "holds a DetectionModel of ultralytics, and no SAM"),
        ("DetectionModel", "yolo", ""),
        ("SegmentationModel", "yolo", ""),
        ("SegmentationModel", "yolo-seg", ""),
        ("WorldModel", "yolo", ""),
        ("YOLOESegModel", "yolo-seg", ""),
    ],
)
def test_what_a_pytorch_file_of_ultralytics_holds_counts(tmp_path, model, loader, said):
    path = tmp_path / ("sam_b.pt" if loader == "sam" else "own.pt")
    path.write_bytes(torch_file(model))
    pin = sha256_path(path)
    if not said:
        check(path, loader, pin)
        return
    assert f"{path} {said}; " in refusal(path, loader)


def test_weights_of_pytorch_alone_are_no_yolo_network_and_may_be_sam(tmp_path):
    path = tmp_path / "my_sam_b.pt"
    path.write_bytes(zipped("archive/data.pkl", b"\x80\x02ccollections\nOrderedDict\nq"))
    assert "holds no model of ultralytics, and no YOLO network" in refusal(path, "yolo")
    check(path, "sam", sha256_path(path))
    other = path.rename(tmp_path / "my_model.pt")
    assert "has another name than SAM's files" in refusal(other, "sam")


def test_the_names_of_sam_are_those_of_ultralytics():
    from ultralytics.models.sam import build

    assert set(weight_contents.SAM_FILES) == set(build.sam_model_map)


def test_ram_has_as_many_tags_as_its_network_scores(tmp_path):
    path = alpha_net(tmp_path / "ram.onnx", (1, 3, 384, 384), (1, 3))
    assert "RAM's tag list is not at " in refusal(path, "ram")
    tags = tmp_path / weight_files.table()["models"]["ram"]["tags"]
    tags.write_text("person\ndog\n")
    assert "scores 3 tags, but its tag list has 2: the two do not belong" in refusal(path, "ram")
    tags.write_text("person\ndog\ncat\n")
    check(path, "ram")


@pytest.mark.parametrize(
    ("name", "loader", "kind", "instead"),
    [
        ("yunet", "isnet", "face detector", "u2net"),
        ("sface", "isnet", "face embedding", "u2net"),
        ("yolo11n-seg", "isnet", "instance segmenter", "u2net"),
        ("sam2.1_b", "isnet", "prompted segmenter", "u2net"),
        ("yolo11n", "yolo-seg", "detector", "yolo11n-seg"),
        ("isnet", "yolo-seg", "segmenter", "yolo11n-seg"),
        ("isnet", "sam", "segmenter", "mobile_sam"),
        ("isnet", "yolo", "segmenter", "yolo11s"),
        ("ram", "isnet", "tagger", "u2net"),
        ("selfie", "ram", "person segmenter", "ram"),
    ],
)
def test_a_listed_network_for_something_else_is_told_with_those_that_fit(
    name, loader, kind, instead
):
    told = refusal(name, loader)
    assert f".weights: the network {name} is of another kind ({kind}); " in told
    assert instead in told.partition("lists, these are: ")[2].split(", ")


@pytest.mark.parametrize(
    ("name", "loader"),
    [("u2net", "isnet"), ("selfie", "isnet"), ("yolo11n-seg", "yolo"), ("mobile_sam", "sam")],
)
def test_a_listed_network_of_the_kind_passes(name, loader):
    check(name, loader)


def test_every_default_is_of_the_kind_that_its_segmenter_needs():
    for segmenter, entry in weight_files.table()["segmenters"].items():
        section, config = config_for(segmenter, entry["weights"])
        weight_kinds._require_kind(
            weight_files.for_segmenter(config["mask"], "cache")[0], section, config
        )


@pytest.mark.real
def test_real_weights_pass():
    check(shared("weights/isnet-general-use.fp16.onnx"), "isnet")
    check(shared("weights/yolo11n_int8_openvino_model"), "yolo")
    told = refusal(shared("weights/face/face_detection_yunet_2023mar_int8bq.onnx"), "isnet")
    assert "gives 1 x 6400 x 1 for 1 x 3 x 640 x 640, which is no alpha" in told
    told = refusal(shared("weights/face/face_recognition_sface_2021dec_int8bq.onnx"), "isnet")
    assert "gives 1 x 128 for 1 x 3 x 112 x 112, which is no alpha" in told
    told = refusal(shared("weights/isnet-general-use.fp16.onnx"), "u2net")
    assert "takes pictures of 1024 x 1024 alone (is it one for mask.segmenter: isnet" in told
