"""Assignment: pairs with the largest sum of gains, each item in one pair at most. Pure arrays."""

from __future__ import annotations

import numpy as np


def best_pairs(gains: np.ndarray) -> list[tuple[int, int]]:
    """The (row, column) of (R, C) float gains, 0 or more, whose sum is the largest, by row.

    A gain of 0 is no pair. Of two at most the best is looked up; for more there is SciPy, whose
    import takes a job that is no fork of the run's server 0.7 s of a core, and most clips show
    nobody or few.
    """
    rows, columns = (np.flatnonzero(gains.any(axis=axis)) for axis in (1, 0))
    left = gains[np.ix_(rows, columns)]
    if not left.size:
        return []
    if min(left.shape) > 2:
        pairs = _of_many(left)
    elif len(rows) <= len(columns):
        pairs = _of_two(left)
    else:
        pairs = sorted((row, column) for column, row in _of_two(left.T))
    return [(int(rows[row]), int(columns[column])) for row, column in pairs if left[row, column]]


def _of_two(gains: np.ndarray) -> list[tuple[int, int]]:
    """The best pairs of one row or two, with as many columns or more."""
    if len(gains) == 1:
        return [(0, int(gains[0].argmax()))]
    sums = gains[0][:, None] + gains[1]
    np.fill_diagonal(sums, -1.0)  # both in one column
    first, second = divmod(int(sums.argmax()), gains.shape[1])
    return [(0, first), (1, second)]


def _of_many(gains: np.ndarray) -> list[tuple[int, int]]:
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(gains, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))
