"""How consistent a track is over time: a score of 0 to 1, and one of a clip. Pure arrays.

    score = sqrt(looks x place)

`looks` is the mean similarity of the track's descriptors to their own mean: 1 if nothing changes,
0.46 if one half has nothing of the colours of the other. `place` is the mean over the detections
with two neighbours of

    exp(-d / 0.25)

where d is how far the box lies from where it would be between its neighbours at an even speed, in
its own sides, the mean of its four. An even motion gives 1 whatever its speed, a box that is a
quarter of its sides off 0.37, one that jumps to another person nearly 0.

The score is no proof of identity. It says which tracks should be looked at first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferrari.subject.appearance import similarity

_SIDES_OFF = 0.25


@dataclass(frozen=True)
class Consistency:
    """Of one track: how many detections it has, and both figures, 0 to 1."""

    detections: int
    looks: float
    place: float

    @property
    def score(self) -> float:
        """0 to 1; 1 of a track of one detection, with which nothing can disagree."""
        return math.sqrt(self.looks * self.place)


def of_track(times_s: np.ndarray, boxes_xyxy: np.ndarray, looks: np.ndarray) -> Consistency:
    """Of a track's N >= 1 detections in order: (N,) seconds, (N, 4) px, (N, D) descriptors."""
    times, boxes = np.asarray(times_s, np.float64), np.asarray(boxes_xyxy, np.float64)
    return Consistency(len(times), _looks(np.asarray(looks)), _place(times, boxes))


def of_clip(tracks: Sequence[Consistency]) -> float:
    """The mean score of a clip's detections, each with that of its track; 1 if there are none."""
    total = sum(track.detections for track in tracks)
    return sum(track.detections * track.score for track in tracks) / total if total else 1.0


def _looks(looks: np.ndarray) -> float:
    mean = looks.astype(np.float64).mean(axis=0)
    length = float(np.sqrt((mean**2).sum()))
    return float(similarity(looks, mean[None] / length).mean()) if length else 0.0


def _place(times: np.ndarray, boxes: np.ndarray) -> float:
    if len(times) < 3:
        return 1.0
    before, after = boxes[:-2], boxes[2:]
    share = ((times[1:-1] - times[:-2]) / (times[2:] - times[:-2]))[:, None]
    sides = np.maximum(boxes[1:-1, 2:] - boxes[1:-1, :2], 1e-9)
    off = np.abs(boxes[1:-1] - (before + share * (after - before))) / np.tile(sides, 2)
    return float(np.exp(-off.mean(axis=1) / _SIDES_OFF).mean())
