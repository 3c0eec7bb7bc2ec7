"""The CUDA paths against their CPU twins; `make test-gpu` on a machine with an NVIDIA GPU.

`make check-gpu` takes the networks of the settings, and measures rates.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from bench import gpu_steps
from ferrari.images import image_files
from ferrari.matting import closed_form, on_card
from ferrari.networks import detectors, faces, segmenters, weight_files
from ferrari.networks.backends import onnx_runtime, torch_runtime
from ferrari.networks.network import NetworkRequest, open_here
from ferrari.networks.placement import Place
from ferrari.processes import devices
from ferrari.video.decoding.trust import MOST_LEVELS
from tests.fake_nvidia import clips, outcomes
from tests.generator import faults
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec
from tests.settings import ROOT, section
from tests.shared import SHARED
from tests.stage.clip_run import Run
from tests.unit.networks import face_nets

SPEC = ClipSpec(
    seed=3, width=854, height=480, n_frames=50, figures=(FigureSpec(seed=5, framing="full"),)
)


@pytest.fixture(autouse=True)
def card():
    if not devices.cuda_devices():
        pytest.skip("the NVIDIA driver shows no device")
    for ask in (onnx_runtime.runtime_problem, torch_runtime.problem):
        ask(0)  # in a fork, and so before this process has the card itself


pytestmark = pytest.mark.gpu


def test_nvdec_gives_the_frames_of_the_cpu(tmp_path):
    path = faults.good(tmp_path / "clip.mp4", SPEC).path
    pictures = {}
    for choice in ("cpu", "nvdec"):
        run = Run(tmp_path / choice)
        rows = [row for row in run.extract(path, decoder=choice) if row["outcome"] == "kept"]
        pictures[choice] = [image_files.read(run.dataset / row["path"]).astype(int) for row in rows]
        assert {row["decoder"] for row in rows} <= (
            {"pyav-cpu"} if choice == "cpu" else {"pyav-nvdec", "decord-nvdec"}
        )
    assert len(pictures["cpu"]) == len(pictures["nvdec"])
    for ours, theirs in zip(pictures["cpu"], pictures["nvdec"], strict=True):
        assert np.abs(ours - theirs).mean() < 2


@pytest.mark.parametrize("name", clips.KINDS)
def test_each_kind_of_clip_ends_as_on_the_cpu_with_the_pixels_compared(tmp_path, name):
    """Which of them this card decodes is its own affair; what comes of them is not."""
    (path,) = clips.write(tmp_path, name)
    rows = Run(tmp_path / "card").extract(path, decoder="nvdec_first")
    cpu = Run(tmp_path / "cpu").extract(path, decoder="cpu")
    assert [(row["item"], row["outcome"], row["reason"]) for row in rows] == [
        (row["item"], row["outcome"], row["reason"]) for row in cpu
    ]
    print(name, outcomes.words(rows), outcomes.differences(rows, cpu))
    for row in rows:
        if row["decoder"] == "pyav-nvdec":
            assert float(row["proof_difference"]) <= MOST_LEVELS and int(row["proof_frames"])


# --- networks ----------------------------------------------------------------------------------


def weights_at(variable, *places):
    """The weights that a variable names, or those that lie in one of the usual places."""
    found = [os.environ.get(variable), *places]
    for path in filter(None, found):
        if Path(path).exists():
            return str(path)
    pytest.skip(f"set {variable}; nothing lies at {', '.join(map(str, places))}")


@pytest.fixture(scope="module")
def isnet():
    """ISNet in half precision."""
    name = "isnet-general-use.fp16.onnx"
    return weights_at(
        "FERRARI_ISNET", ROOT / "cache/weights/isnet" / name, SHARED / "weights" / name
    )


def opened(path, runtime, device, **more):
    """ISNet as stage 3 opens it."""
    entry = weight_files.table()["models"]["isnet"]["input"]
    scale = {"mean": tuple(entry["mean"]), "std": tuple(entry["std"])}
    digest = weight_files.digest(path)
    asked = {"outputs": (0,), "any_size": True, "batch": 4, **scale, **more}
    return open_here(NetworkRequest.of(path, runtime, device, digest, **asked))


@pytest.fixture(params=["onnxruntime", "torch"])
def runtime(request):
    """A runtime that works on the card."""
    ask = {"onnxruntime": onnx_runtime.runtime_problem, "torch": torch_runtime.problem}
    if why := ask[request.param](0):
        pytest.skip(f"{request.param}: {why}")
    return request.param


def pictures(count, size=(1024, 640)):
    """Frames of a figure, at a size that ISNet takes."""
    high, wide = size
    frames = [render_frame(SPEC, index).frame_rgb for index in range(count)]
    return [cv2.resize(frame, (wide, high)) for frame in frames]


def test_isnets_alpha_on_the_card_is_that_of_the_cpu(isnet, runtime):
    """The same recipe on both: within 2/255, in all but one pixel of a thousand."""
    frames = pictures(3)
    card = [outputs[0].copy() for outputs in opened(isnet, runtime, "cuda:0").stream(frames)]
    cpu = [outputs[0].copy() for outputs in opened(isnet, "openvino", "cpu").stream(frames)]
    for ours, theirs in zip(card, cpu, strict=True):
        assert np.quantile(np.abs(ours.astype(float) - theirs), 0.999) <= 2 / 255


def test_a_picture_on_the_card_is_seen_the_same_whatever_comes_with_it(isnet, runtime):
    net, frames = opened(isnet, runtime, "cuda:0"), pictures(4)
    together = [outputs[0].copy() for outputs in net.stream(frames)]
    for order in ([0], [3, 0], [1, 2, 3, 0]):
        found = net.stream([frames[index] for index in order])
        for index, (output,) in zip(order, found, strict=True):
            assert output.tobytes() == together[index].tobytes()
    for (output,), wanted in zip(opened(isnet, runtime, "cuda:0").stream(frames), together,
                                 strict=True):  # fmt: skip
        assert output.tobytes() == wanted.tobytes(), "the same bytes of a fresh session"


def test_alphas_refined_on_the_card_are_those_of_the_cpu():
    """Within 2/255, and the same bytes of a fresh solver."""
    if why := torch_runtime.problem(0):
        pytest.skip(why)
    for crop in gpu_steps.edges():
        ours, _ = closed_form.solve(*crop)
        first, second = (on_card.solver("cuda:0", open_here)(*crop) for _ in range(2))
        assert first[2] == "" and first[0].tobytes() == second[0].tobytes()
        np.testing.assert_allclose(first[0], ours, rtol=0, atol=2 / 255)


def test_faces_on_the_card_are_those_of_the_cpu(tmp_path, monkeypatch, runtime):
    table = face_nets.entries(tmp_path)
    monkeypatch.setattr(weight_files, "table", lambda: table)
    picture = np.zeros((300, 400, 3), np.uint8)
    picture[80:96, 96:112] = (255, 0, 0)
    picture[200:216, 304:320] = (255, 0, 0)
    items = [(picture, [(40.0, 40.0, 200.0, 280.0), (250.0, 180.0, 390.0, 290.0)])] * 3
    cpu = faces.recognise(face_nets.model(tmp_path), items)
    monkeypatch.setattr(faces, "places_of", lambda *_: [Place("cuda:0", runtime)] * 2)
    model = face_nets.model(tmp_path)
    assert model.device == f"cuda:0 {runtime}"
    card = faces.recognise(model, items)
    for ours, theirs in zip(card, cpu, strict=True):
        assert [len(found) for found in ours] == [len(found) for found in theirs] == [1, 1]
        for (one,), (other,) in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.face.box_xyxy, other.face.box_xyxy, atol=0.1)
            assert one.embedding @ other.embedding > 0.9999
    for (one,), (other,) in zip(card[0], faces.recognise(model, items[:1])[0], strict=True):
        assert one.embedding.tobytes() == other.embedding.tobytes()


def test_yolos_boxes_on_the_card_are_those_of_the_cpu(tmp_path):
    """With a YOLO .pt. Within two pixels: the card computes in half precision."""
    path = weights_at("FERRARI_YOLO_PT", ROOT / "cache/weights/yolo11s/yolo11s.pt")
    if why := torch_runtime.problem(0):
        pytest.skip(why)
    frames = [render_frame(SPEC, index).frame_rgb for index in (0, 20, 40)]
    boxes = {}
    for device in ("cpu", "cuda:0"):
        pin = weight_files.digest(path)
        settings = section("detect", weights=path, weights_sha256=pin, device=device)
        net = detectors.load(settings, [path], section("mask"), 2, str(tmp_path))
        assert net.device.startswith(device.partition(":")[0])
        found = net.detect(frames)
        boxes[device] = [[d.box_xyxy for d in one if d.confidence > 0.35] for one in found]
        alone = net.detect(frames[:1])
        assert alone[0] == found[0], "the same alone and among others"
    for ours, theirs in zip(boxes["cpu"], boxes["cuda:0"], strict=True):
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(np.array(ours), np.array(theirs), atol=2)


def test_what_the_default_networks_hold_is_below_six_gigabytes(isnet, runtime):
    """Of the segmenter alone, at the largest input: its share, and the context."""
    net = opened(isnet, runtime, "cuda:0")
    list(net.stream(pictures(4, (1024, 1024))))
    free, total = card_memory()
    assert total - free < 6e9, "if nothing else has the card"


def test_an_alpha_by_name_says_what_it_ran_on(isnet, runtime):
    net = segmenters.load("isnet", isnet, "cuda:0", segmenters.Asked(aspect=True, batch=4))
    (alpha,) = net.alpha([render_frame(SPEC, 0).frame_rgb])
    assert net.device in ("cuda onnxruntime", "cuda torch")
    assert alpha.shape == (480, 854) and alpha.max() > 0.5


def card_memory():
    """Free and total bytes of the first card, as the driver says."""
    import ctypes

    driver = ctypes.CDLL("libcuda.so.1")
    context, free, total = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t()
    assert driver.cuInit(0) == 0
    assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0) == 0
    assert driver.cuCtxSetCurrent(context) == 0
    assert driver.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total)) == 0
    return free.value, total.value
