"""The appearance of the person in a box: colours by body part. Pure arrays.

A descriptor holds STRIPES colour histograms, from the head down. The box is brought to one small
size, so that neither its size nor a pixel more or less counts; colours are CIE L*a*b*, finer near
grey, and fall to the nearest bins of each axis by their distance, so that a little more light moves
a little weight. What is near the box's middle counts more than its sides, where the background is.

Clothes are the signal: it tells people of one clip and one outfit apart, and nothing else.
"""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np

#: Body parts from the head down, which overlap.
STRIPES = 3
#: Bins of lightness and of each of the two colour axes.
LIGHTNESS_BINS, COLOUR_BINS = 8, 9
#: Numbers in a descriptor.
LENGTH = STRIPES * LIGHTNESS_BINS * COLOUR_BINS**2

_PATCH_WH = (16, 40)
_GREY = 4.0  # a*, b*: up to here bins are narrow, beyond they widen with the distance from grey
_MOST = 49.0  # a*, b* of the outermost bins
_WIDTH = 0.2  # standard deviation of the weight across the box, in its widths


def descriptors(picture_rgb: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N, LENGTH) float32 of N boxes in an HxWx3 uint8 RGB picture, to compare by `similarity`.

    `boxes_xyxy` is (N, 4) in pixels, end exclusive. A box without a pixel in the picture gives
    zeros, which are like nothing.
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    height, width = picture_rgb.shape[:2]
    found = np.zeros((len(boxes), LENGTH), np.float32)
    inside = _inside(boxes, width, height)
    for at, (x1, y1, x2, y2) in enumerate(inside):
        if x2 <= x1 or y2 <= y1:
            continue
        patch = cv2.resize(picture_rgb[y1:y2, x1:x2], _PATCH_WH, interpolation=cv2.INTER_AREA)
        found[at] = np.sqrt(_histograms(patch)).ravel()
    return found


def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, M) float64 0..1 of descriptors (N, LENGTH) and (M, LENGTH); 1 is the same colours.

    It is 1 less the Hellinger distance of the histograms. Summed in one order whatever N and M are:
    how two people compare does not depend on who else is in the picture.
    """
    products = np.einsum("nd,md->nm", one.astype(np.float64), other.astype(np.float64))
    return 1 - np.sqrt(1 - np.clip(products, 0.0, 1.0))


def mean(looks: np.ndarray) -> np.ndarray:
    """(LENGTH,) float32: the mean of descriptors (N, LENGTH), again of unit length; zeros stay."""
    summed = looks.astype(np.float64).mean(axis=0)
    length = float(np.sqrt((summed**2).sum()))
    return (summed / length if length else summed).astype(np.float32)


def without_head(looks: np.ndarray) -> np.ndarray:
    """(N, LENGTH) float32: descriptors (N, LENGTH) without the head's stripe, again of unit length.

    A head shows a face or hair, by how it is turned; trunk and legs are dressed alike on all sides.
    """
    parts = looks.astype(np.float64)
    parts[:, : LENGTH // STRIPES] = 0
    length = np.sqrt((parts**2).sum(axis=1, keepdims=True))
    return (parts / np.where(length > 0, length, 1)).astype(np.float32)


def _inside(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """The boxes in whole pixels of the picture."""
    corners = np.nan_to_num(np.rint(boxes))
    return np.clip(corners, 0, [width, height, width, height]).astype(int)


def _prior() -> np.ndarray:
    """Weight of each cell of a patch: less towards the sides of the box."""
    width, height = _PATCH_WH
    across = (np.arange(width) + 0.5) / width - 0.5
    return np.tile(np.exp(-0.5 * (across / _WIDTH) ** 2), (height, 1))


def _stripes() -> np.ndarray:
    """(STRIPES, height) share that each row of a patch has in each stripe; a row's sum is 1."""
    at = (np.arange(_PATCH_WH[1]) + 0.5) / _PATCH_WH[1] * STRIPES - 0.5
    return np.clip(1 - np.abs(np.clip(at, 0, STRIPES - 1) - np.arange(STRIPES)[:, None]), 0, 1)


_PRIOR, _STRIPES = _prior(), _stripes()


def _histograms(patch_rgb: np.ndarray) -> np.ndarray:
    """(STRIPES, bins) shares that sum to 1 in all."""
    lab = cv2.cvtColor(patch_rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB).astype(np.float64)
    light = lab[..., 0] / 100 * (LIGHTNESS_BINS - 1)
    bent = np.arcsinh(lab[..., 1:] / _GREY) / np.arcsinh(_MOST / _GREY)
    colours = (np.clip(bent, -1, 1) + 1) / 2 * (COLOUR_BINS - 1)
    axes = (
        _two_bins(light, LIGHTNESS_BINS),
        _two_bins(colours[..., 0], COLOUR_BINS),
        _two_bins(colours[..., 1], COLOUR_BINS),
    )
    bins, shares = [], []
    for (l_bin, l_share), (a_bin, a_share), (b_bin, b_share) in product(*axes):
        bins.append((l_bin * COLOUR_BINS + a_bin) * COLOUR_BINS + b_bin)
        shares.append(l_share * a_share * b_share * _PRIOR)
    flat, length = np.stack(bins).ravel(), LENGTH // STRIPES
    counted = [
        np.bincount(flat, (np.stack(shares) * rows[:, None]).ravel(), length) for rows in _STRIPES
    ]
    found = np.stack(counted)
    return found / np.maximum(found.sum(axis=1, keepdims=True), 1e-12) / STRIPES


def _two_bins(levels: np.ndarray, bins: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The two bins around each level, each with its share of a pixel."""
    lower = np.clip(np.floor(levels), 0, bins - 2).astype(int)
    upper_share = np.clip(levels - lower, 0, 1)
    return [(lower, 1 - upper_share), (lower + 1, upper_share)]
