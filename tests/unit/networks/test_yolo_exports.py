"""YOLO exports run through OpenVINO alone: the very boxes and masks that ultralytics gives."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
import pytest

from ferrari.images.boxes import Detection
from ferrari.networks import detectors, segmenters, weight_files
from ferrari.networks.backends import openvino_yolo, ultralytics_runtime, yolo_segmenter
from ferrari.networks.backends.openvino_yolo import UnknownExportError
from ferrari.networks.backends.yolo_finder import YoloDetector, YoloFinder
from ferrari.networks.backends.yolo_postprocessing import (
    Instances,
    Letterbox,
    class_index,
    rows_of_class,
    suppress,
)
from ferrari.networks.network import NetworkRequest, open_here
from ferrari.networks.weight_files import ModelError
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec
from tests.settings import section
from tests.shared import shared
from tests.unit.networks import onnx_files

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "models/demo/person-seg_openvino_model"
CONFIDENCE, IOU = 0.05, 0.6


def finder(runtime, path=DEMO, *, class_name="person", image_size=320, threads=2, **more):
    """What is done around the network of `path`, which `runtime` runs on the CPU."""
    digest = weight_files.digest(path)
    request = NetworkRequest.of(path, runtime, "cpu", digest, threads=threads, **more)
    return YoloFinder(open_here(request), path, class_name, image_size)


def boxes(runtime, frames, path=DEMO, **more):
    """The detections in frames."""
    return YoloDetector(finder(runtime, path, **more), "person", CONFIDENCE, IOU).detect(frames)


def of_ultralytics(path, frames, cache, image_size=320):
    """The detections that ultralytics itself finds, frame by frame."""
    net = ultralytics_runtime.ultralytics(cache).YOLO(os.fspath(path))
    asked = {"classes": [0], "conf": CONFIDENCE, "iou": IOU, "device": "cpu", "verbose": False}
    found = []
    for frame in frames:
        (seen,) = net.predict(frame[..., ::-1].copy(), imgsz=image_size, **asked)
        both = zip(seen.boxes.xyxy.tolist(), seen.boxes.conf.tolist(), strict=True)
        found.append([Detection(tuple(box), confidence, "person") for box, confidence in both])
    return found


@pytest.fixture(scope="module")
def frames():
    """Figures in frames of several shapes, and a picture with nothing in it."""
    shapes = [(240, 320), (320, 180), (97, 333), (64, 64)]
    drawn = []
    for seed, (height, width) in enumerate(shapes):
        figures = (FigureSpec(seed=seed), FigureSpec(seed=50 + seed))
        spec = ClipSpec(seed=seed, width=width, height=height, figures=figures)
        drawn.append(render_frame(spec, 3).frame_rgb)
    return [*drawn, np.full((50, 80, 3), 114, np.uint8), np.full((1, 1, 3), (254, 0, 0), np.uint8)]


def test_the_demos_boxes_are_those_of_ultralytics(frames, tmp_path):
    ours = boxes("openvino-yolo", frames)
    size = [320, 320]
    assert ours == of_ultralytics(DEMO, frames, tmp_path, size)  # to the last bit
    assert sum(map(len, ours)) >= 4


def test_another_runtime_sees_the_same(frames, tmp_path):
    """Of the export through ultralytics' loader: what is done around the network is the same."""
    assert boxes("ultralytics", frames, cache=str(tmp_path)) == boxes("openvino-yolo", frames)
    areas = [(0, 0, frame.shape[1] / 2, frame.shape[0]) for frame in frames]
    alphas = [
        yolo_segmenter.YoloSegmenter(finder(runtime, cache=str(tmp_path)), DEMO).alpha(
            frames, areas
        )
        for runtime in ("openvino-yolo", "ultralytics")
    ]
    for ours, theirs in zip(*alphas, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def weights_of(tmp_path_factory):
    """A .pt of a YOLO that knows nothing: its boxes mean nothing, but the code is the real one."""
    folder = tmp_path_factory.mktemp("weights")

    def make(name):
        package = ultralytics_runtime.ultralytics(folder)
        import torch

        torch.manual_seed(0)
        net = package.YOLO(f"{name}.yaml")
        for module in net.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0  # what one pass over noise shows
        net.model.train()(torch.rand(2, 3, 192, 192))
        for branch in (net.model.model[-1].cv3, getattr(net.model.model[-1], "one2one_cv3", ())):
            for layers in branch:
                torch.nn.init.normal_(layers[-1].weight, 0, 0.2)
                torch.nn.init.normal_(layers[-1].bias, -4, 1)
                layers[-1].bias.data[0] = 0
        net.model.names = {i: "person" if i == 0 else f"class {i}" for i in range(80)}
        net.save(folder / f"{name}.pt")
        return folder / f"{name}.pt"

    return make


@pytest.mark.parametrize(
    "name",
    [
        "yolo11n-seg",
        pytest.param("yolo11n", marks=pytest.mark.slow),
        pytest.param("yolo26n", marks=pytest.mark.slow),
    ],
)
def test_torchs_boxes_are_those_of_ultralytics(weights_of, tmp_path, name):
    """Within a hundredth of a pixel: the project's own letterbox and suppression, on the CPU."""
    path, rng = weights_of(name), np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*shape, 3), np.uint8) for shape in ((90, 160), (200, 120))]
    theirs = of_ultralytics(path, frames, tmp_path)
    for only in ("", "person"):
        digest = weight_files.digest(path)
        request = NetworkRequest.of(
            path, "ultralytics", "cpu", digest, cache=str(tmp_path), class_name=only, threads=2
        )
        net = YoloFinder(open_here(request), path, "person", 320)
        ours = YoloDetector(net, "person", CONFIDENCE, IOU).detect(frames)
        assert list(map(len, ours)) == list(map(len, theirs))
        for one, other in zip(chain(*ours), chain(*theirs), strict=True):
            np.testing.assert_allclose(one.box_xyxy, other.box_xyxy, atol=0.01)
            assert one.confidence == pytest.approx(other.confidence, abs=1e-5)
    assert sum(map(len, theirs)) > 20


