"""How good tracks are, against the people who are really there.

HOTA: Luiten et al. 2021, "HOTA: A Higher Order Metric for Evaluating Multi-Object Tracking". IDF1:
Ristani et al. 2016, "Performance Measures and a Data Set for Multi-Target, Multi-Camera Tracking".
Both count a person in several tracks as an error. `switches` counts the other one: two people in
one track.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from ferrari.images.boxes import overlap

_ALPHAS = np.arange(0.05, 0.99, 0.05)
_IDF1_OVERLAP = 0.5


@dataclass(frozen=True)
class Labelled:
    """The boxes of one moment, (N, 4) px, each with the number of its person or track."""

    numbers: Sequence[int]
    boxes_xyxy: np.ndarray


@dataclass(frozen=True)
class Hota:
    """Means over the 19 overlaps from 0.05 to 0.95, 0 to 1."""

    hota: float
    detection: float
    association: float


def switches(people: Sequence[int]) -> int:
    """How often two detections in a row of one track, told by person, show two people."""
    return sum(one != other for one, other in pairwise(people))


def idf1(truth: Sequence[Labelled], found: Sequence[Labelled]) -> float:
    """2 IDTP / (boxes of the truth + boxes found), 1 where there are none.

    Each person is given the track, each track the person, with which most boxes agree in all.
    """
    together, people, tracks = _together(truth, found, _IDF1_OVERLAP)
    rows, columns = linear_sum_assignment(together, maximize=True)
    total = people.sum() + tracks.sum()
    return float(2 * together[rows, columns].sum() / total) if total else 1.0


def hota(truth: Sequence[Labelled], found: Sequence[Labelled]) -> Hota:
    """HOTA and its two parts; in a moment, boxes are matched as the paper's authors do.

    That is by overlap times how much the person and the track are together in the whole clip.
    """
    at = [_overlaps(one, other) for one, other in zip(truth, found, strict=True)]
    people, tracks = _numbers(truth), _numbers(found)
    soft = np.zeros((len(people), len(tracks)))
    for one, other, near in zip(truth, found, at, strict=True):
        total = near.sum(0)[None] + near.sum(1)[:, None] - near
        share = np.divide(near, total, out=np.zeros_like(near), where=total > 0)
        np.add.at(soft, np.ix_(_rows(one, people), _rows(other, tracks)), share)
    counts = _counts(truth, people)[:, None] + _counts(found, tracks)[None]
    aligned = soft / np.maximum(counts - soft, 1e-9)
    figures = [_at_alpha(alpha, truth, found, at, aligned, counts) for alpha in _ALPHAS]
    return Hota(*np.mean(figures, axis=0).tolist())


def _at_alpha(alpha, truth, found, at, aligned, counts) -> tuple[float, float, float]:
    """HOTA, DetA and AssA at one overlap."""
    people, tracks = _numbers(truth), _numbers(found)
    matches = np.zeros_like(counts, float)
    for one, other, near in zip(truth, found, at, strict=True):
        rows, columns = _rows(one, people), _rows(other, tracks)
        allowed = near >= alpha - 1e-9
        score = np.where(allowed, near * aligned[np.ix_(rows, columns)] + 1e-9, 0)
        for i, j in zip(*linear_sum_assignment(score, maximize=True), strict=True):
            matches[rows[i], columns[j]] += allowed[i, j]
    hits = matches.sum()
    total = sum(len(one.numbers) for one in (*truth, *found)) - hits
    detection = hits / total if total else 1.0
    shares = matches / np.maximum(counts - matches, 1)
    association = float((matches * shares).sum() / hits) if hits else float(not total)
    return float(np.sqrt(detection * association)), float(detection), association


def _together(truth, found, least: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(people, tracks) moments in which both boxes overlap by `least`; and the boxes of each."""
    people, tracks = _numbers(truth), _numbers(found)
    together = np.zeros((len(people), len(tracks)))
    for one, other in zip(truth, found, strict=True):
        near = _overlaps(one, other) >= least
        np.add.at(together, np.ix_(_rows(one, people), _rows(other, tracks)), near)
    return together, _counts(truth, people), _counts(found, tracks)


def _numbers(labelled: Sequence[Labelled]) -> list[int]:
    return sorted({number for one in labelled for number in one.numbers})


def _rows(one: Labelled, numbers: list[int]) -> list[int]:
    return [numbers.index(number) for number in one.numbers]


def _counts(labelled: Sequence[Labelled], numbers: list[int]) -> np.ndarray:
    everywhere = [number for one in labelled for number in one.numbers]
    return np.array([everywhere.count(number) for number in numbers], float)


def _overlaps(one: Labelled, other: Labelled) -> np.ndarray:
    pairs = [[overlap(tuple(a), tuple(b)) for b in other.boxes_xyxy] for a in one.boxes_xyxy]
    return np.array(pairs, float).reshape(len(one.numbers), len(other.numbers))
