"""Leak probe: can a small classifier recognise the source clip without looking at the subject?

Two probes work on one sample: `backdrop`, here, uses the pixels where the mask is 0; `edge_fringe`
those along its edge. The sample has the same number of images from each clip, and its size is
bounded, however large the set. All random choices come from `seeds`.

The classifier's share of right answers is compared with chance (1 / clips). The leak is (share
right - chance) / (1 - chance): 0 is chance, 1 is always right. The ends of the share's
Clopper-Pearson interval are converted in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pandas as pd

from ferrari.common.seeds import seed_of
from ferrari.reports.checks import FAIL, PASS, Check

MAX_CLIPS, MIN_CLIPS = 24, 3
IMAGES = (16, 8)  # of each clip; the smaller number where too few clips have the larger
FOLDS = 4
CONFIDENCE = 0.95
_CELLS, _BLOCKS = 16, 4  # cells a side that colours are averaged over; blocks a side for layout
_SEEN = 0.25  # share of a cell that must lie outside the mask
_LEVELS = (0.0, 1 / 3, 2 / 3, 1.0)
_WIDTH = 0.2  # of the histogram's soft bins
_RIDGE = 10.0
_WHERE = "leak_probe"


@dataclass(frozen=True)
class ProbeScore:
    """How often the probe named the clip: `right` of `total` answers, among `clips` clips."""

    right: int
    total: int
    clips: int

    @property
    def share(self) -> float:
        """Share of the answers that were right."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Clopper-Pearson interval of `share`."""
        from scipy.stats import binomtest

        found = binomtest(self.right, self.total).proportion_ci(CONFIDENCE, "exact")
        return float(found.low), float(found.high)

    def leak(self, share: float) -> float:
        """`share` on a scale on which 0 is chance and 1 is always right."""
        return (share - 1 / self.clips) / (1 - 1 / self.clips)

    @property
    def said(self) -> str:
        """'18.8% right of 6 clips (95% interval 11.9% to 27.5%), chance 16.7%'."""
        low, high = self.interval
        return (
            f"{self.share:.1%} right of {self.clips} clips ({CONFIDENCE:.0%} interval {low:.1%} to "
            f"{high:.1%}), chance {1 / self.clips:.1%}"
        )


def sample(kept: pd.DataFrame) -> pd.DataFrame:
    """Columns video, fold, parent for some rows of `kept` (item, parent, video); its index.

    At most MAX_CLIPS clips, as many images of each: of different cut-outs as far as there are any,
    and all of one cut-out in one fold. Empty where fewer than MIN_CLIPS clips have enough.
    """
    sizes = kept.groupby("video").agg(images=("item", "size"), cutouts=("parent", "nunique"))
    for count in IMAGES:
        enough = (sizes["images"] >= count) & (sizes["cutouts"] >= FOLDS)
        if enough.sum() >= MIN_CLIPS:
            break
    else:
        return pd.DataFrame({"video": [], "fold": [], "parent": []}, index=kept.index[:0])
    clips = sorted(sizes.index[enough], key=lambda video: seed_of(0, str(video), _WHERE, 0))
    parts = [_of_clip(kept[kept["video"] == video], count) for video in sorted(clips[:MAX_CLIPS])]
    return pd.concat(parts)


