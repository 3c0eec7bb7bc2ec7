"""Stages 2 and 3 with their networks in the process of a card: same rows, same bytes, same blame.

The card is a stand-in (`bench.simulated_card`, without its sleeps); its process is real.
"""

from __future__ import annotations

import fcntl
import functools
import importlib
import os
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from bench import card_idle
from bench.simulated_card import Card, SimulatedNetwork
from ferrari.common.atomic_files import sha256_file
from ferrari.detection.face_search import FaceNetworks
from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.networks import faces, network, on_device, weight_files
from ferrari.networks.backends import closed_form, onnx_runtime, sam, torch_runtime
from ferrari.networks.backends.fixed_batches import FixedBatches
from ferrari.processes import device_slots, devices
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.failures import Failure
from ferrari.processes.limited_call import run_limited
from ferrari.video import extraction
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
    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "ferrari"))
    monkeypatch.setattr(devices, "cuda_devices", lambda: 1)
    monkeypatch.setattr(torch_runtime, "problem", lambda *_: "")
    monkeypatch.setattr(onnx_runtime, "runtime_problem", lambda *_: "")
    made = Card(0.0, 0.0, 0.0, 0.0, 0.0, 1, True, str(notes))
    for runtime in ("ultralytics", "onnxruntime"):
        monkeypatch.setitem(network._RUNTIMES, runtime, lambda request: Network(made, request))
    return lambda where: monkeypatch.setattr(on_device.OnDevice, "__call__", where)


@pytest.fixture
def weights(tmp_path):
    paths = [tmp_path / "yolo.pt", tmp_path / "isnet.onnx"]
    for path in paths:
        path.write_bytes(b"of the stand-in")
    return paths


def run(clip: Clip, weights, **changed) -> tuple[list[dict], list[dict], dict[str, bytes]]:
    """The rows of both networks' stages, and the files that the second wrote."""
    yolo, *nets = weights
    dataset = clip.dataset
    masks = dataset / f"03_masked/{VIDEO}.csv"
    found = clip.detect(weights=yolo, weights_sha256=sha256_file(yolo), batch=2)
    clip.crop(duplicate_block=0)
    mask_video(
        crops_csv=clip.table("crop"),
        dataset=dataset,
        out_csv=masks,
        weights=nets,
        settings=section(
            "mask",
            **{"segmenter": "isnet", "weights": str(nets[0]), "batch": 2, "person_gate": "off"}
            | changed,
        ),
        subject_class="person",
    )
    files = {p.name: p.read_bytes() for p in sorted((dataset / "03_masked").rglob("*.png"))}
    return found, tables.read_stage(masks, "mask"), files


def same_both_ways(tmp_path, card, count: int, weights, **changed):
    """What `run` gives for `count` frames, in the card's process and in the job's own alike."""
    found = []
    for name, where in (("shared", SHARED), ("own", OWN)):
        card(where)
        clip = Clip(tmp_path / name)
        clip.write(count)
        found.append(run(clip, weights, **changed))
    assert found[0] == found[1]
    return found[0]


def test_the_process_of_a_card_changes_no_row_and_no_byte(tmp_path, card, weights):
    detections, masks, files = same_both_ways(tmp_path, card, 5, weights)
    used = {row["device"] for row in detections + masks}
    assert len(files) == 5 and used == {"cuda simulated"}


def test_the_person_gate_is_in_the_cards_process_a_crops_views_as_one_batch(
    tmp_path, card, weights, monkeypatch
):
    """Parting has no network of its own, and stays with the job."""
    selfie = tmp_path / "selfie.onnx"
    selfie.write_bytes(b"of the stand-in")
    entry = weight_files.table()["models"]["selfie"]
    monkeypatch.setitem(entry, "sha256", sha256_file(selfie))
    gated = {"person_gate": "auto", "max_subject": 1.0}
    _, masks, files = same_both_ways(tmp_path, card, 5, [*weights, selfie], **gated)
    assert len(files) == 5 and {row["person_gate"] for row in masks} == {"selfie"}
    full = sum(span.pictures == 6 for span in card_idle.of_card(tmp_path / "notes"))
    # Ten crops, and five times noise to see that company changes nothing. Views that came one by
    # one would be padded, and make 30 batches in the card's process alone.
    assert 10 <= full < 25


