"""The score of a track: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.subject import consistency

RED, BLUE = np.eye(2, dtype=np.float32)
TIMES = np.arange(6) / 6


def boxes(lefts) -> np.ndarray:
    return np.array([[left, 10, left + 40, 110] for left in lefts], np.float32)


def test_an_even_motion_in_the_same_clothes_is_wholly_consistent():
    for lefts in ([50] * 6, np.arange(6) * 90):
        found = consistency.of_track(TIMES, boxes(lefts), np.stack([RED] * 6))
        assert found.score == pytest.approx(1) and found.detections == 6


def test_moments_at_uneven_times_are_no_jump():
    times = np.array([0, 1 / 6, 0.5, 0.6, 1.0])
    found = consistency.of_track(times, boxes(200 * times), np.stack([RED] * 5))
    assert found.place == pytest.approx(1, abs=1e-5)


def test_a_box_a_quarter_of_its_width_off():
    """Of three detections the middle one is judged: its two upright sides are off by a quarter."""
    found = consistency.of_track(TIMES[:3], boxes([0, 10, 0]), np.stack([RED] * 3))
    assert found.place == pytest.approx(np.exp(-(0.25 / 2) / 0.25))
    assert found.score == pytest.approx(np.sqrt(found.place))


def test_half_a_track_in_other_colours():
    found = consistency.of_track(TIMES, boxes([0] * 6), np.stack([RED] * 3 + [BLUE] * 3))
    assert found.looks == pytest.approx(1 - np.sqrt(1 - np.sqrt(0.5)))
    assert found.score == pytest.approx(np.sqrt(found.looks))


def test_a_jump_to_another_person_is_the_worst():
    steady = consistency.of_track(TIMES, boxes([0] * 6), np.stack([RED] * 6))
    mixed = consistency.of_track(TIMES, boxes([0, 0, 300, 0, 0, 0]), np.stack([RED, BLUE] * 3))
    assert mixed.score < 0.5 < steady.score


def test_a_track_of_one_and_of_nothing_to_see():
    assert consistency.of_track(TIMES[:1], boxes([5]), RED[None]).score == pytest.approx(1)
    assert consistency.of_track(TIMES[:1], boxes([5]), np.zeros((1, 2))).score == 0


def test_a_clip_is_the_mean_of_its_detections():
    one = consistency.Consistency(3, 1.0, 1.0)
    other = consistency.Consistency(1, 0.25, 1.0)
    assert consistency.of_clip([one, other]) == pytest.approx((3 * 1 + 0.5) / 4)
    assert consistency.of_clip([]) == 1
