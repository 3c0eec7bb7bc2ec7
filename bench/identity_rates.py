"""Figures of recognition: curves, intervals, bounds. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import betaincinv


def upper_bound(wrong: int, of: int, sure: float = 0.95) -> float:
    """The exact one-sided upper bound (Clopper and Pearson) of a rate of which `wrong` were seen.

    0 of 598 gives 0.5 %. 1 without anything seen.
    """
    if not of or wrong >= of:
        return 1.0
    return float(betaincinv(wrong + 1, of - wrong, sure))


def area(own: np.ndarray, others: np.ndarray) -> float:
    """Area under the ROC curve: how often an own score is above another's; ties count half."""
    if not len(own) or not len(others):
        return float("nan")
    order = np.sort(others)
    above = np.searchsorted(order, own, "left") + np.searchsorted(order, own, "right")
    return float(above.mean() / 2 / len(others))


def equal_error(own: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """The rate at which misses and false accepts are nearest to each other, and its threshold."""
    some = np.unique(np.concatenate([own, others]))
    misses = np.searchsorted(np.sort(own), some) / len(own)
    accepts = 1 - np.searchsorted(np.sort(others), some) / len(others)
    at = int(np.argmin(np.abs(misses - accepts)))
    return float((misses[at] + accepts[at]) / 2), float(some[at])


def det(
    own: np.ndarray, others: np.ndarray, thresholds: Sequence[float]
) -> list[tuple[float, float, float]]:
    """Threshold, share of own missed, share of others accepted: a DET curve as a table."""
    return [
        (float(one), float((own < one).mean()), float((others >= one).mean())) for one in thresholds
    ]


def purity_at_recall(
    score: np.ndarray, own: np.ndarray, appearances: int, recall: float
) -> float | None:
    """The best share of own ones among those accepted, where `recall` is reached; None if never.

    `score` (N) of all that could be delivered, -inf of what never is; `own` (N) bool;
    `appearances` is how often the subject is there to be delivered.
    """
    order, ours, accepted = _ranked(score, own)
    reached = ours >= recall * appearances
    return float((ours / accepted)[reached].max()) if len(order) and reached.any() else None


def recall_at_purity(
    score: np.ndarray, own: np.ndarray, appearances: int, purity: float
) -> float | None:
    """The best share of appearances that is delivered, where the accepted are as pure as that."""
    _, ours, accepted = _ranked(score, own)
    pure = ours >= purity * accepted
    return float(ours[pure].max() / appearances) if pure.any() and appearances else None


def _ranked(score: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Order by score, and at each end of equal scores: own ones and all that are accepted."""
    order = np.argsort(-score, kind="stable")
    order = order[np.isfinite(score[order])]
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(order) else order
    return order, np.cumsum(own[order])[ends], ends + 1


def by_clip(
    clips: Sequence[str], figure: Callable[[np.ndarray], float | None], draws: int = 1000
) -> tuple[float, float]:
    """The 95 % interval of a figure, by drawing clips again with replacement.

    `clips` is each item's; `figure` takes places of items. Images of one clip are no independent
    trials, clips nearly are.
    """
    names = sorted(set(clips))
    places = {name: np.flatnonzero(np.array(clips) == name) for name in names}
    rng = np.random.default_rng(20)
    found = []
    for _ in range(draws if names else 0):
        drawn = rng.integers(0, len(names), len(names))
        value = figure(np.concatenate([places[names[i]] for i in drawn]))
        if value is not None and np.isfinite(value):
            found.append(value)
    if not found:
        return float("nan"), float("nan")
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
