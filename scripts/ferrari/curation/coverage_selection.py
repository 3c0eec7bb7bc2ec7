"""Which cut-outs to keep where the budget is smaller than the set: those that cover it.

Cut-outs are sorted into cells (framing, facing, side, light). The budget is shared out over the
cells by the square roots of their sizes, so that rare cells keep their part. Within a cell, the
next cut-out taken is the one whose embedding is farthest from those already taken; the more its
clip has given already, the less its distance counts. Nothing is random. Time: the sum over the
cells of candidates x taken; memory: 640 bytes a cut-out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferrari.curation.neighbours import close_pairs


@dataclass
class Chosen:
    """`taken`: places of the kept cut-outs, in the order in which they were taken;
    `near_duplicate`: for every cut-out, whether it went as one (else over the budget).
    """

    taken: np.ndarray
    near_duplicate: np.ndarray


def choose(
    vectors: np.ndarray,
    clips: np.ndarray,
    cells: np.ndarray,
    times: np.ndarray,
    budget: int | None,
    near: float | None,
) -> Chosen:
    """Choose among N cut-outs: Nx128 int8 `vectors`, N integer labels of `clips` and `cells`, N
    frame ordinals `times`.

    At most `budget` cut-outs stay (None: all). With `near`, those nearer than it to an earlier
    cut-out of another clip are dropped first.
    """
    doubled = np.zeros(len(vectors), bool)
    if near is not None:
        doubled = near_duplicates(vectors, clips, near)
    there = spread_in_time(np.flatnonzero(~doubled), clips, times)
    if budget is None or budget >= len(there):
        return Chosen(there, doubled)
    return Chosen(_cover(vectors, clips, cells, there, budget), doubled)


def near_duplicates(vectors: np.ndarray, clips: np.ndarray, bound: float) -> np.ndarray:
    """True for cut-outs nearer than `bound` to an earlier one of another clip that stays."""
    earlier: dict[int, list[int]] = {}
    for firsts, seconds, _ in close_pairs(vectors, bound, clips):
        for first, second in zip(firsts.tolist(), seconds.tolist(), strict=True):
            earlier.setdefault(second, []).append(first)
    doubled = np.zeros(len(vectors), bool)
    for place in sorted(earlier):
        doubled[place] = any(not doubled[first] for first in earlier[place])
    return doubled


def spread_in_time(places: np.ndarray, clips: np.ndarray, times: np.ndarray) -> np.ndarray:
    """`places` in an order whose every beginning is spread over the time of each clip: one cut-out
    of each clip first, then its middle, then the quarters.
    """
    order = np.lexsort((times[places], clips[places]))
    ordered = places[order]
    starts: list[int] = []
    if len(ordered):
        starts = np.flatnonzero(np.r_[True, np.diff(clips[ordered]) != 0]).tolist()
    ranks = np.zeros(len(ordered), np.int64)
    for start, stop in zip(starts, [*starts[1:], len(ordered)], strict=True):
        ranks[start:stop] = halving_ranks(stop - start)
    return ordered[np.lexsort((clips[ordered], ranks))]


def halving_ranks(count: int) -> np.ndarray:
    """Ranks of 0 .. count-1: 0 first, then the middle, the quarters, the eighths."""
    numbers, turned = np.arange(count), np.zeros(count, np.int64)
    bits = max(1, int(count - 1).bit_length())
    along = (numbers << bits) // count
    for bit in range(bits):
        turned |= ((along >> bit) & 1) << (bits - 1 - bit)
    ranks = np.empty(count, np.int64)
    ranks[np.argsort(turned, kind="stable")] = numbers
    return ranks


def _cover(
    vectors: np.ndarray, clips: np.ndarray, cells: np.ndarray, there: np.ndarray, budget: int
) -> np.ndarray:
    """Choose `budget` of the places `there`, taking turns over the cells."""
    labels, counts = np.unique(cells[there], return_counts=True)
    if budget < len(labels):  # not one for each cell: the farthest from one another, whatever cell
        return farthest_first(vectors, clips, there, budget)
    picks = [
        farthest_first(vectors, clips, there[cells[there] == label], quota)
        for label, quota in zip(labels, quotas(counts, budget), strict=True)
    ]
    turns = np.concatenate([np.arange(len(pick)) for pick in picks])
    return np.concatenate(picks)[np.argsort(turns, kind="stable")]


def quotas(sizes: np.ndarray, budget: int) -> np.ndarray:
    """What each cell may keep: by the root of its size, so that rare ones count for more than their
    share; one each first (Adams' method), never more than there are.
    """
    sizes = np.asarray(sizes, np.int64)
    order = np.argsort(-sizes, kind="stable")
    largest, given = sizes[order], np.zeros(len(sizes), np.int64)
    roots = np.sqrt(largest)
    for _ in range(min(budget, int(sizes.sum()))):
        wants = np.where(given == 0, np.inf, roots / np.maximum(given, 1))
        wants[given >= largest] = -1
        given[int(wants.argmax())] += 1
    found = np.empty_like(given)
    found[order] = given
    return found


def farthest_first(
    vectors: np.ndarray, clips: np.ndarray, places: np.ndarray, count: int
) -> np.ndarray:
    """`count` of `places`: the one nearest to their mean, then always the farthest from all taken.

    A candidate's squared distance is divided by 1 + the number already taken from its clip. Ties go
    to the first of `places`. Time len(places) x count.
    """
    if count >= len(places):
        return places
    own = vectors[places].astype(np.float32)
    _, clip = np.unique(clips[places], return_inverse=True)
    given = np.ones(int(clip.max()) + 1)
    away = ((own - np.rint(own.mean(0, dtype=np.float64)).astype(np.float32)) ** 2).sum(1)
    pick = int(away.argmin())
    best = np.full(len(places), np.inf)
    lengths = (own**2).sum(1)
    taken = []
    for _ in range(count):
        taken.append(pick)
        given[clip[pick]] += 1
        np.minimum(best, lengths + lengths[pick] - 2 * (own @ own[pick]), out=best)
        best[pick] = -np.inf
        pick = int((best / given[clip]).argmax())
    return places[np.array(taken)]