def test_a_short_clip_does_not_pay_for_a_batch_of_a_long_one(tmp_path, card, weights):
    """Of 32 places in the detector's batch a clip of two seconds filled four, and then eight."""
    card(SHARED)
    clip = Clip(tmp_path / "clip")
    clip.write(3)
    clip.detect(weights=weights[0], weights_sha256=sha256_file(weights[0]), batch=32)
    spans = card_idle.of_card(tmp_path / "notes")
    assert {span.pictures for span in spans if span.what == "detector"} == {0, 8}


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
        settings=section(
            "mask", segmenter="isnet", weights=str(weights[1]), batch=2, person_gate="off"
        ),
        subject_class="person",
    )
    masks = tables.read_stage(clip.dataset / f"03_masked/{VIDEO}.csv", "mask")
    assert [row["outcome"] for row in masks] == ["kept", "quarantined", "kept"]
    assert masks[1]["reason"] == "MODEL_CRASHED"


def test_alphas_refined_on_the_card_are_those_of_the_cpu(tmp_path, card, weights, monkeypatch):
    """Torch's CPU stands in for the card; each crop says so where the card did not do it."""

    def load(request):
        (tmp_path / "notes" / f"solves-{os.getpid()}").touch()
        return closed_form.load(replace(request, device="cpu", threads=1))

    monkeypatch.setitem(network._RUNTIMES, network.CLOSED_FORM, load)
    _, masks, files = same_both_ways(tmp_path, card, 2, weights, matting="card")
    assert [(row["refined"], row["detail"]) for row in masks] == [("1", "")] * 2
    solve, segment = (
        {path.name.partition("-")[2] for path in (tmp_path / "notes").glob(f"{kind}-*")}
        for kind in ("solves", "busy")
    )
    assert len(solve) == 2 and solve <= segment, "in the process that has the card, both ways"
    clip = Clip(tmp_path / "cpu")
    clip.write(2)
    _, _, by_cpu = run(clip, weights)
    assert files.keys() == by_cpu.keys()
    for name, png in files.items():
        ours, theirs = (image_files.decode(data, name).astype(int) for data in (png, by_cpu[name]))
        assert np.abs(ours[..., 3] - theirs[..., 3]).max() <= 2


def test_detector_and_faces_of_a_job_without_a_server_share_the_cards_one_slot(
    tmp_path, card, weights, monkeypatch
):
    """Each is in a model process of its own, and so was each one's process of the card."""

    def load(settings, paths, threads, cache, opener):
        net = opener(network.NetworkRequest.of(paths[0], "onnxruntime", "cuda:0", ""))
        about = {"name": "faces", "device": net.about["device"], "weights_sha256": ""}
        return SimpleNamespace(**about, threshold=0.5, net=net)

    def recognise(model, pictures):
        list(model.net.stream([picture for picture, _ in pictures]))
        return [[[] for _ in people] for _, people in pictures]

    monkeypatch.setattr(faces, "load", load)
    monkeypatch.setattr(faces, "recognise", recognise)
    card(SHARED)
    clip = Clip(tmp_path / "clip")
    clip.write(3)
    asked = {"detector": "a", "embedding": "b", "weights": [{}, {"dimensions": 4}]}
    networks = FaceNetworks(asked, [str(weights[1])])
    yolo = {"weights": weights[0], "weights_sha256": sha256_file(weights[0])}
    # In a child that is ended: it waited for ever.
    detect = functools.partial(clip.detect, faces=networks, batch=2, **yolo)
    rows = run_limited(detect, timeout_s=60, memory_mb=None)
    assert not isinstance(rows, Failure), rows
    assert [row["device"] for row in rows] == ["cuda simulated"] * 3
    assert len(list((tmp_path / "notes").glob("busy-*"))) == 2
    with device_slots.hold(device_slots.CUDA, 0, 1):
        pass  # the job gives it back


class StandInTensor(np.ndarray):
    """What is asked of torch's. Its import takes seconds, in each process that reads this file."""

    def float(self):
        return self

    cpu = numpy = float


