"""Flicker: a cut-out lacks what both its neighbours in the clip have, or has what both lack.

Silhouettes are aligned by their centroids and compared in cells of one size for the whole clip, so
that motion of the subject or of the crop does not count. With consecutive cut-outs a, b, c of one
subject, b's flicker is

    min(IoU(a, c) - max(IoU(a, b), IoU(b, c)), |lost - gained|)

where `lost` is the share of the part common to a and c that b lacks, and `gained` the share of b
that neither a nor c has. In steady motion a and c differ more from each other than from b, so the
first term is 0 or less, however fast the subject moves. In a movement that returns (a step, a wave)
a limb covers as much new area as it leaves, so the second term is small. An arm that is lost for
one frame gives about the arm's share of the figure.

The first and the last cut-out have only one neighbour and are not judged. Lasting changes of size
are found by `qc_masked_subjects.stability_checks`.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import pandas as pd

GRID = 48  # cells a side
_EXTENT = 1.6  # side of the grid, in longer sides of the clip's median crop
_MADS = 6.0  # robust standard deviations beyond the clip's median
_RESTLESS = 3.0  # times max_flicker: the highest bound, that of a clip with much motion
_CONSISTENT = 1.4826  # of the median absolute deviation, for a normal distribution
_CHUNK = 4096
COLUMNS = ("video", "item", "before", "after", "flicker", "threshold", "area_ratio", "iou")


def cell_sizes(kept: pd.DataFrame) -> pd.Series:
    """Pixels a cell for each row of `kept` (video, width, height): one size for a whole clip."""
    longer = kept[["width", "height"]].max(axis=1)
    return longer.groupby(kept["video"]).transform("median") * _EXTENT / GRID


def silhouette(alpha_u8: np.ndarray, cell_px: float) -> bytes:
    """The subject (alpha over half) around its centroid, in GRID x GRID packed bits; b'' if none.

    It is placed on the grid to a fraction of a cell: by whole cells, an IoU of 1 would become 0.9.
    """
    inside = (alpha_u8 > 127).astype(np.uint8)
    moments = cv2.moments(inside, binaryImage=True)
    if not moments["m00"] or not cell_px > 0:
        return b""
    shrink = min(1.0, 2 / cell_px)  # to half a cell, by area; what is left is interpolated
    height, width = inside.shape
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    small = cv2.resize(inside * np.uint8(255), size, interpolation=cv2.INTER_AREA)
    scale_x, scale_y = size[0] / width, size[1] / height
    at_x = (moments["m10"] / moments["m00"] + 0.5) * scale_x - 0.5
    at_y = (moments["m01"] / moments["m00"] + 0.5) * scale_y - 0.5
    step_x, step_y = cell_px * scale_x, cell_px * scale_y
    middle = (GRID - 1) / 2
    view = np.array(
        [[step_x, 0, at_x - middle * step_x], [0, step_y, at_y - middle * step_y]], np.float64
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    # A subject that leaves the picture ends at its border.
    laid = cv2.warpAffine(small, view, (GRID, GRID), flags=flags, borderValue=0)
    return np.packbits(laid > 127).tobytes()


def find(kept: pd.DataFrame, silhouettes: pd.Series, max_flicker: float) -> pd.DataFrame:
    """COLUMNS of each cut-out that has two neighbours in its clip; `flagged` where it flickers.

    `kept` has video and item, `silhouettes` the same index. The n-th subject of a frame is compared
    with the n-th of the frames around it. A cut-out is flagged if its flicker exceeds `max_flicker`
    and also the clip's median by six robust standard deviations; or if it exceeds three times
    `max_flicker`, in whatever clip.
    """
    rows = kept[silhouettes.map(len).to_numpy() > 0]
    order = _in_order(rows)
    a, b, c = order[:-2], order[1:-1], order[2:]
    videos, items = rows["video"].to_numpy(), rows["item"].to_numpy()
    nth = _nth(rows)
    same = (videos[a] == videos[c]) & (nth[a] == nth[c])
    same &= (videos[a] == videos[b]) & (nth[a] == nth[b])
    a, b, c = a[same], b[same], c[same]
    found = pd.DataFrame({"video": videos[b], "item": items[b]})
    found["before"], found["after"] = items[a], items[c]
    bits = silhouettes[rows.index].to_numpy()
    figures = [_compare(bits, a[at], b[at], c[at]) for at in _chunks(len(a))]
    ious = np.concatenate(figures) if figures else np.zeros((0, 3))
    found["flicker"], found["area_ratio"], found["iou"] = ious.T
    own = found.groupby("video")["flicker"].transform(_beyond)
    found["threshold"] = own.clip(max_flicker, _RESTLESS * max_flicker)
    found["flagged"] = found["flicker"] > found["threshold"]
    return found[[*COLUMNS, "flagged"]]


def _in_order(rows: pd.DataFrame) -> np.ndarray:
    """Positions of the rows by clip, subject and frame."""
    frames = rows["item"].str.replace(r"-p\d+$", "", regex=True).to_numpy()
    by_frame = pd.factorize(frames, sort=True)[0]
    by_clip = pd.factorize(rows["video"], sort=True)[0]
    return np.lexsort((by_frame, _nth(rows), by_clip))


def _nth(rows: pd.DataFrame) -> np.ndarray:
    """Which subject of its frame each row is."""
    frames = rows["item"].str.replace(r"-p\d+$", "", regex=True)
    return frames.groupby(frames).cumcount().to_numpy()


def _chunks(total: int) -> list[slice]:
    return [slice(start, start + _CHUNK) for start in range(0, total, _CHUNK)]


def _compare(bits: np.ndarray, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """N x 3: flicker of b, its area over the mean of its neighbours', and its better IoU."""
    first, second, third = (_unpacked(bits[at]) for at in (a, b, c))
    better = np.maximum(_iou(first, second), _iou(second, third))
    common, either = first & third, first | third
    lost = _count(common & ~second) / np.maximum(_count(common), 1)
    gained = _count(second & ~either) / np.maximum(_count(second), 1)
    around = np.maximum((_count(first) + _count(third)) / 2, 1)
    found = np.minimum(_iou(first, third) - better, np.abs(lost - gained))
    return np.stack([found, _count(second) / around, better], axis=1)


def _unpacked(some: np.ndarray) -> np.ndarray:
    return np.frombuffer(b"".join(some), np.uint8).reshape(len(some), -1)


def _count(packed: np.ndarray) -> np.ndarray:
    return np.bitwise_count(packed).sum(axis=1)


def _iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return _count(first & second) / np.maximum(_count(first | second), 1)


def _beyond(values: pd.Series) -> float:
    """The clip's median and six robust standard deviations."""
    middle = values.median()
    return middle + _MADS * _CONSISTENT * (values - middle).abs().median()


def per_clip(found: pd.DataFrame) -> Mapping[str, pd.Series]:
    """By video: how many cut-outs flicker, and the largest flicker of the clip."""
    by_video = found.groupby("video")
    return {"flickers": by_video["flagged"].sum(), "largest_flicker": by_video["flicker"].max()}
