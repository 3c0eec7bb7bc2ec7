"""Whether two pictures of a clip show the same: did something move, or is it only noise?

Both pictures are shrunk to 256 px width and compared in blocks of 8 px. A distant subject changes
few blocks, and hardly the mean of the whole picture. So the block that changed most decides,
together with the mean.

Two things change a picture in which nothing moves:

- Noise of the sensor and of compression changes every block. Averaging over 3x3 px removes most
  of it; the rest shows in the median block. A block has changed if it stands out from that.
- A flickering lamp, or an exposure that follows the light, multiplies the whole picture by one
  gain. The gain is fitted and removed from a block's change, but not from the mean: new light
  is a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from ferrari.images.boxes import Box

_COMPARE_WIDTH = 256  # px; luma is area-averaged to it before pictures are compared
_BLOCK = 8  # px of that picture
_SMOOTH = 3  # px of that picture; signed differences are averaged over so many, in x and y
_BLACK = 16  # luma of black (BT.709, limited range): what no light changes
_FITS = 3  # of the light
#: Noise alone: the block that changes most, in changes of the median block. Measured on one picture
#: with noise of up to 25 levels, even and rising with the light, behind four codecs: 2.0 to 2.8.
_NOISE_PEAK = 3.0


@dataclass(frozen=True)
class LumaDelta:
    """How far two pictures differ, in levels of luma (0-255), rounded as in the tables.

    `mean` is the mean change of a block's luma, `block` the largest change of a block after
    correction for light, `noise` how large that may be if nothing moves.
    """

    mean: float
    block: float
    noise: float = 0.0

    def bound(self, settings: Mapping) -> float:
        """What `block` has to reach to count as motion: `duplicate_block`, or up to twice that for
        noise.

        Not more: if a large part of the picture moves, `noise` is not noise.
        """
        least = float(settings["duplicate_block"])
        return min(max(least, self.noise), 2 * least)

    def is_repeat(self, settings: Mapping) -> bool:
        """True if nothing has moved, and the light is the same within `duplicate_delta`."""
        return self.block < self.bound(settings) and self.mean < settings["duplicate_delta"]


#: There is nothing to compare with, or it has another size.
UNLIKE = LumaDelta(255.0, 255.0)


def compare_luma(luma: np.ndarray) -> np.ndarray:
    """HxW uint8 luma, area-averaged to 256 px width (never enlarged), for comparing pictures."""
    height, width = luma.shape
    if width <= _COMPARE_WIDTH:
        return luma.copy()
    size = (_COMPARE_WIDTH, max(1, round(height * _COMPARE_WIDTH / width)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)


def glimpse(compared: np.ndarray) -> bytes:
    """The means of 8x8 parts of a compare image (uint8): enough to recognise a picture."""
    return cv2.resize(compared, (8, 8), interpolation=cv2.INTER_AREA).tobytes()


def luma_delta(a: np.ndarray, b: np.ndarray | None, part: Box | None = None) -> LumaDelta:
    """How far two compare images (HxW uint8) differ; UNLIKE if there is no second of that size.

    `part` (x1, y1, x2, y2 as shares of the picture, 0-1) restricts `mean` and `block` to the blocks
    that it touches. Noise and light are those of the whole picture.
    """
    if b is None or a.shape != b.shape:
        return UNLIKE
    one, other = _whole_blocks(a), _whole_blocks(b)
    one_blocks, other_blocks = _blocks(one), _blocks(other)
    gain = _light(one_blocks, other_blocks)
    moved = cv2.addWeighted(one, 1.0, other, -gain, _BLACK * (gain - 1))
    changes = _blocks(np.abs(cv2.blur(moved, (_SMOOTH, _SMOOTH))))
    here = _window(part, changes.shape)
    return LumaDelta(
        mean=round(float(np.abs(one_blocks - other_blocks)[here].mean()), 4),
        block=round(float(changes[here].max()), 4),
        noise=round(_NOISE_PEAK * _median(changes), 4),
    )


def _whole_blocks(picture: np.ndarray) -> np.ndarray:
    """float32, with its last row and column repeated until it consists of whole blocks."""
    below, right = (-size % _BLOCK for size in picture.shape)
    padded = cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE)
    return padded.astype(np.float32)


def _blocks(picture: np.ndarray) -> np.ndarray:
    """The mean of each block."""
    height, width = picture.shape
    return cv2.resize(picture, (width // _BLOCK, height // _BLOCK), interpolation=cv2.INTER_AREA)


def _light(one: np.ndarray, other: np.ndarray) -> float:
    """The gain that turns the blocks of `other` into those of `one`, as far as nothing moved.

    Least squares through black, repeated without the blocks that are far off: something that moved
    must not count as light, or the rest of the picture would seem to change.
    """
    a, b = one - _BLACK, other - _BLACK
    still = np.ones(a.shape, bool)
    gain = 1.0
    for _ in range(_FITS):
        power = float((b[still] ** 2).sum())
        gain = float((a[still] * b[still]).sum()) / power if power else 1.0
        off = np.abs(a - gain * b)
        still = off <= 2 * _median(off)
    return gain


def _median(values: np.ndarray) -> float:
    """The median; numpy's own loads numpy.ma when it is first called, 30 ms in every forked job."""
    ordered = np.sort(values, axis=None)
    return float((ordered[(ordered.size - 1) // 2] + ordered[ordered.size // 2]) / 2)


def _window(part: Box | None, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of blocks that `part` touches, at least one of each."""
    if part is None:
        return slice(None), slice(None)
    left, top, right, bottom = part
    return _touched(top, bottom, shape[0]), _touched(left, right, shape[1])


def _touched(start: float, end: float, count: int) -> slice:
    first = min(max(int(start * count), 0), count - 1)
    return slice(first, max(first + 1, int(np.ceil(end * count))))
