"""The subject's colours where pixels are a mixture of subject and scene.

Germer, Uelwer, Conrad and Harmeling, "Fast Multi-Level Foreground Estimation" (2020), as pymatting
computes it (MIT, Copyright (c) 2020 PyMatting): foreground and background of a picture of one
pixel, then of about twice the size, and so on up to the picture itself; at each level a few sweeps,
from what the level before has found. Here only pixels that are asked for are computed, with a
margin: a tenth of most cut-outs.

Pure arrays; compiled by numba when this module is imported (the first time ever: seconds, then from
numba's cache). One thread: a sweep uses what it has just written.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit, types

_REGULARISATION = np.float32(1e-5)
_SMALL_PX, _SWEEPS_SMALL, _SWEEPS = 32, 10, 2
_SURE, _NONE = 229, 26  # alpha above and below which a pixel is all foreground, all background

#: A value that is missing beside a pixel has a quarter of its weight there, so at four pixels it is
#: below 1/255.
_MARGIN = 4
_LEFT_OUT, _READ, _COMPUTED = 0, 1, 2


def estimate(image_rgb: np.ndarray, alpha_u8: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """HxWx3 uint8: the foreground's colours where `wanted` (HxW bool, contiguous), elsewhere 0.

    `image_rgb` HxWx3 uint8, `alpha_u8` HxW uint8.
    """
    height, width = wanted.shape
    levels = math.ceil(math.log2(max(height, width)))
    steps = [level / levels for level in range(levels + 1)] if levels else [1.0]
    sizes = [(round(height**step), round(width**step)) for step in steps]
    now = _mean_colours(image_rgb, alpha_u8)
    for size, mask in zip(sizes, _masks(wanted, sizes), strict=True):
        before, now = now, np.empty((*size, 6), np.float32)
        sweeps = _SWEEPS_SMALL if max(size) <= _SMALL_PX else _SWEEPS
        _compute_level(image_rgb, alpha_u8, before, mask, sweeps, now)
    colours = np.zeros((height, width, 3), np.uint8)
    _as_bytes(now, wanted, colours)
    return colours


def _mean_colours(image_rgb: np.ndarray, alpha_u8: np.ndarray) -> np.ndarray:
    """1x1x6 float32, 0..1: the mean colours of foreground and background."""
    means = [
        cv2.mean(image_rgb, mask.astype(np.uint8))[:3]
        for mask in (alpha_u8 > _SURE, alpha_u8 < _NONE)
    ]
    return (np.reshape(means, (1, 1, 6)) / 255).astype(np.float32)


def _masks(wanted: np.ndarray, sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    """What to do with the pixels of each level, so that the last one has all that is `wanted`."""
    masks: list[np.ndarray] = []
    needed = wanted.astype(np.uint8)
    for size in reversed(sizes):
        if masks:
            needed = np.zeros(size, np.uint8)
            _mark_sources(masks[-1], needed)
        computed = cv2.dilate(needed, np.ones((2 * _MARGIN + 1,) * 2, np.uint8))
        read = cv2.dilate(computed, np.ones((3, 3), np.uint8))
        masks.append(read * _READ + computed * (_COMPUTED - _READ))
    return masks[::-1]


@njit("void(f4[:, :, ::1], b1[:, ::1], u1[:, :, ::1])", cache=True, nogil=True)
def _as_bytes(now: np.ndarray, wanted: np.ndarray, colours: np.ndarray) -> None:
    """The foreground of `now` where `wanted`, 0..1 as 0..255."""
    for y in range(wanted.shape[0]):
        for x in range(wanted.shape[1]):
            if wanted[y, x]:
                for c in range(3):
                    colours[y, x, c] = int(now[y, x, c] * np.float32(255) + np.float32(0.5))


@njit("void(u1[:, ::1], u1[:, ::1])", cache=True, nogil=True)
def _mark_sources(mask: np.ndarray, sources: np.ndarray) -> None:
    """Mark the pixels of the level before from which those of `mask` begin."""
    height, width = mask.shape
    for y in range(height):
        for x in range(width):
            if mask[y, x] != _LEFT_OUT:
                sources[y * sources.shape[0] // height, x * sources.shape[1] // width] = 1


@njit(
    types.void(
        types.Array(types.uint8, 3, "A", readonly=True),
        types.Array(types.uint8, 2, "A", readonly=True),
        types.float32[:, :, ::1],
        types.uint8[:, ::1],
        types.float32[:, :, ::1],
        types.float32[:, ::1],
        types.float32[:, :, ::1],
    ),
    cache=True,
    nogil=True,
)
def _begin_level(
    image_rgb: np.ndarray,
    alpha_u8: np.ndarray,
    before: np.ndarray,
    mask: np.ndarray,
    now: np.ndarray,
    alpha: np.ndarray,
    colours: np.ndarray,
) -> None:
    """Take each pixel's alpha, colour, and first foreground and background from the nearest."""
    (height, width), (tall, wide) = mask.shape, alpha_u8.shape
    # Columns of the picture and of the level before: a division a pixel took half of the time.
    columns, columns_before = np.empty(width, np.int64), np.empty(width, np.int64)
    for x in range(width):
        columns[x] = x * wide // width
        columns_before[x] = x * before.shape[1] // width
    for y in range(height):
        up, up_before = y * tall // height, y * before.shape[0] // height
        for x in range(width):
            if mask[y, x] == _LEFT_OUT:
                continue
            left, left_before = columns[x], columns_before[x]
            alpha[y, x] = np.float32(alpha_u8[up, left]) / np.float32(255)
            for c in range(3):
                colours[y, x, c] = np.float32(image_rgb[up, left, c]) / np.float32(255)
            for c in range(6):
                now[y, x, c] = before[up_before, left_before, c]


