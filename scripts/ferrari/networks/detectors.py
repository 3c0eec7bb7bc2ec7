"""The seam of stage 2: whatever finds the subject in frames, behind one small interface.

    detector = load(settings, weights, mask_settings=...)
    detections = detector.detect(frames_rgb)

Detections are given from a confidence of `FLOOR` on, so that the row of a frame without a subject
can tell the best confidence; the caller applies `detect.confidence`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from ferrari.common.atomic_files import file_states
from ferrari.images.boxes import Detection
from ferrari.networks import placement, weight_files
from ferrari.networks.backends import yolo_finder
from ferrari.networks.network import Opener, open_here
from ferrari.networks.placement import Place

if TYPE_CHECKING:
    from ferrari.processes.model_process import Load

#: A frame that every sound detector survives.
HARMLESS = np.full((96, 96, 3), 128, np.uint8)
#: Confidence below which a detector's output is noise.
FLOOR = 0.05
_SPECK = 0.002  # of the frame's area: smaller parts of an alpha are no person


@dataclass(frozen=True)
class Detector:
    """A loaded detector: `name`, `device`, `weights_sha256` and

    detect(frames_rgb): for each HxWx3 uint8 RGB frame (all of one size) its Detections from FLOOR
    on. Raises DeviceMemoryError if the GPU's memory does not suffice for the batch.
    """

    name: str
    device: str
    weights_sha256: str
    detect: Callable[[Sequence[np.ndarray]], list[list[Detection]]]


def load(
    settings: Mapping,
    weights: Sequence[str],
    mask_settings: Mapping,
    threads: int,
    cache: str,
    opener: Opener = open_here,
) -> Detector:
    """Load what `detect.backend` names; `weights` are the files that the rule resolved, `opener`
    has the network loaded where it is to run.

    Raises ModelError for weights that are missing, wrong, or pickled and not pinned.
    """
    if settings["backend"] == "mask":
        return _from_segmenter(settings, weights, mask_settings, threads, cache, opener)
    digest = weight_files.require_pinned(weights[0], weight_files.pins(settings["weights_sha256"]))
    place = place_of(settings, weights, mask_settings)
    means = {"batch": settings["batch"], "threads": threads, "cache": cache}
    net = yolo_finder.open_yolo(weights[0], place, digest, opener, settings["class"], **means)
    finder = yolo_finder.YoloFinder(net, weights[0], settings["class"], settings["image_size"])
    confidence = min(FLOOR, settings["confidence"])
    detector = yolo_finder.YoloDetector(finder, settings["class"], confidence, settings["iou"])
    return Detector("yolo", str(net.about["device"]), digest, detector.detect)


def place_of(settings: Mapping, weights: Sequence[str], mask_settings: Mapping) -> Place:
    """Where `load` runs the detector; DeviceError for a device that cannot be had."""
    if settings["backend"] == "mask":
        from ferrari.networks import segmenters

        return segmenters.place_of(mask_settings["segmenter"], weights, settings["device"])
    return placement.of_yolo(weights[0], settings["device"])


def loader(
    settings: Mapping,
    weights: Sequence[str],
    mask_settings: Mapping,
    threads: int,
    cache: str,
    opener: Opener = open_here,
) -> Load:
    """What loads the detector in a process apart (see `isolated_model`), to serve `detect`."""
    asked = (dict(settings), list(weights), dict(mask_settings), threads, cache, opener)
    return partial(_serve, *asked, states=file_states(weights))


def _serve(*asked: Any, states: object) -> tuple[dict[str, str], Callable]:
    """`states`, what the weights look like: a model is not lent to jobs that mean other weights."""
    detector = load(*asked)
    about = {
        "detector": detector.name,
        "weights_sha256": detector.weights_sha256,
        "device": detector.device,
    }
    return about, detector.detect


def _from_segmenter(
    settings: Mapping,
    weights: Sequence[str],
    mask_settings: Mapping,
    threads: int,
    cache: str,
    opener: Opener,
) -> Detector:
    """The subject's box from the segmenter's own alpha, for machines without YOLO weights."""
    from ferrari.networks import segmenters

    asked = segmenters.Asked.of(mask_settings, settings["class"], cache)
    segmenter = segmenters.load(
        mask_settings["segmenter"],
        weights,
        settings["device"],
        replace(asked, batch=settings["batch"]),
        threads=threads,
        cache=cache,
        opener=opener,
    )

    def detect(frames_rgb: Sequence[np.ndarray]) -> list[list[Detection]]:
        return [regions(alpha, settings["class"]) for alpha in segmenter.alpha(frames_rgb, None)]

    return Detector(f"mask:{segmenter.name}", segmenter.device, segmenter.weights_sha256, detect)


def regions(alpha: np.ndarray, class_name: str) -> list[Detection]:
    """Boxes of the connected parts of an HxW alpha (0..1) that lie above one half.

    A part's confidence is its mean alpha; parts below 0.2 % of the frame's area are specks. Parts
    are joined over gaps of 1 % of the longer side first (a strap, a thin wrist).
    """
    height, width = alpha.shape
    solid = (alpha > 0.5).astype(np.uint8)
    reach = max(1, round(max(height, width) * 0.01)) | 1
    joined = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    found = []
    for label in range(1, count):
        x, y, wide, high, size = (int(v) for v in stats[label])
        if size < _SPECK * height * width:
            continue
        inside = (labels[y : y + high, x : x + wide] == label) & (
            solid[y : y + high, x : x + wide] > 0
        )
        confidence = float(alpha[y : y + high, x : x + wide][inside].mean())
        box = (float(x), float(y), float(x + wide), float(y + high))
        found.append(Detection(box, confidence, class_name))
    return found
