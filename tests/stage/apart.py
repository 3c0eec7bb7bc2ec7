"""Run as a program: the demo's network on a generated frame, in a process apart and then here.

    python -m tests.stage.apart CACHE [compare]

Prints the cut-out's overlap with the truth, and raises if asking for it brought a runtime into this
process. With `compare` it asks the detector too, and raises if answers given here differ.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np

from bench import matte_metrics
from ferrari.matting import cutouts
from ferrari.networks import detectors, weight_files
from ferrari.processes import isolated_model, model_verdicts
from tests.generator.demo import demo_specs
from tests.generator.render import render_frame
from tests.settings import section

HEAVY = {"torch", "ultralytics", "openvino", "onnxruntime", "transformers", "numba", "scipy"}
DEMO = {"weights": "demo-person-seg", "image_size": 320, "device": "cpu"}


def main(cache: str, compare: bool) -> None:
    """See the module's docstring."""
    spec = next(iter(demo_specs().values()))
    truth = render_frame(spec, 0)
    detect, mask = section("detect", **DEMO), section("mask", segmenter="yolo-seg", **DEMO)
    weights = [str(weight_files.resolve("demo-person-seg").path)]
    box = tuple(float(value) for value in truth.box_xyxy)
    cuts = cutouts.loader(weights, mask, "person", cache, 1)
    finds = detectors.loader(detect, weights, mask, 1, cache)
    asked = [(cuts, cutouts.HARMLESS, (truth.frame_rgb, box, ()))]
    if compare:
        asked.append((finds, detectors.HARMLESS, truth.frame_rgb))
    apart = []
    for load, harmless, item in asked:
        limits = model_verdicts.Limits.of("mask", mask)
        with isolated_model.Isolated(load, harmless, limits) as model:
            apart.append((dict(model.about), *model.run([harmless, item])))
    for stage in ("02_detect_people", "02_yolo_crop", "03_mask_subject", "05_caption_images"):
        importlib.import_module(stage)
    assert not HEAVY & set(sys.modules), HEAVY & set(sys.modules)
    _, nothing, cutout = apart[0]
    assert nothing.rgba is None
    print(matte_metrics.iou(cutout.rgba[..., 3] / 255, truth.alpha_u8 / 255))
    if compare:
        for (about, _, result), (load, _, item) in zip(apart, asked, strict=True):
            here, run = load()
            assert about == here
            same(result, *run([item]))


def same(apart, here) -> None:
    """Raise unless two answers of stage 2 or 3 are equal to the last bit."""
    if isinstance(here, cutouts.CutOut):
        np.testing.assert_array_equal(apart.rgba, here.rgba)
        assert (apart.share, apart.refined, apart.detail) == (here.share, True, here.detail)
    else:
        assert apart == here and len(here) == 1


if __name__ == "__main__":
    main(sys.argv[1], "compare" in sys.argv[2:])
