"""Do the cut-outs form groups that are as far apart as two people? For QC8.

Two cut-outs belong together if they are nearer than a bound, or if a chain of such cut-outs
connects them: somebody who moves, or turns, leaves such a chain. A group counts only from some size
on, since a fast movement breaks a chain. The result may be one person in two outfits, so it is a
question to a person, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ferrari.common.counts import number_of
from ferrari.curation.neighbours import distance, nearest, squared, squares
from ferrari.qc.similarity import CutOuts
from ferrari.reports.checks import PASS, WARN, Check

#: Cut-outs that are looked at, evenly taken: all pairs of them are compared (64 MB).
MOST = 4000
#: A group has at least so many of the cut-outs that are looked at, and such a share of them.
LEAST, LEAST_SHARE = 8, 0.05
CLIPS_NAMED = 3


@dataclass(frozen=True)
class Groups:
    """Groups that count, the largest first. `table` has a row each: item (the cut-out nearest to
    the group's middle), cutouts, clips, examples (names of some of its clips). `gap` is the
    smallest distance between cut-outs of two groups; `looked_at` counts cut-outs.
    """

    table: pd.DataFrame
    gap: float
    looked_at: int


def find(cutouts: CutOuts, bound: float) -> Groups:
    """The groups of `cutouts` that are `bound` or more apart; with a bound of 0, none."""
    taken = np.arange(0, len(cutouts), max(1, -(-len(cutouts) // MOST)))
    vectors, rows = cutouts.vectors[taken], cutouts.rows.iloc[taken]
    labels = np.zeros(len(taken), np.int64)
    if len(taken) and bound > 0:
        _, labels = connected_components(csr_array(squares(vectors, vectors) < squared(bound)))
    sizes = np.bincount(labels, minlength=1)
    least = max(LEAST, LEAST_SHARE * len(taken))
    counted = [at for at in np.argsort(-sizes, kind="stable") if sizes[at] >= least]
    found = [_described(rows[labels == at], vectors[labels == at]) for at in counted]
    table = pd.DataFrame(found, columns=["item", "cutouts", "clips", "examples"])
    return Groups(table, _gap([vectors[labels == at] for at in counted]), len(taken))


def _described(rows: pd.DataFrame, vectors: np.ndarray) -> dict[str, object]:
    off = ((vectors - vectors.mean(0)) ** 2).sum(1)
    clips = rows["video"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return {
        "item": rows["item"].iloc[int(off.argmin())],
        "cutouts": len(rows),
        "clips": len(clips),
        "examples": ", ".join(clips.index[:CLIPS_NAMED]),
    }


def _gap(groups: list[np.ndarray]) -> float:
    """The smallest distance between two of the groups; infinite where there are none."""
    pairs = [
        nearest(one, other)[1].min() for at, one in enumerate(groups) for other in groups[at + 1 :]
    ]
    return float(distance(min(pairs))) if pairs else float("inf")


def check(groups: Groups, bound: float) -> Check:
    """WARN if there are two groups or more: a person has to say whose they are."""
    count = len(groups.table)
    sizes = " and ".join(f"{size:,}" for size in groups.table["cutouts"].head(4))
    apart = f" ({sizes} cut-outs), {groups.gap:.1f} apart" if count > 1 else ""
    return Check(
        "groups_as_far_apart_as_two_people",
        WARN if count > 1 else PASS,
        f"{number_of(count, 'group')}{apart}" if bound else "not asked",
        f"no two groups {bound:g} or more apart" if bound else "-",
        "One person in two outfits, or two people? The distance is that of two people, but clothes "
        "and light count as much as who it is. A picture of each group, and its clips, are on the "
        "page: take the clips of whoever is not the subject out of the raw folder. Nothing is "
        "dropped because of this.",
        tuple(groups.table["item"].head(20)) if count > 1 else (),
    )
