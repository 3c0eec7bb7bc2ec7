"""Distances between embeddings: nearest neighbours, and all pairs within a bound.

A distance is the root of the mean squared difference of two embeddings' numbers: 0 for the same
cut-out, 2 to 4 for the next frame, 20 and more for another person. Squares of distances are whole
numbers below 2^24, which float32 holds exactly, so that no order of summing changes a result.
No matrix over all pairs is ever made.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ferrari.curation.embeddings import LENGTH

_BLOCK = 1 << 24  # cells of a block of squared distances (64 MB)


def squared(bound: float) -> float:
    """The square that a distance has in whole numbers: the sum, not the mean."""
    return bound * bound * LENGTH


def distance(square: np.ndarray | float) -> np.ndarray:
    """The distance of a square."""
    return np.sqrt(np.asarray(square, np.float64) / LENGTH)


def squares(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """NxM float32 squared distances of Nx128 and Mx128 embeddings, exact."""
    left, right = left.astype(np.float32), right.astype(np.float32)
    return (left**2).sum(1)[:, None] + (right**2).sum(1)[None] - 2 * (left @ right.T)


def nearest(
    queries: np.ndarray,
    among: np.ndarray,
    own: np.ndarray | None = None,
    apart: tuple[np.ndarray, np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """For each of N queries the place of the nearest of M, and its squared distance.

    `own` are the queries' own places in `among`, which do not count; `apart` are labels of the
    queries and of `among`, and equal labels do not count. Ties go to the first. Place -1 and an
    infinite square where nothing is left. Time N x M; memory a block.
    """
    places = np.full(len(queries), -1, np.int64)
    best = np.full(len(queries), np.inf, np.float32)
    if not len(among):
        return places, best
    step = max(1, _BLOCK // len(among))
    for start in range(0, len(queries), step):
        part = np.s_[start : start + step]
        block = squares(queries[part], among)
        if own is not None:
            block[np.arange(len(block)), own[part]] = np.inf
        if apart is not None:
            block[apart[0][part][:, None] == apart[1][None]] = np.inf
        places[part] = block.argmin(1)
        best[part] = block[np.arange(len(block)), places[part]]
    places[~np.isfinite(best)] = -1
    return places, best


def close_pairs(
    vectors: np.ndarray, bound: float, labels: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Blocks (i, j, squared distance) of all pairs nearer than `bound` whose labels differ.

    i < j within each pair. Exact: the embeddings are sorted along the direction in which they
    differ most, and only those that are near along it are compared.
    """
    if len(vectors) < 2:
        return
    along = _principal(vectors)
    order = np.argsort(along, kind="stable")
    sorted_along, sorted_vectors, sorted_labels = along[order], vectors[order], labels[order]
    reach = np.sqrt(squared(bound)) + 1e-3
    start = 0
    while start < len(order):
        stop = min(len(order), start + 512)
        end = int(np.searchsorted(sorted_along, sorted_along[stop - 1] + reach, "right"))
        for low in range(start, end, 1 << 15):
            high = min(end, low + (1 << 15))
            block = squares(sorted_vectors[start:stop], sorted_vectors[low:high])
            near = block < squared(bound)
            near &= sorted_labels[start:stop, None] != sorted_labels[None, low:high]
            near &= np.arange(start, stop)[:, None] < np.arange(low, high)[None]
            left, right = np.nonzero(near)
            if len(left):
                a, b = order[start + left], order[low + right]
                yield np.minimum(a, b), np.maximum(a, b), block[left, right]
        start = stop


def _principal(vectors: np.ndarray) -> np.ndarray:
    """The embeddings' places along the direction in which a sample of them differs most."""
    return vectors.astype(np.float32) @ axes(vectors, 1)[:, 0]


def axes(vectors: np.ndarray, count: int) -> np.ndarray:
    """128xcount float32: the first principal axes of at most 20,000 embeddings, evenly taken.

    The largest number of each is positive, so that a map is never mirrored.
    """
    sample = vectors[:: max(1, len(vectors) // 20_000)].astype(np.float64)
    centred = sample - sample.mean(0)
    _, found = np.linalg.eigh(centred.T @ centred)
    found = found[:, ::-1][:, :count]
    signs = np.sign(found[np.abs(found).argmax(0), np.arange(count)])
    return (found * signs).astype(np.float32)
