"""Boxes of detections: which one is the subject, and what is cut around it. Pure arithmetic.

A box is (x1, y1, x2, y2) in pixels of the upright frame, x2 and y2 exclusive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]
POLICIES = ("largest", "most_central", "all")


@dataclass(frozen=True)
class Detection:
    """One detected instance in a frame."""

    box_xyxy: Box
    confidence: float
    class_name: str


def area(box: Box) -> float:
    """Area in px2."""
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def off_centre(box: Box, width: int, height: int) -> float:
    """Distance of the box's centre from the frame's, as a share of half the diagonal: 0 to 1."""
    dx = (box[0] + box[2] - width) / 2
    dy = (box[1] + box[3] - height) / 2
    return math.hypot(dx, dy) / (math.hypot(width, height) / 2)


def in_order(detections: Sequence[Detection]) -> list[Detection]:
    """Most confident first; ties from left to right: the order in which crops are numbered."""
    return sorted(detections, key=lambda d: (-round(d.confidence, 6), d.box_xyxy))


def choose(
    detections: Sequence[Detection], policy: str, width: int, height: int
) -> tuple[set[int], list[float]]:
    """Indices of the subject(s) under a policy, and the figure by which each was judged.

    The figure is the box's area in px2 for `largest`, its distance from the centre for
    `most_central` (smaller is better) and the confidence for `all`.
    """
    if policy == "all":
        return set(range(len(detections))), [d.confidence for d in detections]
    if policy == "largest":
        figures = [area(d.box_xyxy) for d in detections]
        best = max(figures, default=0.0)
    elif policy == "most_central":
        figures = [off_centre(d.box_xyxy, width, height) for d in detections]
        best = min(figures, default=0.0)
    else:
        raise ValueError(f"detect.policy {policy!r} is none of {POLICIES}")
    return ({figures.index(best)} if detections else set()), figures


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
