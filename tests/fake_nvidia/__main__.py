"""What a machine with its driver makes of clips and networks; see the package's docstring.

python -m tests.fake_nvidia extract DECODER DATASET CLIP...   the rows of each clip
python -m tests.fake_nvidia pictures FOLDER CLIP...           teaches the video engine (see there)
python -m tests.fake_nvidia networks CACHE                    what the demo's networks run on
python -m tests.fake_nvidia devices DEVICE                    where networks would run, or why not
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from ferrari.matting import cutouts
from ferrari.networks import detectors, segmenters, weight_files
from ferrari.processes import devices, isolated_model, model_verdicts
from tests.fake_nvidia import pictures
from tests.generator.demo import demo_specs
from tests.generator.render import render_frame
from tests.settings import section
from tests.stage.clip_run import Run


def extract(decoder: str, dataset: str, *clips: str) -> dict[str, list[dict[str, str]]]:
    """The rows of stage 1 by the clip's name."""
    paths = map(Path, clips)
    return {path.name: Run(Path(dataset)).extract(path, decoder=decoder) for path in paths}


def networks(cache: str) -> dict[str, object]:
    """The demo's network as detector and as segmenter, `device: auto`, on a frame that it knows."""
    truth = render_frame(next(iter(demo_specs().values())), 0)
    box = tuple(float(value) for value in truth.box_xyxy)
    demo = {"weights": "demo-person-seg", "image_size": 320}
    detect, mask = section("detect", **demo), section("mask", segmenter="yolo-seg", **demo)
    weights = [str(weight_files.resolve("demo-person-seg").path)]
    finds = detectors.loader(detect, weights, mask, 1, cache)
    cuts = cutouts.loader(weights, mask, "person", cache, 1)
    limits = model_verdicts.Limits.of("mask", mask)
    with isolated_model.Isolated(finds, detectors.HARMLESS, limits) as detector:
        (found,) = detector.run([truth.frame_rgb])
        detected = {"boxes": len(found), "device": detector.about["device"]}
    with isolated_model.Isolated(cuts, cutouts.HARMLESS, limits) as segmenter:
        (cut,) = segmenter.run([(truth.frame_rgb, box, ())])
        masked = {"share": cut.share, "device": segmenter.about["device"]}
    return {"detect": detected, "mask": masked}


def where(device: str) -> dict[str, str]:
    """By segmenter and kind of weights: the device, or the text of the error."""
    found = {}
    for name, file in (("isnet", "a.onnx"), ("isnet", "a.xml"), ("sam", "a.pt"),
                       ("yolo-seg", "a.onnx"), ("yolo-seg", "a.engine"),
                       ("yolo-seg", "a_openvino_model")):  # fmt: skip
        try:
            found[f"{name} {file}"] = segmenters.place_of(name, [file], device).device
        except devices.DeviceError as error:
            found[f"{name} {file}"] = f"DeviceError: {error}"
    return found


if __name__ == "__main__":
    asked, *arguments = sys.argv[1:]
    answers = {
        "extract": extract,
        "pictures": pictures.teach,
        "networks": networks,
        "devices": where,
        "engines": lambda: devices.nvdec_slots(0),
    }
    print(json.dumps(answers[asked](*arguments)))
