"""Descriptors of boxes: who wears what, whatever the box's size and edge."""

from __future__ import annotations

import numpy as np
import pytest

from bench import crossings
from ferrari.subject import appearance

GREY = (128, 128, 128)


def dressed(top, legs, *, at=(60, 20, 100, 120), behind=GREY, size=(160, 200)) -> np.ndarray:
    """A picture with a figure of two colours in the box `at`."""
    picture = np.full((*size[::-1], 3), behind, np.uint8)
    x1, y1, x2, y2 = at
    picture[y1 : (y1 + y2) // 2, x1:x2] = top
    picture[(y1 + y2) // 2 : y2, x1:x2] = legs
    return picture


def look(picture, *boxes) -> np.ndarray:
    return appearance.descriptors(picture, np.array(boxes, np.float32))


def likeness(one, other) -> float:
    return float(appearance.similarity(one, other)[0, 0])


RED, BLUE, BOX = (200, 30, 40), (30, 40, 190), (60, 20, 100, 120)


def test_a_descriptor_is_of_unit_length_and_like_itself():
    found = look(dressed(RED, BLUE), BOX)
    assert found.shape == (1, appearance.LENGTH) and found.dtype == np.float32
    assert np.sum(found**2) == pytest.approx(1, abs=1e-5)
    assert likeness(found, found) == pytest.approx(1, abs=1e-3)


def test_the_same_colours_upside_down_are_somebody_else():
    one, other = look(dressed(RED, BLUE), BOX), look(dressed(BLUE, RED), BOX)
    assert likeness(one, other) < 0.3


def test_colours_that_nobody_shares_are_not_alike_at_all():
    one, other = look(dressed(RED, RED), BOX), look(dressed(BLUE, BLUE), BOX)
    assert likeness(one, other) == pytest.approx(0, abs=1e-6)


def test_a_box_that_is_a_little_off_changes_little():
    picture = dressed(RED, BLUE)
    exact = look(picture, BOX)
    for off in ((57, 15, 103, 125), (63, 24, 98, 117), (64, 20, 104, 120)):
        assert likeness(exact, look(picture, off)) > 0.7


def test_size_does_not_count():
    small = look(dressed(RED, BLUE, at=(60, 20, 72, 50)), (60, 20, 72, 50))
    assert likeness(look(dressed(RED, BLUE), BOX), small) > 0.9


def test_a_little_more_light_is_still_the_same_person():
    picture = dressed(RED, BLUE)
    brighter = np.clip(picture * 1.12, 0, 255).astype(np.uint8)
    assert likeness(look(picture, BOX), look(brighter, BOX)) > 0.5
    other = look(dressed((40, 140, 60), (90, 80, 60)), BOX)
    assert likeness(look(picture, BOX), other) < 0.3


def test_boxes_without_a_pixel_are_like_nothing():
    picture = dressed(RED, BLUE)
    empty = look(picture, (60, 20, 60, 120), (200, 20, 260, 120), (50, 90, 40, 80))
    assert not empty.any()
    assert not appearance.similarity(empty, look(picture, BOX)).any()
    assert look(picture).shape == (0, appearance.LENGTH)
    assert appearance.similarity(empty[:0], empty).shape == (0, 3)


def test_boxes_reach_beyond_the_picture():
    picture = dressed(RED, BLUE, at=(0, 0, 40, 100))
    assert likeness(look(picture, (-30, -10, 40, 100)), look(picture, (0, 0, 40, 100))) > 0.99


def test_grey_pictures_still_tell_dark_from_light():
    dark, light, again = (
        look(dressed((v,) * 3, (v + 20,) * 3, behind=(90,) * 3), BOX) for v in (20, 200, 24)
    )
    assert likeness(dark, again) > 0.7 > 0.2 > likeness(dark, light)


def test_who_else_is_compared_changes_no_bit():
    rng = np.random.default_rng(0)
    some = rng.uniform(0, 0.03, (30, appearance.LENGTH)).astype(np.float32)
    together = appearance.similarity(some, some)
    for at in range(0, 30, 7):
        np.testing.assert_array_equal(appearance.similarity(some[at:][:1], some)[0], together[at])


def test_drawn_people_are_told_apart():
    """Each person's boxes are liker to their own than to the other's, in a clip where both walk."""
    scene = crossings.pairs(3, twins=False)[8]  # side by side
    clip = crossings.film(scene)
    looks = np.concatenate([moment.looks for moment in clip.moments])
    who = np.concatenate(clip.shows)
    alike = appearance.similarity(looks, looks)
    same = who[:, None] == who[None]
    assert np.quantile(alike[same], 0.05) > np.quantile(alike[~same], 0.95)
