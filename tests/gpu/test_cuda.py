"""The CUDA paths against their CPU twins; `make test-gpu` on a machine with an NVIDIA GPU.

`make check-gpu` takes the networks of the settings, and measures rates.
"""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.images import image_files
from ferrari.networks import detectors, segmenters, weight_files
from ferrari.processes import devices
from ferrari.video.decoding.trust import MOST_LEVELS
from tests.fake_nvidia import clips, outcomes
from tests.generator import faults
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec
from tests.settings import ROOT, section
from tests.stage.clip_run import Run

SPEC = ClipSpec(
    seed=3, width=854, height=480, n_frames=50, figures=(FigureSpec(seed=5, framing="full"),)
)
DEMO = ROOT / "models/demo/person-seg_openvino_model"


@pytest.fixture(autouse=True)
def card():
    if not devices.cuda_devices():
        pytest.skip("the NVIDIA driver shows no device")


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


def test_a_torch_detector_finds_on_the_card_what_it_finds_on_the_cpu(tmp_path):
    """With a YOLO .pt named by FERRARI_YOLO_PT (pinned by the test itself)."""
    import os

    weights = os.environ.get("FERRARI_YOLO_PT")
    if not weights:
        pytest.skip("set FERRARI_YOLO_PT to a YOLO .pt that knows `person`")
    frames = [render_frame(SPEC, index).frame_rgb for index in (0, 20, 40)]
    boxes = {}
    for device in ("cpu", "cuda:0"):
        pin = weight_files.sha256_path(weights)
        settings = section("detect", weights=weights, weights_sha256=pin, device=device)
        net = detectors.load(settings, [weights], section("mask"), 2, str(tmp_path))
        boxes[device] = [[d.box_xyxy for d in found] for found in net.detect(frames)]
    for ours, theirs in zip(boxes["cpu"], boxes["cuda:0"], strict=True):
        assert len(ours) == len(theirs)
        np.testing.assert_allclose(np.array(ours), np.array(theirs), atol=3)


def test_onnxruntime_masks_on_the_card_equal_those_of_the_cpu():
    """With an alpha network in ONNX named by FERRARI_ISNET."""
    import os

    weights = os.environ.get("FERRARI_ISNET")
    if not weights:
        pytest.skip("set FERRARI_ISNET to isnet-general-use.fp16.onnx")
    crop = render_frame(SPEC, 0).frame_rgb
    alphas = [
        next(iter(segmenters.load("isnet", weights, device).alpha([crop], None)))
        for device in ("cpu", "cuda:0")
    ]
    assert np.abs(alphas[0] - alphas[1]).mean() < 0.01
