"""Stages 2 and 3 with their networks in the process of a card: same rows, same bytes, same blame.

The card is a stand-in (`bench.simulated_card`, without its sleeps); its process is real.
"""

from __future__ import annotations

import fcntl
import importlib
import os
from types import SimpleNamespace

import numpy as np
import pytest

from bench.simulated_card import Card, SimulatedNetwork
from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.networks import network, on_device
from ferrari.networks.backends import onnx_runtime, torch_runtime
from ferrari.processes import device_slots, devices
from ferrari.processes.failures import Failure
from ferrari.video.decoding import pyav_decoder
from tests.settings import section
from tests.stage.people_clip import VIDEO, Clip, picture

mask_video = importlib.import_module("03_mask_subject").mask_video
HOSTILE = np.full((240, 320, 3), (250, 0, 0), np.uint8)
#: Where the networks run: in the card's process, or in that of the job.
SHARED, OWN = on_device.OnDevice.__call__, lambda self, request: network.open_here(request)


class Network(SimulatedNetwork):
    """Ends its process on a picture with the hostile colour in its middle."""

    def stream(self, images_rgb):
        images = list(images_rgb)
        for image in images:
            red, green, _ = image[image.shape[0] // 2, image.shape[1] // 2]
            if red > 240 and green < 10:
                os.abort()
        yield from super().stream(images)


@pytest.fixture
def card(tmp_path, monkeypatch):
    """Sets where networks run."""
    notes = tmp_path / "notes"
    notes.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(devices, "cuda_devices", lambda: 1)
    monkeypatch.setattr(torch_runtime, "problem", lambda *_: "")
    monkeypatch.setattr(onnx_runtime, "runtime_problem", lambda *_: "")
    made = Card(0.0, 0.0, 0.0, 1, True, str(notes))
    for runtime in ("ultralytics", "onnxruntime"):
        monkeypatch.setitem(network._RUNTIMES, runtime, lambda request: Network(made, request))
    return lambda where: monkeypatch.setattr(on_device.OnDevice, "__call__", where)


@pytest.fixture
def weights(tmp_path):
    paths = [tmp_path / "yolo.pt", tmp_path / "isnet.onnx"]
    for path in paths:
        path.write_bytes(b"of the stand-in")
    return paths


def run(clip: Clip, weights) -> tuple[list[dict], list[dict], dict[str, bytes]]:
    """The rows of both networks' stages, and the files that the second wrote."""
    yolo, isnet = weights
    dataset = clip.dataset
    masks = dataset / f"03_masked/{VIDEO}.csv"
    found = clip.detect(weights=yolo, weights_sha256=sha256_file(yolo), batch=2)
    clip.crop(duplicate_block=0)
    mask_video(
        crops_csv=clip.table("crop"),
        dataset=dataset,
        out_csv=masks,
        weights=isnet,
        settings=section("mask", segmenter="isnet", weights=str(isnet), batch=2),
        subject_class="person",
    )
    files = {p.name: p.read_bytes() for p in sorted((dataset / "03_masked").rglob("*.png"))}
    return found, tables.read_stage(masks, "mask"), files


def test_the_process_of_a_card_changes_no_row_and_no_byte(tmp_path, card, weights):
    found = []
    for name, where in (("shared", SHARED), ("own", OWN)):
        card(where)
        clip = Clip(tmp_path / name)
        clip.write(5)
        found.append(run(clip, weights))
    assert found[0] == found[1]
    detections, masks, files = found[0]
    used = {row["device"] for row in detections + masks}
    assert len(files) == 5 and used == {"cuda:0 simulated"}


def test_what_ends_the_process_of_the_card_costs_its_own_rows_alone(tmp_path, card, weights):
    card(SHARED)
    clip = Clip(tmp_path / "clip")
    clip.write(4, lambda ordinal: HOSTILE if ordinal == 2 else picture(ordinal))
    found, masks, _ = run(clip, weights)
    assert [row["reason"] for row in found] == ["", "", "MODEL_CRASHED", ""]
    assert "SIGABRT" in found[2]["detail"] and found[2]["outcome"] == "quarantined"
    assert [row["outcome"] for row in masks] == ["kept"] * 3


def test_a_crop_that_ends_the_process_of_the_card_is_quarantined(tmp_path, card, weights):
    """The box that stage 2 cuts is harmless to the detector, and deadly to the segmenter."""
    card(OWN)
    clip = Clip(tmp_path / "clip")
    clip.write(3)
    run(clip, weights)
    crops = clip.rows("crop")
    path = clip.dataset / crops[1]["path"]
    deadly = np.full_like(image_files.read(path), (250, 0, 0))
    path.write_bytes(image_files.encode_png(deadly))
    crops[1]["sha256"] = sha256_file(path)
    tables.write_stage(clip.table("crop"), "crop", crops)
    card(SHARED)
    mask_video(
        crops_csv=clip.table("crop"),
        dataset=clip.dataset,
        out_csv=clip.dataset / f"03_masked/{VIDEO}.csv",
        weights=weights[1],
        settings=section("mask", segmenter="isnet", weights=str(weights[1]), batch=2),
        subject_class="person",
    )
    masks = tables.read_stage(clip.dataset / f"03_masked/{VIDEO}.csv", "mask")
    assert [row["outcome"] for row in masks] == ["kept", "quarantined", "kept"]
    assert masks[1]["reason"] == "MODEL_CRASHED"


def test_a_clip_is_decoded_on_a_card_under_one_of_its_slots(tmp_path, monkeypatch):
    """For as long as the decoding child runs: so many clips at a time, over all runs."""
    stage = importlib.import_module("01_extract_frames")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("FERRARI_NVDEC", "1")
    taken = []

    def child(*arguments, **_):
        with open(tmp_path / "ferrari/nvdec-0-0.lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                taken.append(arguments[6].name)
        return Failure("DECODER_CRASHED", "it is no decoder")

    monkeypatch.setattr(stage, "run_limited", child)
    decoders = [pyav_decoder.cuda(0), pyav_decoder.cpu()]
    monkeypatch.setattr(stage, "candidates", lambda *_: (decoders, ""))
    with device_slots.hold("nvdec", 0, 1):
        pass  # the lock's file is there
    monkeypatch.setattr(stage, "CodedClip", SimpleNamespace(of=lambda probed: None))
    settings = {"decoder": "nvdec_first", "fps": 2, "timeout_s": 1, "memory_mb": 1}
    (tmp_path / "scratch").mkdir()
    where = ("raw", VIDEO, tmp_path / "scratch", str(tmp_path))
    stage._extract_limited(*where, settings, {"fps": "25"}, 1, None, None)
    assert taken == [decoders[0].name]
