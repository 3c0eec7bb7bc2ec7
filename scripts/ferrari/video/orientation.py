"""Upright, square pixels: display matrix and sample aspect ratio, read with suspicion."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

_SANE_ASPECT = (Fraction(1, 4), Fraction(4))
_MAX_SIDE = 16384


@dataclass(frozen=True)
class Orientation:
    """How a stored frame becomes the shown one.

    First `quarter_turns` of 90 degrees clockwise, then `flip` mirrors left-right.
    """

    quarter_turns: int = 0
    flip: bool = False

    @property
    def degrees(self) -> int:
        """Clockwise rotation in degrees: 0, 90, 180 or 270."""
        return 90 * self.quarter_turns


def from_display_matrix(data: bytes) -> Orientation:
    """Orientation from FFmpeg's DISPLAYMATRIX side data (nine little-endian int32).

    Anything that is not a multiple of 90 degrees within 2 degrees, INT_MIN included, counts as
    upright. Layout: libavutil/display.h, rows (a b u), (c d v), (x y w), 16.16 fixed point.
    """
    if len(data) < 36:
        return Orientation()
    a, b, _, c, d = struct.unpack("<5i", data[:20])
    flip = a * d - b * c < 0
    if flip:
        a, c = -a, -c
    if not (a or b):
        return Orientation()
    clockwise = math.degrees(math.atan2(b, a))
    turns = round(clockwise / 90)
    if abs(clockwise - 90 * turns) > 2:
        return Orientation()
    return Orientation(turns % 4, flip)


def sane_aspect(sar: Fraction | None) -> Fraction:
    """The sample aspect ratio, or 1 where it is missing or beyond 1:4 .. 4:1."""
    if not sar or not _SANE_ASPECT[0] <= sar <= _SANE_ASPECT[1]:
        return Fraction(1)
    return Fraction(sar)


def square_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """Size with square pixels; the shorter way is stretched, so that no pixel is thrown away."""
    if sar >= 1:
        return min(_MAX_SIDE, round(width * sar)), height
    return width, min(_MAX_SIDE, round(height / sar))


def limited_size(width: int, height: int, sar: Fraction, max_side: int | None) -> tuple[int, int]:
    """`square_size`, both sides made smaller by the same where one would be beyond `max_side`."""
    wide, high = square_size(width, height, sar)
    if max_side and max(wide, high) > max_side:
        factor = max_side / max(wide, high)
        return max(1, round(wide * factor)), max(1, round(high * factor))
    return wide, high


def shown_size(width: int, height: int, sar: Fraction, turn: Orientation) -> tuple[int, int]:
    """(width, height) as a player shows them: after aspect, then rotation."""
    wide, high = square_size(width, height, sar)
    return (high, wide) if turn.quarter_turns % 2 else (wide, high)


def make_upright(
    frame: np.ndarray, sar: Fraction, turn: Orientation, max_side: int | None = None
) -> np.ndarray:
    """Stretch to square pixels, limit the longer side to `max_side`, rotate and mirror.

    `frame` is HxW or HxWxC uint8 as stored; the result is C-contiguous.
    """
    height, width = frame.shape[:2]
    wide, high = limited_size(width, height, sar, max_side)
    if (wide, high) != (width, height):
        shrinks = wide * high < width * height
        method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        frame = cv2.resize(frame, (wide, high), interpolation=method)
    frame = np.rot90(frame, -turn.quarter_turns)
    return np.ascontiguousarray(frame[:, ::-1] if turn.flip else frame)
