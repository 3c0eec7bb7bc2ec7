"""Boxes of detections, and what is cut around them. Pure arithmetic.

A box is (x1, y1, x2, y2) in pixels of the upright frame, x2 and y2 exclusive.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Detection:
    """One detected instance in a frame."""

    box_xyxy: Box
    confidence: float
    class_name: str


def area(box: Box) -> float:
    """Area in px2."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def short_side(box: Box) -> float:
    """The shorter side in px."""
    return min(box[2] - box[0], box[3] - box[1])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1; 0 if both are empty."""
    common = shared(one, other)
    union = area(one) + area(other) - common
    return common / union if union else 0.0


def shared(one: Box, other: Box) -> float:
    """Area in px2 of what two boxes have in common."""
    left, top = max(one[0], other[0]), max(one[1], other[1])
    return area((left, top, min(one[2], other[2]), min(one[3], other[3])))


def moved(box: Box, right: float, down: float) -> Box:
    """The box so many pixels further to the right and down."""
    return box[0] + right, box[1] + down, box[2] + right, box[3] + down


def clip(box: Box, width: int, height: int) -> Box:
    """The part of a box that lies in the frame."""
    x1, x2 = (min(max(x, 0.0), float(width)) for x in (box[0], box[2]))
    y1, y2 = (min(max(y, 0.0), float(height)) for y in (box[1], box[3]))
    return x1, y1, x2, y2


def padded(box: Box, pad: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Whole pixels around a box with a margin of `pad` x its longer side, inside the frame."""
    margin = pad * max(box[2] - box[0], box[3] - box[1])
    return (
        max(0, math.floor(box[0] - margin)),
        max(0, math.floor(box[1] - margin)),
        min(width, math.ceil(box[2] + margin)),
        min(height, math.ceil(box[3] + margin)),
    )


def bounds(mask: np.ndarray, margin: int) -> tuple[int, int, int, int]:
    """Top, bottom, left, right (end exclusive) of the true cells, widened by `margin`."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    height, width = mask.shape
    return (
        max(0, int(rows[0]) - margin),
        min(height, int(rows[-1]) + 1 + margin),
        max(0, int(columns[0]) - margin),
        min(width, int(columns[-1]) + 1 + margin),
    )


def subject_box(alpha: np.ndarray) -> tuple[int, int, int, int] | None:
    """x1, y1, x2, y2 (end exclusive) of alpha >= 0.5 (or 128 in uint8); None if there is none."""
    inside = alpha >= (128 if alpha.dtype == np.uint8 else 0.5)
    if not inside.any():
        return None
    top, bottom, left, right = bounds(inside, margin=0)
    return left, top, right, bottom