def _of_clip(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """`count` images of one clip: a first one of each cut-out, then a second, and so on."""
    order = {parent: seed_of(0, str(parent), _WHERE, 1) for parent in rows["parent"].unique()}
    place = {parent: n for n, parent in enumerate(sorted(order, key=order.__getitem__))}
    drawn = pd.DataFrame(
        {
            "video": rows["video"],
            "parent": rows["parent"],
            "place": rows["parent"].map(place),
            "order": [seed_of(0, str(item), _WHERE, 2) for item in rows["item"]],
        }
    ).sort_values(["place", "order"])
    drawn["turn"] = drawn.groupby("place").cumcount()
    drawn["fold"] = drawn["place"] % FOLDS
    return drawn.sort_values(["turn", "place"]).head(count)[["video", "fold", "parent"]]


def backdrop(picture_rgb: np.ndarray, mask_u8: np.ndarray) -> np.ndarray:
    """What a HxWx3 uint8 picture shows where its HxW uint8 mask is 0: float32, without its size.

    Colours are averaged over 16 x 16 cells of the canvas, so that neither the number of pixels,
    nor grain or compression, nor the subject's outline is in it: a soft histogram, the colours of
    4 x 4 blocks, mean, spread and unevenness. All 0 where nothing lies outside the mask.
    """
    seen = (mask_u8 == 0).astype(np.float32)
    size = (_CELLS, _CELLS)
    share = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    sums = cv2.resize(picture_rgb * seen[..., None], size, interpolation=cv2.INTER_AREA)
    known = share > _SEEN
    if not known.any():
        return np.zeros(len(_LEVELS) ** 3 + 3 * _BLOCKS**2 + 8, np.float32)
    cells = sums / np.maximum(share, 1e-6)[..., None] / 255
    colours = cells[known]
    mean = colours.mean(axis=0)
    layout = _layout(cells, known) - np.tile(mean, _BLOCKS**2)
    parts = [_histogram(colours), layout, mean, colours.std(axis=0), _unevenness(cells, known)]
    return np.concatenate(parts).astype(np.float32)


def _histogram(colours: np.ndarray) -> np.ndarray:
    """Mean membership of Nx3 colours in a grid of soft bins."""
    centres = np.stack(np.meshgrid(_LEVELS, _LEVELS, _LEVELS), axis=-1).reshape(-1, 3)
    away = ((colours[:, None] - centres[None]) ** 2).sum(axis=2)
    weights = np.exp(-away / (2 * _WIDTH**2))
    return (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)


def _layout(cells: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean colour of each block of cells; the picture's mean where a block is hidden."""
    shape = (_BLOCKS, _CELLS // _BLOCKS, _BLOCKS, _CELLS // _BLOCKS)
    counts = known.reshape(shape).sum(axis=(1, 3))[..., None]
    sums = (cells * known[..., None]).reshape(*shape, 3).sum(axis=(1, 3))
    return np.where(counts, sums / np.maximum(counts, 1), cells[known].mean(axis=0)).ravel()


def _unevenness(cells: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Mean difference between neighbouring cells, across and down."""
    grey = cells.mean(axis=2)
    found = []
    for axis in (0, 1):
        both = np.minimum(*(np.delete(known, at, axis) for at in (0, -1)))
        steps = np.abs(np.diff(grey, axis=axis))[both]
        found.append(steps.mean() if steps.size else 0.0)
    return np.array(found)


def probe_score(features: np.ndarray, drawn: pd.DataFrame) -> ProbeScore:
    """How often a ridge classifier tells `drawn`'s video from NxD features, folds apart.

    Ridge regression on one column a clip (which is linear discriminant analysis with shrinkage);
    features are standardised by what the training folds show.
    """
    classes, wanted = np.unique(drawn["video"].to_numpy(dtype=str), return_inverse=True)
    folds = drawn["fold"].to_numpy()
    right = 0
    for fold in np.unique(folds):
        test = folds == fold
        train = features[~test].astype(np.float64)
        mean, spread = train.mean(axis=0), train.std(axis=0)
        scale = np.where(spread > 1e-9, spread, np.inf)
        known, asked = (train - mean) / scale, (features[test] - mean) / scale
        targets = np.eye(len(classes))[wanted[~test]] - 1 / len(classes)
        # Clips of which this fold holds more lack answers in the others: weigh them as equals.
        weights = 1 / np.sqrt(np.bincount(wanted[~test], minlength=len(classes)))[wanted[~test]]
        weighted = known * weights[:, None]
        gram = weighted.T @ weighted
        ridge = _RIDGE / len(classes) * np.eye(len(gram))
        solved = np.linalg.solve(gram + ridge, weighted.T @ (targets * weights[:, None]))
        # Rounded, so that ties do not hang on how a library of linear algebra sums up.
        scores = np.round(asked @ solved, 9)
        right += int((np.argmax(scores, axis=1) == wanted[test]).sum())
    return ProbeScore(right, len(drawn), len(classes))


def backdrop_check(
    features: Sequence[np.ndarray], scenes: Sequence[str], drawn: pd.DataFrame, max_leak: float
) -> Check:
    """FAIL where the backdrop gives the clip away.

    `features` and `scenes` (the environment's id, or '') are in the order of `drawn`'s rows.
    """
    name, bound = "background_does_not_tell_the_clip", f"a leak of at most {max_leak:.0%}"
    explanation = (
        f"A linear classifier, trained on {FOLDS - 1} of {FOLDS} parts and asked about the rest, "
        "guesses the source clip from the pixels where the mask is 0. Variants of one cut-out are "
        f"in one part. At most {MAX_CLIPS} clips with {IMAGES[0]} images each. The leak is 0% for "
        "guessing by chance and 100% for always right; FAIL if even the low end of its interval "
        "exceeds the bound. With few clips a lent scene says a little about the clip, since no "
        "clip gets its own."
    )
    if not len(drawn):
        return Check(name, PASS, unmeasured(), bound, explanation)
    answer = probe_score(np.stack(features), drawn)
    names = np.array(sorted({"", *scenes}))
    by_scene = probe_score((np.array(scenes)[:, None] == names).astype(float), drawn)
    low, _ = answer.interval
    status = FAIL if answer.leak(low) > max_leak else PASS
    said = f"{answer.said}; by the name of the lent scene alone {by_scene.share:.1%}"
    return Check(name, status, said, bound, explanation)


def unmeasured() -> str:
    """The text in place of a figure where the set is too small."""
    return (
        f"not measurable: fewer than {MIN_CLIPS} clips have {IMAGES[-1]} images of {FOLDS} cut-outs"
    )
