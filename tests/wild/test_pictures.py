"""The figures by which two pictures count as the same, turned, or a part of each other."""

import cv2
import numpy as np

from tests.wild import pictures
from tests.wild.made_views import scene

PICTURE = scene(width=128, height=96)


def test_the_bounds_of_alike():
    for shift, alike in ((2, True), (3, False)):
        assert pictures.apart(PICTURE, PICTURE + np.uint8(shift)).alike is alike
    for lines, alike in ((1, True), (2, False)):  # of 96: 1.04 % and 2.08 % with one channel off
        other = PICTURE.copy()
        other[:lines, :120] += 9
        assert pictures.apart(PICTURE, other).alike is alike


def test_a_turn_is_seen_in_spite_of_colours():
    other = cv2.convertScaleAbs(PICTURE, alpha=0.8, beta=20)
    assert pictures.turn_between(PICTURE, other) == ""
    assert pictures.turn_between(PICTURE, np.rot90(other)) == "turned by 90 degrees"
    assert pictures.turn_between(PICTURE, other[:, ::-1]) == "mirrored, turned by 0 degrees"
    assert pictures.turn_between(PICTURE, scene(2, 128, 96)) == ""


def test_a_part_is_found_to_the_pixel():
    part = np.ascontiguousarray(PICTURE[10:70, 7:99])
    assert pictures.place_within(part, PICTURE) == (7, 10)
    assert pictures.place_within(part + np.uint8(20), PICTURE) is None
    assert pictures.place_within(PICTURE, part) is None


def test_between_neighbours_takes_no_shift_of_colour():
    flat = np.full_like(PICTURE, 90)
    flat[:, 64:] = 150
    moved = np.roll(flat, 2, axis=1)
    moved[:, :2] = 90
    assert not pictures.apart(flat, moved).alike
    assert pictures.between_neighbours(flat, moved).alike
    assert not pictures.between_neighbours(flat, flat + np.uint8(9)).alike


def test_tones_agree_through_any_curve_and_no_other_picture():
    curve = (255 * (PICTURE / 255.0) ** 0.4).astype(np.uint8)
    assert pictures.tones_agree(PICTURE, curve) > 0.95
    assert pictures.tones_agree(PICTURE, scene(2, 128, 96)) < 0.5


def test_square_pixels():
    assert pictures.shown_size(720, 576, 16 / 15) == (768, 576)
    assert pictures.shown_size(480, 360, 3 / 4) == (480, 480)
