"""Fringe probe: is the colour of the clip's own scene left in a 3-pixel fringe at the mask's edge?

Clothes and hair differ from clip to clip, so the colours at the edge of a subject do too: a
classifier of these colours would tell clips apart even in a flawless set. So the probe asks another
question. Part of the fringe's colour is neither the subject's nor the new background's; which
clip's scene explains that part best? In a clean fringe the own scene does no better than others.

- Inside the edge, the picture (less the recipe's background, by alpha) is compared with the subject
  farther in; outside, it is compared with the background farther out.
- The difference is compared with (scene - expected colour), for each cell of an 8 x 8 grid over the
  crop. The scene is what crops show around the subject, of this clip or of another one.
- `share` is the least-squares share of the own scene in the fringe's colour, 0 to 1. The check's
  bound is on this. Shading at an edge moves it by a few hundredths either way.
- `match` says whether the own scene explains more than any other clip's: how surely the clip can be
  told, however faint the trace.

Images of one clip have clothes and scene in common, so a clip counts as one observation.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

from ferrari.qc.background_leak import CONFIDENCE, MIN_CLIPS, ProbeScore, unmeasured
from ferrari.reports.checks import FAIL, PASS, WARN, Check, safe_id

FRINGE_PX = 3
_INSIDE = (5, 10)  # px from the edge at which the subject counts as itself
_OUTSIDE = (5, 12)  # px beyond it at which a background counts as itself
_GRID = 8
_LEAST_PX = 6.0  # of each kind in a cell
_CONTRAST = 24.0  # RGB distance of scene and expected colour, or there is nothing to tell
SIDES = ("inside", "outside")
_CELLS = _GRID * _GRID

#: Of one image: by side, cells and channels, what the fringe shows and what was expected (2 x 64 x
#: 7: shown, expected, weight), and the scene by cell (64 x 4: colour, weight). float32.
Fringe = tuple[np.ndarray, np.ndarray]


def fringe(picture_rgb: np.ndarray, alpha_u8: np.ndarray, crop_rgb: np.ndarray) -> Fringe:
    """Measure one image: `picture_rgb` HxWx3 uint8 where the crop lies, alpha HxW, the crop."""
    solid = (alpha_u8 > 0).astype(np.uint8)
    depth = cv2.distanceTransform(np.pad(solid, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    beyond = cv2.distanceTransform(np.pad(1 - solid, 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
    alpha = alpha_u8.astype(np.float32) / 255
    cell_of = _cells(alpha_u8.shape)
    away = _band(beyond, _OUTSIDE)
    background = _means(picture_rgb, away, cell_of)
    scene = _means(crop_rgb, away, cell_of)
    subject = _means(picture_rgb, _band(depth, _INSIDE) * (alpha_u8 == 255), cell_of)
    rim = ((depth > 0) & (depth <= FRINGE_PX)) * alpha
    veil = (1 - alpha)[..., None] * background[cell_of][..., :3]
    # Sums of what alpha lets through: dividing each pixel by a small alpha would only raise noise.
    light = _means((picture_rgb - veil) / np.maximum(alpha, 1e-3)[..., None], rim, cell_of)
    rim_known = rim * (background[cell_of][..., 3] >= _LEAST_PX)
    light[:, 3] = np.bincount(cell_of.ravel(), rim_known.ravel(), _CELLS)
    around = ((beyond > 0) & (beyond <= FRINGE_PX)).astype(np.float32)
    outside = _means(picture_rgb, around, cell_of)
    sides = [_beside(light, subject), _beside(outside, background)]
    return np.stack(sides).astype(np.float32), scene.astype(np.float32)


def _band(distance: np.ndarray, limits: tuple[int, int]) -> np.ndarray:
    return ((distance >= limits[0]) & (distance <= limits[1])).astype(np.float32)


def _cells(shape: tuple[int, int]) -> np.ndarray:
    """HxW int: the cell of the grid that each pixel lies in."""
    rows = np.arange(shape[0]) * _GRID // shape[0]
    columns = np.arange(shape[1]) * _GRID // shape[1]
    return rows[:, None] * _GRID + columns


def _means(colours: np.ndarray, weights: np.ndarray, cell_of: np.ndarray) -> np.ndarray:
    """64 x 4: weighted mean colour by cell, and the sum of the weights."""
    some = weights > 0
    cells, heavy = cell_of[some], weights[some].astype(np.float64)
    total = np.bincount(cells, heavy, _CELLS)
    sums = [np.bincount(cells, heavy * colours[some][:, c], _CELLS) for c in range(3)]
    return np.stack([*(one / np.maximum(total, 1e-9) for one in sums), total], axis=1)


def _beside(shown: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """64 x 7: shown and expected colour, and the weight, 0 where either is not there enough."""
    enough = (shown[:, 3] >= _LEAST_PX) & (expected[:, 3] >= _LEAST_PX)
    return np.column_stack([shown[:, :3], expected[:, :3], np.where(enough, shown[:, 3], 0)])


def of_clips(fringes: Sequence[Fringe], drawn: pd.DataFrame) -> pd.DataFrame:
    """Rows video, side, share, match: whether the own scene fits best, and the share it explains.

    The scenes are means over each clip's images; `match` is 1 where of all clips' scenes its own
    explains most of the left-over colour (the squared length of its projection). NaN where a clip
    shows no contrast between scene and subject.
    """
    videos = drawn["video"].to_numpy(dtype=str)
    names = np.unique(videos)
    if not len(names):
        return pd.DataFrame({"video": [], "side": [], "share": [], "match": []})
    scenes = np.stack(
        [_scene([fringes[n][1] for n in np.flatnonzero(videos == v).tolist()]) for v in names]
    )
    lines = []
    for own, video in enumerate(names):
        of_one = [fringes[n][0] for n in np.flatnonzero(videos == video).tolist()]
        for at, side in enumerate(SIDES):
            shares, fits = _explained(np.concatenate([one[at] for one in of_one]), scenes)
            known = np.isfinite(fits[own])
            match = float(fits[own] > 0 and np.nanargmax(fits) == own) if known else np.nan
            lines.append({"video": video, "side": side, "share": shares[own], "match": match})
    return pd.DataFrame(lines, columns=["video", "side", "share", "match"])


def _scene(parts: Sequence[np.ndarray]) -> np.ndarray:
    """64 x 3: a clip's scene by cell; the mean of all cells where the subject always stands."""
    cells = np.stack(parts).astype(np.float64)
    weights = cells[..., 3:]
    total = weights.sum(axis=0)
    sums = (cells[..., :3] * weights).sum(axis=0)
    all_of = sums.sum(axis=0) / max(float(total.sum()), 1e-9)
    return np.where(total >= _LEAST_PX, sums / np.maximum(total, 1e-9), all_of)