@njit(
    "void(f4[:, ::1], f4[:, :, ::1], u1[:, ::1], f4[:, :, ::1])",
    cache=True,
    nogil=True,
)
def _sweep(alpha: np.ndarray, colours: np.ndarray, mask: np.ndarray, now: np.ndarray) -> None:
    """Each pixel's foreground and background once, from its neighbours', in place.

    They are the least squares of the mixture (its colour), and of the differences from the four
    neighbours, which count by how alpha differs.
    """
    height, width = mask.shape
    zero, one = np.float32(0), np.float32(1)
    for y in range(height):
        up, down = max(0, y - 1), min(height - 1, y + 1)
        for x in range(width):
            if mask[y, x] != _COMPUTED:
                continue
            left, right = max(0, x - 1), min(width - 1, x + 1)
            a = alpha[y, x]
            b = one - a
            to_left = _REGULARISATION + abs(a - alpha[y, left])
            to_right = _REGULARISATION + abs(a - alpha[y, right])
            to_up = _REGULARISATION + abs(a - alpha[up, x])
            to_down = _REGULARISATION + abs(a - alpha[down, x])
            weight = to_left + to_right + to_up + to_down
            scale = one / ((a * a + weight) * (b * b + weight) - a * b * (a * b))
            front, back, cross = (b * b + weight) * scale, (a * a + weight) * scale, a * b * scale
            for c in range(3):
                mixed = colours[y, x, c]
                f = a * mixed + to_left * now[y, left, c] + to_right * now[y, right, c]
                f += to_up * now[up, x, c] + to_down * now[down, x, c]
                g = b * mixed + to_left * now[y, left, c + 3] + to_right * now[y, right, c + 3]
                g += to_up * now[up, x, c + 3] + to_down * now[down, x, c + 3]
                now[y, x, c] = max(zero, min(one, front * f - cross * g))
                now[y, x, c + 3] = max(zero, min(one, back * g - cross * f))


def _compute_level(
    image_rgb: np.ndarray,
    alpha_u8: np.ndarray,
    before: np.ndarray,
    mask: np.ndarray,
    sweeps: int,
    now: np.ndarray,
) -> None:
    """Fill `now`, HxWx6 float32 of foreground and background, where `mask` asks for them."""
    alpha = np.empty(mask.shape, np.float32)
    colours = np.empty((*mask.shape, 3), np.float32)
    _begin_level(image_rgb, alpha_u8, before, mask, now, alpha, colours)
    for _ in range(sweeps):
        _sweep(alpha, colours, mask, now)
