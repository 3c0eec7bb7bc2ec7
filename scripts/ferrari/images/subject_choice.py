"""Which of a frame's people is the subject (`detect.policy`), and in which order they count."""

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
    """What each detection of a frame is judged by under a policy.

    For `largest` and `most_central` it is the mean over its track, so that the subject is not
    another one from frame to frame; else its confidence. A mean, and no sum: a track that was cut
    where it was in doubt would lose against that of a small bystander who was followed longer.
    """
    if policy not in POLICIES:
        raise ValueError(f"detect.policy {policy!r} is none of {POLICIES}")
    column = {"largest": "track_area", "most_central": "track_off_centre"}.get(policy, "confidence")
    return [float(row[column]) for row in rows]


def choose(found: Sequence[float], policy: str) -> set[int]:
    """Indices of the subject(s) among the `figures` of a frame's detections; a tie goes to the
    first.
    """
    if policy == "all" or not found:
        return set(range(len(found)))
    best = min(found) if policy == "most_central" else max(found)
    return {list(found).index(best)}
