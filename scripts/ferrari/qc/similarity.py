"""The cut-outs of the final set, and which of them are similar, for QC8.

Nearest neighbours are computed for at most QUERIES cut-outs, evenly chosen, among all: for every
cut-out, the time would grow with the square of the set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ferrari.curation.coverage_selection import farthest_first
from ferrari.curation.embeddings import EmbeddingError, decode
from ferrari.curation.neighbours import axes, close_pairs, distance, nearest
from ferrari.ledger.item_ids import parse

QUERIES = 20_000
MAX_PAIRS = 2000


@dataclass(frozen=True)
class CutOuts:
    """N cut-outs: `rows` with item, video, path and the like; `vectors` Nx128 int8; `clips` labels
    of their videos. `unsound`: items whose embedding cannot be read, which are not among them.
    """

    rows: pd.DataFrame
    vectors: np.ndarray
    clips: np.ndarray
    unsound: list[str]

    def __len__(self) -> int:
        return len(self.rows)

    def places(self, items: Iterable[str]) -> np.ndarray:
        """The positions of `items`; -1 for those that are not there."""
        return pd.Index(self.rows["item"]).get_indexer(list(items))


def crops_of(images: pd.Series) -> pd.Series:
    """The items of the cut-outs that images were made from."""
    found = [parse(item) for item in images]
    items = [one.crop if one else "" for one in found]
    return pd.Series(items, index=images.index, dtype="str")


def of_items(masks: pd.DataFrame, items: pd.Series) -> CutOuts:
    """The cut-outs named in `items`, each once, in order of item."""
    rows = masks[masks["item"].isin(set(items))].sort_values("item", kind="stable")
    vectors, sound = [], []
    for text in rows["embedding"]:
        try:
            vectors.append(decode(text))
            sound.append(True)
        except EmbeddingError:
            sound.append(False)
    found = np.stack(vectors) if vectors else np.zeros((0, 128), np.int8)
    kept = np.array(sound, bool)
    lost = sorted(set(items) - set(rows["item"]))
    unsound = [*rows["item"][~kept], *lost]
    rows = rows[kept].reset_index(drop=True)
    return CutOuts(rows, found, pd.factorize(rows["video"])[0], unsound)


def neighbour_distances(cutouts: CutOuts) -> pd.DataFrame:
    """Columns item, video, near, across: distance to the nearest cut-out, and of other clips."""
    asked = np.arange(0, len(cutouts), max(1, -(-len(cutouts) // QUERIES)))
    queries, clips = cutouts.vectors[asked], cutouts.clips
    _, near = nearest(queries, cutouts.vectors, own=asked)
    _, across = nearest(queries, cutouts.vectors, apart=(clips[asked], clips))
    table = cutouts.rows.loc[asked, ["item", "video"]].reset_index(drop=True)
    return table.assign(near=distance(near), across=distance(across))


@dataclass(frozen=True)
class Pairs:
    """Pairs of cut-outs of two clips nearer than a bound: `table` holds the nearest MAX_PAIRS
    (columns item, other, distance), `count` how many there are, `items` all that are in one,
    `parted` the first few of which one is in `train` and one in `val`.
    """

    table: pd.DataFrame
    count: int
    items: list[str]
    parted: list[str]


def pairs_across(cutouts: CutOuts, bound: float, sides: np.ndarray) -> Pairs:
    """All pairs nearer than `bound`; `sides` are labels of the splits that the cut-outs are in."""
    names = cutouts.rows["item"].to_numpy()
    best: list[tuple[float, int, int]] = []
    touched, parted = np.zeros(len(cutouts), bool), np.zeros(len(cutouts), bool)
    count = 0
    for left, right, square in close_pairs(cutouts.vectors, bound, cutouts.clips):
        count += len(left)
        touched[left] = touched[right] = True
        parted[left[sides[left] != sides[right]]] = True
        best += zip(square.tolist(), left.tolist(), right.tolist(), strict=True)
        best = sorted(best)[:MAX_PAIRS]
    squares, lefts, rights = zip(*best, strict=True) if best else ((), (), ())
    table = pd.DataFrame(
        {
            "item": names[list(lefts)] if best else [],
            "other": names[list(rights)] if best else [],
            "distance": distance(np.array(squares, float)),
        }
    )
    return Pairs(table, count, list(names[touched]), list(names[parted]))


def map_of(cutouts: CutOuts, limit: int) -> pd.DataFrame:
    """Columns item, video, x, y: at most `limit` cut-outs along the set's two principal axes."""
    picked = np.arange(0, len(cutouts), max(1, -(-len(cutouts) // limit)))
    table = cutouts.rows.loc[picked, ["item", "video"]].reset_index(drop=True)
    if len(cutouts) < 2:
        return table.assign(x=0.0, y=0.0)
    centre = cutouts.vectors.mean(0, dtype=np.float64)
    flat = (cutouts.vectors[picked] - centre) @ axes(cutouts.vectors, 2)
    return table.assign(x=distance(1) * flat[:, 0], y=distance(1) * flat[:, 1])


def clusters(cutouts: CutOuts, count: int) -> pd.DataFrame:
    """One row a cluster, the largest first: item (its centre), cutouts, clips, radius.

    Centres are the cut-outs farthest from one another; each cut-out belongs to the nearest.
    """
    everywhere = np.arange(len(cutouts))
    centres = farthest_first(cutouts.vectors, cutouts.clips, everywhere, count)
    home, away = nearest(cutouts.vectors, cutouts.vectors[centres])
    members = pd.DataFrame({"home": home, "clip": cutouts.clips, "away": distance(away)})
    table = members.groupby("home").agg(
        cutouts=("clip", "size"), clips=("clip", "nunique"), radius=("away", "max")
    )
    table.insert(0, "item", cutouts.rows["item"].to_numpy()[centres[table.index]])
    return table.sort_values(["cutouts", "item"], ascending=[False, True]).reset_index(drop=True)
