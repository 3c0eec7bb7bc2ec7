"""Boxes below the bound that count, since a face of their own is seen in them."""

from __future__ import annotations

import numpy as np

from ferrari.subject.faint_people import with_a_face
from ferrari.subject.sightings_file import SeenFace

LEFT, RIGHT = (100.0, 100.0, 200.0, 300.0), (190.0, 100.0, 290.0, 300.0)
BOTH = (100.0, 100.0, 290.0, 300.0)


def face(x: float, side: float = 60, score: float = 0.9, yaw: float = 0.0) -> SeenFace:
    return SeenFace(np.zeros(4), (x, 110.0, x + side, 110.0 + 1.2 * side), score, yaw)


LEFTS, RIGHTS = face(120), face(210)


def test_a_box_with_a_face_of_its_own_counts():
    assert with_a_face([LEFT], [[LEFTS]], [[RIGHTS]]) == [0]


def test_where_nobody_else_is_a_face_is_enough():
    assert with_a_face([], [], [[LEFTS], []]) == [0]


def test_a_box_without_a_face_does_not_count():
    assert with_a_face([LEFT], [[LEFTS]], [[]]) == []


def test_nor_with_one_that_cannot_be_judged():
    for poor in (face(210, side=20), face(210, score=0.1), face(210, yaw=89.0)):
        assert with_a_face([LEFT], [[LEFTS]], [[poor]]) == []


def test_nor_with_two_faces():
    assert with_a_face([], [], [[LEFTS, RIGHTS]]) == []


def test_the_only_face_of_somebody_stays_theirs():
    """A second box around one person."""
    assert with_a_face([LEFT], [[LEFTS]], [[LEFTS]]) == []
    assert with_a_face([LEFT, RIGHT], [[LEFTS], [RIGHTS]], [[LEFTS], [RIGHTS]]) == []


def test_a_box_around_two_gives_up_the_face_of_the_second():
    assert with_a_face([BOTH], [[LEFTS, RIGHTS]], [[RIGHTS]]) == [0]
    assert with_a_face([LEFT, BOTH], [[LEFTS], [RIGHTS]], [[RIGHTS]]) == [0]


def test_of_two_boxes_with_one_face_the_first_counts():
    assert with_a_face([], [], [[LEFTS], [face(122)], [RIGHTS]]) == [0, 2]