class StandInSam:
    """Gives the middle of the box, and notes which process it was asked in."""

    def __init__(self, notes):
        self._notes = notes

    def predict(self, image_bgr, bboxes, **options):
        slots = [file.read_text() for file in (self._notes.parent / "ferrari").glob("cuda-*.lock")]
        with open(self._notes / "sam", "a") as stream:
            stream.write(f"{slots == [str(os.getpid())]} {options['device']}\n")
        mask = np.zeros((1, *image_bgr.shape[:2]), np.float32)
        x1, y1, x2, y2 = (round(side) for side in bboxes[0])
        mask[:, y1 + 9 : y2 - 9, x1 + 9 : x2 - 9] = 1
        return [SimpleNamespace(masks=SimpleNamespace(data=mask.view(StandInTensor)))]


def test_sam_is_one_of_the_networks_of_the_cards_process(tmp_path, card, weights, monkeypatch):
    notes = tmp_path / "notes"
    package = SimpleNamespace(SAM=lambda path: StandInSam(notes))
    monkeypatch.setattr(sam, "ultralytics", lambda cache: package)
    for of_torch in ("start", "take"):
        monkeypatch.setattr(torch_runtime, of_torch, lambda *_: None)
    pinned = {"segmenter": "sam", "weights_sha256": sha256_file(weights[0]), "batch": 2}
    _, masks, files = same_both_ways(tmp_path, card, 3, [weights[0], weights[0]], **pinned)
    assert len(files) == 3 and {row["device"] for row in masks} == {"cuda ultralytics"}
    asked = (notes / "sam").read_text().splitlines()
    assert asked == ["True cuda:0"] * 3 + ["False cuda:0"] * 3, "the process that has the slot"


class ShortNetwork(FixedBatches, SimulatedNetwork):
    """On a card that holds one picture at a time, and takes two as long as nobody tries."""

    def __init__(self, card, request):
        FixedBatches.__init__(self, request, 2)
        self._batch = 2  # whatever the machine has
        SimulatedNetwork.__init__(self, card, request)

    def stream(self, images_rgb):
        yield from self.run(list(images_rgb))

    def _compute(self, pictures):
        if len(pictures) > 1:
            raise DeviceMemoryError("CUDA out of memory")
        outputs = list(SimulatedNetwork.stream(self, pictures))
        return [np.stack(each) for each in zip(*outputs, strict=True)]

    def _restart(self):
        pass


def test_rows_say_alike_where_memory_ran_out_whoever_has_the_network(
    tmp_path, card, weights, monkeypatch
):
    made = Card(0.0, 0.0, 0.0, 0.0, 0.0, 1, True, str(tmp_path / "notes"))
    for runtime in ("ultralytics", "onnxruntime"):
        short = functools.partial(ShortNetwork, made)
        monkeypatch.setitem(network._RUNTIMES, runtime, short)
    crops, masks, _ = same_both_ways(tmp_path, card, 5, weights)
    said = {row["detail"] for row in crops + masks}
    assert said == {"GPU memory ran out with 2 at once: batches halved"}


def test_a_clip_is_decoded_on_a_card_under_one_of_its_slots(tmp_path, monkeypatch):
    """For as long as the decoding child runs: so many clips at a time, over all runs."""
    stage = importlib.import_module("01_extract_frames")
    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "ferrari"))
    monkeypatch.setenv("FERRARI_NVDEC", "1")
    taken = []

    def child(*arguments, **_):
        with open(tmp_path / "ferrari/nvdec-0-0.lock", "a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                taken.append(arguments[2].name)
        return Failure("DECODER_CRASHED", "it is no decoder")

    monkeypatch.setattr(stage, "run_limited", child)
    decoders = [pyav_decoder.cuda(0), pyav_decoder.cpu()]
    monkeypatch.setattr(stage, "candidates", lambda *_: (decoders, ""))
    with device_slots.hold("nvdec", 0, 1):
        pass  # the lock's file is there
    monkeypatch.setattr(stage, "CodedClip", SimpleNamespace(of=lambda probed: None))
    settings = {"decoder": "nvdec_first", "fps": 2, "linking_fps": 0}
    settings |= {"timeout_s": 1, "memory_mb": 1}
    (tmp_path / "scratch").mkdir()
    where = ("raw", VIDEO, str(tmp_path), tmp_path / "scratch", tmp_path / "film.mkv", None)
    stage._extract_limited(extraction.Clip(*where, settings, Fraction(1, 25), 1, None), {})
    assert taken == [decoders[0].name]