def test_a_picture_is_seen_the_same_alone_and_among_others(frames):
    net = YoloDetector(finder("openvino-yolo"), "person", CONFIDENCE, IOU)
    together = net.detect(frames)
    assert [net.detect([frame])[0] for frame in reversed(frames)] == together[::-1]
    assert boxes("openvino-yolo", frames, threads=1) == together


@pytest.mark.real
def test_real_boxes_are_those_of_ultralytics(tmp_path):
    weights = shared("weights/yolo11n_int8_openvino_model")
    pictures = sorted(shared("media/gt/chroma_mdn_man/img").glob("*.jpg"))[:6]
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in pictures]
    frames += [cv2.resize(frames[0], size) for size in ((640, 480), (1280, 720), (200, 700))]
    ours = boxes("openvino-yolo", frames, weights)
    assert ours == of_ultralytics(weights, frames, tmp_path, [640, 640])
    assert sum(map(len, ours)) >= 6


def test_exports_on_the_cpu_need_no_torch(monkeypatch):
    """The child that loads them imports neither: seconds a job, a gigabyte a process."""

    def refuse(*_, **__):
        raise AssertionError("ultralytics was asked")

    monkeypatch.setattr(ultralytics_runtime, "ultralytics", refuse)
    detector = detectors.load(
        section("detect", weights_sha256=None, device="cpu"), [str(DEMO)], {}, 1, "unused"
    )
    assert detector.device.startswith("cpu openvino")
    segmenter = segmenters.load("yolo-seg", DEMO, "cpu", threads=1)
    assert segmenter.device.startswith("cpu openvino")


# --- the parts, without a network -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("image_hw", "size", "stride", "net_hw", "inner_hw", "top_left"),
    [
        ((480, 640), (640, 640), None, (640, 640), (480, 640), (80, 0)),
        ((480, 640), (640, 640), 32, (480, 640), (480, 640), (0, 0)),
        ((1080, 1920), (640, 640), 32, (384, 640), (360, 640), (12, 0)),
        ((100, 33), (320, 320), 32, (320, 128), (320, 106), (0, 11)),
        ((1, 3000), (64, 64), None, (64, 64), (1, 64), (31, 0)),
    ],
    ids=["square", "as it is", "wide", "tall", "thin"],
)
def test_the_letterbox(image_hw, size, stride, net_hw, inner_hw, top_left):
    box = Letterbox.of(image_hw, size, stride)
    assert (box.net_hw, box.inner_hw, (box.top, box.left)) == (net_hw, inner_hw, top_left)
    filled = box.fill(np.full((*image_hw, 3), 9, np.uint8))
    assert filled.shape == (*net_hw, 3)
    assert int((filled == 9).all(axis=2).sum()) == inner_hw[0] * inner_hw[1]
    top, left = top_left
    whole = np.array([[left, top, left + inner_hw[1], top + inner_hw[0]]], np.float32)
    np.testing.assert_allclose(box.to_image(whole)[0], (0, 0, image_hw[1], image_hw[0]), rtol=1e-6)
    beyond = box.to_image(np.array([[-50, -50, 9999, 9999]], np.float32))[0]
    assert beyond.tolist() == [0, 0, image_hw[1], image_hw[0]]


