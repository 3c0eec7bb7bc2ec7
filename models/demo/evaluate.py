"""Measures an exported demo network against truth, on clips that it was not trained on.

    python -m models.demo.evaluate models/demo/person-seg_openvino_model [--clips 30]

As in the pipeline the network is used twice: on the whole frame for the box, then on the padded
crop around that box for the mask. Frames go through a JPEG round trip, standing in for the codec.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from ultralytics import YOLO
from ultralytics.utils import ops

from models.demo import data
from tests.generator import ClipSpec, render_frame
from tests.generator.demo import demo_specs, no_subject_spec

PAD = 0.08
CONFIDENCE = 0.25


def box_iou(a, b) -> float:
    """Intersection over union of two xyxy boxes."""
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return float(w * h / (areas - w * h))


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boolean masks; 1.0 if both are empty."""
    union = np.logical_or(a, b).sum()
    return float(np.logical_and(a, b).sum() / union) if union else 1.0


def detect(model: YOLO, frame_rgb: np.ndarray, size: int) -> tuple[np.ndarray, float]:
    """The most confident box (xyxy, or zeros) and its confidence (0 without one); floor 0.01."""
    found = model.predict(frame_rgb[..., ::-1], imgsz=size, conf=0.01, verbose=False)[0].boxes
    if len(found) == 0:
        return np.zeros(4), 0.0
    best = int(found.conf.argmax())
    return found.xyxy[best].cpu().numpy(), float(found.conf[best])


def segment(model: YOLO, crop_rgb: np.ndarray, size: int, cut: bool = True) -> np.ndarray:
    """The mask (bool HxW) of the largest figure that the network sees in a crop.

    Ultralytics cuts a mask at the predicted box; without `cut` it is left whole.
    """
    cutter = ops.crop_mask if cut else _whole
    with mock.patch.object(ops, "crop_mask", cutter):
        found = model.predict(
            crop_rgb[..., ::-1], imgsz=size, conf=0.05, retina_masks=True, verbose=False
        )[0]
    if found.masks is None:
        return np.zeros(crop_rgb.shape[:2], bool)
    masks = found.masks.data.cpu().numpy() > 0.5
    return masks[int(masks.sum(axis=(1, 2)).argmax())]


def _whole(masks, _boxes):
    return masks


def padded(box, width: int, height: int) -> tuple[int, int, int, int]:
    """The box grown by `PAD` of its size on each side, within the frame, in whole pixels."""
    x0, y0, x1, y1 = box
    dx, dy = PAD * (x1 - x0), PAD * (y1 - y0)
    left, top = int(max(0, x0 - dx)), int(max(0, y0 - dy))
    return left, top, int(min(width, np.ceil(x1 + dx))), int(min(height, np.ceil(y1 + dy)))


def coded(frame_rgb: np.ndarray) -> np.ndarray:
    """The frame after JPEG at quality 85."""
    made = cv2.imencode(".jpg", frame_rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return np.ascontiguousarray(cv2.imdecode(made, cv2.IMREAD_COLOR)[..., ::-1])


def frames(specs: list[ClipSpec], each: int) -> Iterator[tuple]:
    """`each` evenly spread frames of every clip: (picture, truth)."""
    for spec in specs:
        for index in np.linspace(0, spec.n_frames - 1, each).astype(int):
            drawn = render_frame(spec, int(index))
            yield coded(drawn.frame_rgb), drawn


def unseen_specs(clips: int) -> tuple[list[ClipSpec], list[ClipSpec]]:
    """Random clips with one figure, and as many without, from seeds that training never uses."""
    rng, single, empty = np.random.default_rng(data.FIRST_VAL_SEED), [], []
    while len(single) < clips or len(empty) < clips:
        spec = data.random_spec(rng)
        if len(spec.figures) == 1 and len(single) < clips:
            single.append(spec)
        elif len(empty) < clips:
            empty.append(replace(spec, figures=()))
    return single, empty


def measure_set(model: YOLO, specs, empty, each: int, size: int) -> dict[str, float]:
    """Recall, IoUs and false alarms over the given clips."""
    confidences, boxes, masks, whole, alarms = [], [], [], [], []
    for frame_rgb, truth in frames(specs, each):
        box, confidence = detect(model, frame_rgb, size)
        confidences.append(confidence)
        if confidence < CONFIDENCE:
            continue
        boxes.append(box_iou(box, truth.box_xyxy))
        x0, y0, x1, y1 = padded(box, frame_rgb.shape[1], frame_rgb.shape[0])
        crop_rgb = np.ascontiguousarray(frame_rgb[y0:y1, x0:x1])
        solid = truth.alpha_u8[y0:y1, x0:x1] >= 128
        masks.append(mask_iou(segment(model, crop_rgb, size), solid))
        whole.append(mask_iou(segment(model, crop_rgb, size, cut=False), solid))
    for frame_rgb, _ in frames(empty, each):
        alarms.append(detect(model, frame_rgb, size)[1])
    return {
        "frames": len(confidences),
        "box_recall": float(np.mean(np.asarray(confidences) >= CONFIDENCE)),
        "least_confidence": min(confidences),
        "box_iou_mean": float(np.mean(boxes)),
        "box_iou_least": min(boxes),
        "mask_iou_mean": float(np.mean(masks)),
        "mask_iou_least": min(masks),
        "mask_iou_mean_uncut": float(np.mean(whole)),
        "mask_iou_least_uncut": min(whole),
        "empty_frames": len(alarms),
        "false_alarms": int(np.sum(np.asarray(alarms) >= CONFIDENCE)),
        "highest_confidence_on_empty": max(alarms),
    }


def measure(folder: Path, clips: int = 30, each: int = 4, size: int = 320) -> dict[str, dict]:
    """Figures over unseen random clips and over the demo's clips of three seeds."""
    model = YOLO(str(folder), task="segment")
    single, empty = unseen_specs(clips)
    demo = [spec for seed in range(3) for spec in demo_specs(seed).values()]
    nobody = [no_subject_spec(seed) for seed in range(3)]
    return {
        "unseen": measure_set(model, single, empty, each, size),
        "demo": measure_set(model, demo, nobody, 2 * each, size),
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--each", type=int, default=4, help="frames a clip")
    parser.add_argument("--size", type=int, default=320, help="longest side given to the network")
    args = parser.parse_args()
    print(json.dumps(measure(args.folder, args.clips, args.each, args.size), indent=2))


if __name__ == "__main__":
    main()
