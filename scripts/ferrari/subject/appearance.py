"""How the person in a box looks: colours by body part. Pure arrays.

A descriptor holds STRIPES colour histograms, from the head down. The box is brought to one small
size, so that neither its size nor a pixel more or less counts; colours are Lab, and fall to the
nearest bins of each axis by their distance, so that a little more light moves a little weight. What
is near the box's middle counts more than its corners, where the background is, and what a nearer
person's box covers counts nothing if enough is left without it. Square roots of shares are kept,
so that a product of two descriptors is their Bhattacharyya coefficient (A. Bhattacharyya 1943).

Clothes are the signal: it tells people of one clip and one outfit apart, and nothing else.
"""

from __future__ import annotations

import cv2
import numpy as np

#: Body parts from the head down, which overlap a little.
STRIPES = 4
#: Bins of lightness and of each colour axis.
LIGHTNESS_BINS, COLOUR_BINS = 6, 5
#: Numbers in a descriptor.
LENGTH = STRIPES * LIGHTNESS_BINS * COLOUR_BINS**2

_PATCH_WH = (16, 40)
_COLOUR_REACH = 8.0  # square root of the distance from grey (0-128) at the outermost bin
_WIDTH = 0.28  # standard deviation of the weight across the box, in its widths
_ENOUGH = 0.3  # of a box's weight must be left for what covers it to be left out


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
        weights = _PRIOR * _uncovered(inside, at)
        if weights.sum() < _ENOUGH * _PRIOR.sum():
            weights = _PRIOR
        found[at] = np.sqrt(_histograms(patch, weights)).ravel()
    return found


def similarity(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """(N, M) float64 0..1 of descriptors (N, LENGTH) and (M, LENGTH); 1 is the same colours.

    Summed in one order whatever N and M are: how two people compare does not depend on who else is
    in the picture.
    """
    products = np.einsum("nd,md->nm", one.astype(np.float64), other.astype(np.float64))
    return np.clip(products, 0.0, 1.0)


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


def _uncovered(inside: np.ndarray, at: int) -> np.ndarray:
    """1 in the cells of a box's patch that no nearer person's box covers, else 0.

    Who stands lower in the picture is nearer.
    """
    x1, y1, x2, y2 = inside[at]
    width, height = _PATCH_WH
    across = x1 + (np.arange(width) + 0.5) / width * (x2 - x1)
    down = y1 + (np.arange(height) + 0.5) / height * (y2 - y1)
    free = np.ones((height, width))
    for other in inside[inside[:, 3] > y2]:
        rows = (down > other[1]) & (down < other[3])
        free[np.ix_(rows, (across > other[0]) & (across < other[2]))] = 0
    return free


def _histograms(patch_rgb: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(STRIPES, bins) shares that sum to 1 in all."""
    lab = cv2.cvtColor(patch_rgb, cv2.COLOR_RGB2LAB).astype(np.float64)
    colours = lab[..., 1:] - 128.0
    bent = np.sign(colours) * np.sqrt(np.abs(colours)) / _COLOUR_REACH  # finer near grey
    levels = (
        lab[..., 0] / 255 * (LIGHTNESS_BINS - 1),
        *((np.clip(bent[..., axis], -1, 1) + 1) / 2 * (COLOUR_BINS - 1) for axis in (0, 1)),
    )
    bins = (LIGHTNESS_BINS, COLOUR_BINS, COLOUR_BINS)
    near = [_weights_of_bins(level, count) for level, count in zip(levels, bins, strict=True)]
    joint = np.einsum("pl,pr,py->plry", *near).reshape(len(near[0]), -1)
    weighted = (_STRIPES[:, :, None] * weights).reshape(STRIPES, -1)
    shares = np.einsum("sp,pb->sb", weighted, joint)  # in one order, as no BLAS promises
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12) / STRIPES


def _weights_of_bins(levels: np.ndarray, bins: int) -> np.ndarray:
    """(pixels, bins): what each pixel gives to the two bins around its level."""
    return np.clip(1 - np.abs(levels.reshape(-1, 1) - np.arange(bins)), 0, 1)
