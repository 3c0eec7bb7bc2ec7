"""Boxes below the bound that count, since a face of their own is seen in them."""

from __future__ import annotations

import numpy as np

from ferrari.subject.faint_people import left_to, with_a_face
from ferrari.subject.sightings_file import SeenFace

LEFT, RIGHT = (100.0, 100.0, 200.0, 300.0), (190.0, 100.0, 290.0, 300.0)
BOTH = (100.0, 100.0, 290.0, 300.0)


def face(x: float, side: float = 60, score: float = 0.9, yaw: float = 0.0) -> SeenFace:
    return SeenFace(np.zeros(4), (x, 110.0, x + side, 110.0 + 1.2 * side), score, yaw)


LEFTS, RIGHTS = face(120), face(210)


def counted(sure, faint):
    """The numbers of those that count."""
    return list(with_a_face(sure, faint))


def test_a_box_with_a_face_of_its_own_counts():
    assert with_a_face([(LEFT, [LEFTS])], [(RIGHT, [RIGHTS])]) == {0: [RIGHTS]}


def test_where_nobody_else_is_a_face_is_enough():
    assert counted([], [(LEFT, [LEFTS]), (RIGHT, [])]) == [0]


def test_a_box_without_a_face_does_not_count():
    assert counted([(LEFT, [LEFTS])], [(RIGHT, [])]) == []


def test_nor_with_one_that_cannot_be_judged():
    for poor in (face(210, side=20), face(210, score=0.1), face(210, yaw=89.0)):
        assert counted([(LEFT, [LEFTS])], [(RIGHT, [poor])]) == []


def test_nor_with_two_faces():
    assert counted([], [(BOTH, [LEFTS, RIGHTS])]) == []


def test_the_only_face_of_somebody_stays_theirs():
    """A second box around one person."""
    assert counted([(LEFT, [LEFTS])], [(LEFT, [LEFTS])]) == []
    known = [(LEFT, [LEFTS]), (RIGHT, [RIGHTS])]
    assert counted(known, known) == []


def test_a_face_that_is_rather_somebody_else_s_speaks_for_nobody():
    """A box from whose middle it is further away, whether it was found in the other or not."""
    wide = (20.0, 100.0, 290.0, 300.0)
    assert counted([(RIGHT, [])], [(wide, [RIGHTS])]) == []
    assert counted([], [(wide, [RIGHTS])]) == [0]


def test_a_box_around_two_gives_up_the_face_of_the_second():
    assert counted([(BOTH, [LEFTS, RIGHTS])], [(RIGHT, [RIGHTS])]) == [0]
    assert counted([(LEFT, [LEFTS]), (BOTH, [RIGHTS])], [(RIGHT, [RIGHTS])]) == [0]


def test_what_is_left_to_it_are_the_faces_of_which_none_is_given():
    assert left_to([LEFTS, RIGHTS], [face(212)]) == [LEFTS]
    assert left_to([LEFTS], []) == [LEFTS]


def test_of_two_boxes_with_one_face_the_first_counts():
    assert counted([], [(LEFT, [LEFTS]), (LEFT, [face(122)]), (RIGHT, [RIGHTS])]) == [0, 2]
