"""The similarity of faces: dot products of their embeddings, on the scale of `models.yaml`.

Embeddings are unit vectors, or plain means of such. No mean is made a unit vector again, which
would raise the similarities of strangers too, and the thresholds would no longer hold.
"""

from __future__ import annotations

import numpy as np

#: To which similarities are rounded before they are compared: how a library blocks a product of
#: matrices changes its last bits, and a decision must not follow.
DIGITS = 6


def similarities(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, M) float64 dot products of (N, D) and (M, D), rounded to DIGITS."""
    return np.round(one.astype(np.float64) @ other.astype(np.float64).T, DIGITS)


def upper_third(scores: np.ndarray, weights: np.ndarray) -> float:
    """The score that more than a third of the weight reaches; of N equal ones the (1 + N // 3)th.

    Other than an average it lets one view in three decide, and no third of the scores, however
    wrong, raises it above what the others say. Raises ValueError without a positive weight.
    """
    if not (weights > 0).any():
        raise ValueError("no score has a weight")
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(weights[order])
    # Sums of rounded numbers: a third that is met exactly is not more than a third.
    first = int(np.argmax(reached > reached[-1] / 3 * (1 + 1e-9)))
    return float(scores[order][first])


def pooled(embeddings: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(D,) float64: the weighted mean of (F, D) embeddings, shorter than a unit vector.

    Raises ValueError without a positive weight.
    """
    total = float(weights.sum())
    if total <= 0:
        raise ValueError("no face has a weight")
    return weights.astype(np.float64) @ embeddings.astype(np.float64) / total