def test_boxes_are_of_the_class_that_scores_highest():
    columns = {  # x, y, w, h, two classes
        "person": (10, 10, 4, 4, 0.9, 0.2),
        "dog": (20, 20, 4, 4, 0.5, 0.6),
        "tie": (30, 30, 4, 4, 0.7, 0.7),
        "faint": (40, 40, 4, 4, 0.3, 0.1),
    }
    output = np.array(list(columns.values()), np.float32).T
    rows = rows_of_class(output, 0, 0.3, 0)
    assert rows[:, :4].tolist() == [[8, 8, 12, 12], [28, 28, 32, 32]]
    assert rows_of_class(output, 1, 0.3, 0)[:, 0].tolist() == [18]


def test_a_box_that_overlaps_a_better_one_is_dropped():
    rows = np.array(
        [[0, 0, 10, 10, 0.5], [0, 0, 10, 8, 0.9], [0, 0, 10, 3, 0.4], [50, 0, 60, 10, 0.6]],
        np.float32,
    )
    assert suppress(rows, 0.6) == [1, 3, 2]
    assert suppress(rows, 0.9) == [1, 3, 0, 2]
    assert suppress(np.zeros((0, 5), np.float32), 0.6) == []
    assert suppress(np.tile(rows[:1], (400, 1)), 1.0) == list(range(300))


def test_an_instance_without_a_pixel_in_its_box_is_none():
    protos = np.full((1, 8, 8), -1, np.float32)
    protos[0, :4] = 1
    box = np.array([[0, 0, 16, 16], [0, 24, 32, 32]], np.float32)
    weights = np.ones((2, 1), np.float32)
    seen = Instances(box, np.ones(2, np.float32), box, (32, 32), weights, protos)
    assert [seen.has_mask(0), seen.has_mask(1)] == [True, False]


# --- exports that are another's business ---------------------------------------------------------


def save_onnx(path: Path, **noted: str) -> Path:
    """An ONNX network of one node, with those notes of its exporter."""
    return onnx_files.save(path, [("Relu", ["x"], "y", {})], {}, ["y"], **noted)


def test_an_onnx_file_says_what_it_is(tmp_path):
    notes = {"names": "{0: 'person', 1: 'dog'}", "task": "detect", "args": "{'nms': False}"}
    path = save_onnx(tmp_path / "net.onnx", **notes)
    assert openvino_yolo.runs(path)
    net = finder("openvino-yolo", path, class_name="dog")
    assert net.about["device"] == "cpu openvino f32"
    with pytest.raises(ModelError, match=r"no class 'cat'.*person, dog"):
        finder("openvino-yolo", path, class_name="cat")
    with pytest.raises(ModelError, match="boxes and no masks"):
        yolo_segmenter.YoloSegmenter(net, path)


@pytest.mark.parametrize(
    "notes",
    [
        {},
        {"names": "{0: 'person'}", "task": "classify"},
        {"names": "{0: 'person'}", "task": "segment"},
        {"names": "{0: 'person'}", "task": "detect", "args": "{'nms': True}"},
    ],
    ids=["no names", "another task", "one output", "with nms"],
)
def test_what_it_cannot_run_is_left_to_ultralytics(tmp_path, monkeypatch, notes):
    path = save_onnx(tmp_path / "net.onnx", **notes)
    with pytest.raises(UnknownExportError):
        finder("openvino-yolo", path)
    asked = []

    def stand_in(request):
        asked.append(request.path)
        raise InterruptedError

    monkeypatch.setattr(ultralytics_runtime, "load", stand_in)
    with pytest.raises(InterruptedError):
        settings = section("detect", weights_sha256=None, device="cpu")
        detectors.load(settings, [str(path)], {}, 1, "unused")
    assert asked == [str(path)]


def test_a_network_that_names_no_classes_is_told_to_be_no_detector():
    """Ultralytics makes up names: they were offered as classes to choose from."""
    made_up = {index: f"class{index}" for index in range(999)}
    with pytest.raises(ModelError, match=r"is hardly a network that finds .*: give an export"):
        class_index(made_up, "person", "isnet.onnx")
    with pytest.raises(ModelError, match=r"it knows cat, dog; set detect.class to one"):
        class_index({0: "cat", 1: "dog"}, "person", "pets.onnx")
    with pytest.raises(ModelError, match=r"it knows kind0, .*kind19 and 60 more; set detect.class"):
        class_index({n: f"kind{n}" for n in range(80)}, "person", "other.onnx")
    assert class_index({0: "person"}, "person", "people.onnx") == 0
