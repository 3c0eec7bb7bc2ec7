"""Upright, square pixels: display matrices as FFmpeg writes them, and nonsense."""

import struct
from fractions import Fraction as F

import numpy as np
import pytest

from ferrari.video.orientation import (
    Orientation,
    from_display_matrix,
    make_upright,
    sane_aspect,
    shown_size,
)

ONE = 1 << 16


def matrix(a, b, c, d):
    return struct.pack("<9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (matrix(ONE, 0, 0, ONE), Orientation(0)),
        (matrix(0, ONE, -ONE, 0), Orientation(1)),
        (matrix(-ONE, 0, 0, -ONE), Orientation(2)),
        (matrix(0, -ONE, ONE, 0), Orientation(3)),
        (matrix(-ONE, 0, 0, ONE), Orientation(0, flip=True)),
        (matrix(ONE, ONE, -ONE, ONE), Orientation(0)),  # 45 degrees: not ours to guess
        (matrix(-(1 << 31), -(1 << 31), -(1 << 31), -(1 << 31)), Orientation(0)),
        (matrix(0, 0, 0, 0), Orientation(0)),
        (b"short", Orientation(0)),
    ],
)
def test_display_matrix(data, expected):
    assert from_display_matrix(data) == expected


@pytest.mark.parametrize("sar", [None, F(0), F(1000), F(1, 1000)])
def test_absurd_aspects_count_as_square(sar):
    assert sane_aspect(sar) == 1


def test_pixels_land_where_a_player_shows_them():
    frame = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    assert make_upright(frame, F(1), Orientation(1)).tolist() == [[4, 1], [5, 2], [6, 3]]
    assert make_upright(frame, F(1), Orientation(3)).tolist() == [[3, 6], [2, 5], [1, 4]]
    assert make_upright(frame, F(1), Orientation(0, True)).tolist() == [[3, 2, 1], [6, 5, 4]]


def test_aspect_stretches_the_shorter_way_and_the_limit_holds():
    assert shown_size(320, 480, F(2), Orientation(1)) == (480, 640)
    assert shown_size(640, 480, F(1, 2), Orientation()) == (640, 960)
    upright = make_upright(np.zeros((480, 320, 3), np.uint8), F(2), Orientation(1), max_side=320)
    assert upright.shape == (320, 240, 3)
