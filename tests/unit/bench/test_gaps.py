"""Gaps between arm and body, on a person who is a rectangle."""

from __future__ import annotations

import numpy as np
import pytest

from bench import gaps


def person() -> np.ndarray:
    """400 x 200, of one colour."""
    return np.full((400, 200, 4), (200, 60, 30, 255), np.uint8)


@pytest.mark.parametrize("width", [10, 34])
def test_a_gap_is_as_wide_as_asked_in_its_middle_and_closed_at_both_ends(width):
    layer, gap = gaps.pulled_apart(person(), width)
    widths = gap.sum(1)
    assert width - 4 <= widths.max() <= width
    rows = np.flatnonzero(widths)
    assert np.flatnonzero(widths == widths.max()).mean() == pytest.approx(
        (rows[0] + rows[-1]) / 2, abs=15
    )
    assert (layer.alpha[12:200, 20:190] > 0.99).all()
    assert 200 < rows[0] < rows[-1] < len(gap) - 4
    # The arm lies beyond the gap, as wide as before, in the person's colour.
    middle = rows[len(rows) // 2]
    beyond = layer.alpha[middle, np.flatnonzero(gap[middle])[-1] + 1 :]
    assert beyond.sum() == pytest.approx(0.2 * 200, abs=4)
    assert layer.rgb[middle][layer.alpha[middle] > 0.9] == pytest.approx(
        np.broadcast_to((200, 60, 30), (int((layer.alpha[middle] > 0.9).sum()), 3)), abs=2
    )


def test_the_scene_shows_in_the_gap_alone():
    picture, gap = gaps.picture(person(), 24, 3)
    assert picture.image_rgb.shape[:2] == picture.alpha_u8.shape == gap.shape
    assert picture.alpha_u8[gap].max() <= 6
    assert np.abs(picture.image_rgb[gap].astype(int) - (200, 60, 30)).sum(1).min() > 30


def test_a_gap_is_filled_where_most_of_it_is():
    gap = np.zeros((20, 20), bool)
    gap[5:15, 5:15] = True
    alpha = np.ones((20, 20), np.float32)
    assert gaps.is_filled(alpha, gap)
    alpha[5:11, 5:15] = 0
    assert not gaps.is_filled(alpha, gap)
    assert not gaps.is_filled(alpha, np.zeros_like(gap))
