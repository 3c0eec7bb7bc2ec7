"""Who stands where a track ended goes on it, if nobody else was near; clothes must not object."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.subject import judgements as j
from ferrari.subject.judgements import SUBJECT, UNSURE
from tests.unit.subject.test_who import Scene, said

HERE, AWAY = (100, 0, 200, 300), (400, 0, 500, 300)


def turned(
    clothes: float,
    *,
    gap: float = 1.0,
    then: tuple = HERE,
    near: tuple | None = None,
    at: float = 4.0,
) -> j.Judgement:
    """The subject's face for four moments, then a back; `near` is somebody else's box, for once."""
    scene = Scene().see(0, range(5), 0).see(1, [4 + gap, 5 + gap], None)
    boxes = [HERE] * 5 + [then] * 2
    if near is not None:
        scene.see(2, [at], None)
        boxes.append(near)
    found = scene.decide(clothes={(0, 1): clothes}, boxes=np.array(boxes, np.float32))
    return found.tracks[1]


def test_a_back_at_the_place_is_the_subject_by_clothes_that_say_less():
    judged = turned(0.61)
    assert said(judged) == (SUBJECT, j.BODY, j.SAME_PLACE)
    assert (judged.score, judged.threshold) == (0.61, 0.6) and 0 < judged.sureness < 0.61
    assert said(turned(0.9)) == (SUBJECT, j.BODY, j.CLOTHES_MATCH)


@pytest.mark.parametrize(
    ("clothes", "how"),
    [
        (0.59, {}),
        (0.65, {"gap": 1.6}),
        (0.65, {"then": AWAY}),
        (0.65, {"near": (150, 0, 300, 300), "at": 4.5}),  # in between
        (0.65, {"near": (150, 0, 300, 300), "at": 2.0}),  # may have hidden behind
        (0.65, {"near": (150, 0, 300, 300), "at": 7.4}),  # may have come out from behind
    ],
)
def test_it_is_unsure_where_anything_speaks_against_it(clothes, how):
    assert said(turned(clothes, **how)) == (UNSURE, j.NOTHING, j.NO_FACE)


def test_somebody_far_away_is_no_doubt():
    assert turned(0.65, near=AWAY, at=4.5).why == j.SAME_PLACE


def test_a_stranger_s_back_goes_on_the_stranger():
    scene = Scene().see(0, range(5), 1).see(1, [5, 6], None)
    found = scene.decide(clothes={(0, 1): 0.65}, boxes=np.array([HERE] * 7, np.float32))
    assert said(found.tracks[1]) == (j.NOT_SUBJECT, j.BODY, j.SAME_PLACE)


def test_without_boxes_clothes_alone_speak():
    scene = Scene().see(0, range(5), 0).see(1, [5, 6], None)
    assert scene.decide(clothes={(0, 1): 0.65}).tracks[1].who == UNSURE