def _explained(cells: np.ndarray, scenes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each scene: the share of it in what the cells show, and how well that fits."""
    repeats = len(cells) // _CELLS
    weight = cells[:, 6]
    left_over = cells[:, :3] - cells[:, 3:6]
    shares, fits = np.full(len(scenes), np.nan), np.full(len(scenes), np.nan)
    for n, scene in enumerate(scenes):
        towards = np.tile(scene, (repeats, 1)) - cells[:, 3:6]
        usable = weight * ((towards**2).sum(axis=1) >= _CONTRAST**2)
        along = float((usable * (left_over * towards).sum(axis=1)).sum())
        length = float((usable * (towards**2).sum(axis=1)).sum())
        if length > 0:
            shares[n] = along / length
            fits[n] = max(along, 0.0) * along / length
    return shares, fits


def fringe_checks(clips: pd.DataFrame, max_fringe: float) -> list[Check]:
    """FAIL where fringes hold more of the own scene than `max_fringe`; WARN where some clip's does.

    `clips` is `of_clips`' answer, or an empty frame where nothing could be measured.
    """
    return [_check(side, clips[clips["side"] == side].dropna(), max_fringe) for side in SIDES]


def _check(side: str, clips: pd.DataFrame, max_fringe: float) -> Check:
    name, bound = f"fringe_{side}_holds_no_scene", f"at most {max_fringe:.0%} of its colour"
    explanation = (
        f"How much of the clip's own scene is in the colour of the {FRINGE_PX} px {side} the "
        "mask's edge, beyond what subject and new background explain. FAIL if even the low end of "
        "the mean's interval over the clips exceeds the bound; WARN if a single clip does. Told: "
        "clips whose own scene explains the fringe better than any other clip's."
    )
    if len(clips) < MIN_CLIPS:
        return Check(name, PASS, unmeasured(), bound, explanation)
    mean, low, high = _interval(clips["share"].to_numpy())
    beyond = clips["video"][clips["share"] > max_fringe]
    status = FAIL if low > max_fringe else WARN if len(beyond) else PASS
    answer = ProbeScore(int(clips["match"].sum()), len(clips), len(clips))
    said = f"{mean:.1%} ({CONFIDENCE:.0%} interval {low:.1%} to {high:.1%}); told: {answer.said}"
    return Check(name, status, said, bound, explanation, tuple(map(safe_id, beyond[:20])))


def _interval(values: np.ndarray) -> tuple[float, float, float]:
    """Mean of some clips' values and Student's interval around it."""
    from scipy.stats import t

    mean = float(values.mean())
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error
    return mean, mean - reach, mean + reach
