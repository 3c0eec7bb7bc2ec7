"""Faces and whose they are, with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.images import faces
from ferrari.images.faces import Face

STANDING = (100.0, 0.0, 300.0, 600.0)
CLOSE_UP = (0.0, 0.0, 400.0, 400.0)


def square(x, y, side=60.0):
    return (x, y, x + side, y + side)


@pytest.mark.parametrize(
    ("face", "person", "theirs", "why"),
    [
        (square(170, 20), STANDING, True, "where a head is"),
        (square(170, 240), STANDING, True, "at the end of the upper half"),
        (square(170, 265), STANDING, False, "half of it is below the middle: a child in front"),
        (square(170, 500), STANDING, False, "a picture on trousers"),
        (square(85, 20), STANDING, True, "three quarters of it lie inside"),
        (square(75, 20), STANDING, False, "more than 0.3 of it is outside: somebody behind"),
        (square(400, 20), STANDING, False, "beside the box"),
        (square(170, 300), CLOSE_UP, True, "the picture ends at the chin: no half of a body"),
        (square(300, 60), (0.0, 0.0, 600.0, 200.0), True, "somebody lies: anywhere along the box"),
        (square(170, 20, 0), STANDING, False, "an empty box is nobody's"),
    ],
)
def test_a_face_belongs_to_the_body_in_whose_upper_half_it_lies(face, person, theirs, why):
    assert faces.belongs(face, person) is theirs, why


def test_a_face_in_two_boxes_is_that_of_the_body_whose_top_it_is_at():
    adult, child = (0.0, 0.0, 300.0, 800.0), (80.0, 250.0, 220.0, 700.0)
    on_chest = square(120, 270)
    assert faces.belongs(on_chest, adult) and faces.belongs(on_chest, child)
    assert faces.owner(on_chest, [adult, child]) == 1
    assert faces.owner(on_chest, [child, adult]) == 0
    assert faces.owner(square(120, 30), [child, adult]) == 1
    assert faces.owner(square(900, 30), [child, adult]) is None
    assert faces.owner(on_chest, []) is None


def of(box, score):
    return Face(box, np.zeros((5, 2), np.float32), score)


def test_a_face_that_was_found_twice_is_one_and_the_best_comes_first():
    found = [of(square(0, 0), 0.7), of(square(5, 5), 0.9), of(square(200, 0), 0.8)]
    for order in (found, found[::-1]):
        assert [face.score for face in faces.distinct(order)] == [0.9, 0.8]


def test_a_face_of_a_part_is_placed_in_the_whole():
    part = Face((10, 20, 50, 100), np.array([[20.0, 40.0]] * 5, np.float32), 0.9)
    whole = part.placed(2.0, 100, 7)
    assert whole.box_xyxy == (105.0, 17.0, 125.0, 57.0) and whole.score == 0.9
    np.testing.assert_array_equal(whole.landmarks_xy, [[110.0, 27.0]] * 5)
    assert (part.short_side, whole.short_side) == (40, 20)
