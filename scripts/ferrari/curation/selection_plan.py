"""The plan of the final set: which images stay, in which split, and why the others are left out.

Cut-outs are chosen first, then their variants: each chosen cut-out gets a first image before any
gets a second one. Memory: about 1.5 kB for each cut-out and 300 bytes for each image, whatever the
images' size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ferrari.common.seeds import ranked
from ferrari.curation import embeddings, splits
from ferrari.curation.coverage_selection import Chosen, choose
from ferrari.curation.neighbours import close_pairs, distance, nearest
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import NEAR_DUPLICATE, OVER_BUDGET

DARK, MEDIUM, BRIGHT = "dark", "medium", "bright"
_LIGHTS = ((35.0, DARK), (65.0, MEDIUM), (float("inf"), BRIGHT))  # mean L* of the subject, below


def light_of(lightness: str) -> str:
    """DARK, MEDIUM or BRIGHT for a mask row's cell `lightness`; '' where it is empty."""
    if not lightness:
        return ""
    return next(name for below, name in _LIGHTS if float(lightness) < below)


@dataclass
class CutOut:
    """A cut-out with images in the final set: its clip, its cell, and the items of its images."""

    item: str
    clip: str
    cell: tuple[str, ...]
    embedding: str
    images: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """`left_out`: by image, the reason, the nearest kept neighbour and its distance. `taken_back`:
    by image that a person kept against the settings, the reason for which it would have been left
    out. `groups`: by clip, the group that no split divides ('' if none). `sides`: by group, its
    split.
    """

    left_out: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    taken_back: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    sides: dict[str, str] = field(default_factory=dict)

    def split_of(self, clip: str) -> tuple[str, str]:
        """(split, group) of a kept image of `clip`."""
        group = self.groups.get(clip, "")
        return self.sides.get(group, splits.TRAIN), group


def active(settings: Mapping) -> bool:
    """False if the `curate` settings change nothing."""
    wanted = (settings["max_images"], settings["near_duplicates"])
    return any(one is not None for one in wanted) or settings["validation"] > 0


def make(
    cutouts: Sequence[CutOut], settings: Mapping, seed: int, staying: frozenset[str] = frozenset()
) -> Plan:
    """The plan for `cutouts`, sorted by item, under the `curate` settings.

    Images in `staying` stay in addition to the chosen ones: no other image makes room. Raises
    EmbeddingError for a cut-out whose embedding is missing or damaged.
    """
    plan = Plan()
    if not cutouts or not active(settings):
        return plan
    lines = [{"item": one.item, "embedding": one.embedding} for one in cutouts]
    vectors = embeddings.of_rows(lines)
    names, clips = np.unique([one.clip for one in cutouts], return_inverse=True)
    cells = np.unique(["\t".join(one.cell) for one in cutouts], return_inverse=True)[1]
    times = np.array([frame_of(one.item) for one in cutouts], np.int64)
    chosen = choose(
        vectors, clips, cells, times, settings["max_images"], settings["near_duplicates"]
    )
    first = _keep_images(plan, cutouts, chosen.taken, settings["max_images"], seed)
    chosen = _take_back(plan, cutouts, chosen, first, staying)
    _name_neighbours(plan, cutouts, vectors, chosen, first)
    if settings["validation"] > 0:
        kept = np.sort(chosen.taken)
        pairs = {
            (str(names[clips[kept[i]]]), str(names[clips[kept[j]]]))
            for firsts, seconds, _ in close_pairs(vectors[kept], settings["alike"], clips[kept])
            for i, j in zip(firsts.tolist(), seconds.tolist(), strict=True)
        }
        there = [str(names[clip]) for clip in np.unique(clips[kept])]
        plan.groups = splits.groups(there, sorted(pairs), seed)
        plan.sides = splits.sides(plan.groups.values(), settings["validation"], seed)
    return plan


def frame_of(item: str) -> int:
    """The ordinal of the frame that a crop's id names."""
    found = parse(item)
    return int(found.frame.rpartition("-f")[2]) if found else 0


def _keep_images(
    plan: Plan, cutouts: Sequence[CutOut], taken: np.ndarray, budget: int | None, seed: int
) -> dict[int, str]:
    """Share the budget out over the cut-outs taken; the first kept image of each of them."""
    sizes = np.array([len(cutouts[place].images) for place in taken], np.int64)
    quota = sizes if budget is None else shares(sizes, budget)
    first: dict[int, str] = {}
    for place, stays in zip(taken.tolist(), quota.tolist(), strict=True):
        one = cutouts[place]
        order = one.images
        if stays < len(order):
            order = ranked(order, seed, one.clip, one.item)
        first[place] = min(order[:stays])
        for image in order[stays:]:
            plan.left_out[image] = (OVER_BUDGET, first[place], 0.0)
    return first


def _take_back(
    plan: Plan,
    cutouts: Sequence[CutOut],
    chosen: Chosen,
    first: dict[int, str],
    staying: frozenset[str],
) -> Chosen:
    """Put images back that have to stay; a cut-out that was not chosen returns for these alone."""
    more = []
    for place, one in enumerate(cutouts):
        wanted = sorted(staying.intersection(one.images))
        if not wanted:
            continue
        if place in first:
            wanted = [image for image in wanted if plan.left_out.pop(image, None)]
            reason = OVER_BUDGET
        else:
            reason = NEAR_DUPLICATE if chosen.near_duplicate[place] else OVER_BUDGET
            more.append(place)
            first[place] = wanted[0]
            others = [image for image in one.images if image not in staying]
            plan.left_out |= {image: (reason, wanted[0], 0.0) for image in others}
        plan.taken_back |= dict.fromkeys(wanted, reason)
    return replace(chosen, taken=np.append(chosen.taken, np.array(more, chosen.taken.dtype)))


def shares(sizes: np.ndarray, budget: int) -> np.ndarray:
    """How many images each cut-out keeps: one each, then a second each, in order, until the
    budget.
    """
    stays = np.zeros(len(sizes), np.int64)
    left = min(budget, int(sizes.sum()))
    while left:
        more = np.flatnonzero(stays < sizes)[:left]
        stays[more] += 1
        left -= len(more)
    return stays


def _name_neighbours(
    plan: Plan,
    cutouts: Sequence[CutOut],
    vectors: np.ndarray,
    chosen: Chosen,
    first: Mapping[int, str],
) -> None:
    """Each image of a cut-out that was not taken, with the nearest that was."""
    gone = np.setdiff1d(np.arange(len(cutouts)), chosen.taken)
    kept = np.sort(chosen.taken)
    places, found = nearest(vectors[gone], vectors[kept])
    for place, near, away in zip(gone.tolist(), places.tolist(), distance(found), strict=True):
        reason = NEAR_DUPLICATE if chosen.near_duplicate[place] else OVER_BUDGET
        neighbour = first[int(kept[near])]
        for image in cutouts[place].images:
            plan.left_out[image] = (reason, neighbour, round(float(away), 4))
