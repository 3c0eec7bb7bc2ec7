"""Which of a frame's detections is the subject (`detect.policy`), and in which order they count."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ferrari.images.boxes import Box, Detection, area

POLICIES = ("largest", "most_central", "all")


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
