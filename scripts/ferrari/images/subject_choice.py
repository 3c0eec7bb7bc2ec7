"""Which of a frame's people is the subject by policy (`detect.policy`), and how crops are
numbered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ferrari.images.boxes import Box, Detection

POLICIES = ("largest", "most_central", "all")


def off_centre(box: Box, width: int, height: int) -> float:
    """Distance of the box's centre from the frame's, as a share of half the diagonal: 0 to 1."""
    dx = (box[0] + box[2] - width) / 2
    dy = (box[1] + box[3] - height) / 2
    return math.hypot(dx, dy) / (math.hypot(width, height) / 2)


def in_order(detections: Sequence[Detection]) -> list[Detection]:
    """Most confident first; ties from left to right: the order in which crops are numbered."""
    return sorted(detections, key=lambda d: (-round(d.confidence, 6), d.box_xyxy))


def figures(rows: Sequence[Mapping[str, str]], policy: str) -> list[float]:
    """The figure of each detection of a frame that a policy compares.

    For `largest` and `most_central` it is the mean over the detection's track, so that the subject
    does not change from frame to frame; else the confidence. A mean and not a sum, because a track
    that was cut at a doubtful link would lose against that of a small bystander who was tracked for
    longer.
    """
    if policy not in POLICIES:
        raise ValueError(f"detect.policy {policy!r} is none of {POLICIES}")
    column = {"largest": "track_area", "most_central": "track_off_centre"}.get(policy, "confidence")
    return [float(row[column]) for row in rows]


def choose(found: Sequence[float], policy: str) -> set[int]:
    """Indices of the subject(s) among the `figures` of a frame's detections; the first wins a
    tie.
    """
    if policy == "all" or not found:
        return set(range(len(found)))
    best = min(found) if policy == "most_central" else max(found)
    return {list(found).index(best)}
