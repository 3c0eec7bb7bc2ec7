"""Who stands where a track ended goes on it, if nobody else was near; clothes must not object."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.subject import appearance
from ferrari.subject import judgements as j
from ferrari.subject.hand_over import Likeness
from ferrari.subject.judgements import SUBJECT, UNSURE
from tests.unit.subject.test_who import Scene, said

HERE, AWAY = (100, 0, 200, 300), (400, 0, 500, 300)


def turned(
    without_head: float,
    *,
    clothes: float = 0.4,
    gap: float = 1.0,
    then: tuple = HERE,
    near: tuple | None = None,
    at: float = 4.0,
) -> j.Judgement:
    """The subject's face for four moments, then a back, as like it with the head and without;
    `near` is somebody else's box, for once.
    """
    scene = Scene().see(0, range(5), 0).see(1, [4 + gap, 5 + gap], None)
    boxes = [HERE] * 5 + [then] * 2
    if near is not None:
        scene.see(2, [at], None)
        boxes.append(near)
    alike = {"clothes": {(0, 1): clothes}, "without_head": {(0, 1): without_head}}
    return scene.decide(**alike, boxes=np.array(boxes, np.float32)).tracks[1]


def test_a_back_at_the_place_is_the_subject_by_trunk_and_legs():
    judged = turned(0.71)
    assert said(judged) == (SUBJECT, j.BODY, j.SAME_PLACE)
    assert (judged.score, judged.threshold) == (0.71, 0.7) and 0 < judged.sureness < 0.71
    assert said(turned(0.9, clothes=0.9)) == (SUBJECT, j.BODY, j.CLOTHES_MATCH)


def test_a_back_at_the_place_is_the_subject_by_clothes_that_say_less():
    judged = turned(0.5, clothes=0.61)
    assert said(judged) == (SUBJECT, j.BODY, j.SAME_PLACE)
    assert (judged.score, judged.threshold) == (0.61, 0.6) and 0 < judged.sureness < 0.61


def test_away_from_the_place_the_head_counts():
    assert said(turned(0.9, clothes=0.69, then=AWAY)) == (UNSURE, j.NOTHING, j.NO_FACE)


def test_who_turns_round_is_as_like_without_the_head_and_somebody_else_is_not():
    """Pictures: a pale face, then dark hair, above a red shirt; and a blue one."""
    shown = []
    for head, shirt in (((230, 190, 170), (180, 30, 30)), ((40, 30, 20), (180, 30, 30)),
                        ((40, 30, 20), (30, 30, 180))):  # fmt: skip
        picture = np.full((90, 30, 3), shirt, np.uint8)
        picture[:30] = head
        shown.append(appearance.descriptors(picture, np.array([[0, 0, 30, 90]]))[0])
    alike = Likeness.of(np.stack([*shown, np.zeros_like(shown[0])]))
    assert alike.whole[0, 1] < 0.6 and alike.without_head[0, 1] > alike.whole[0, 1] + 0.1
    assert alike.without_head[1, 2] < 0.6 and alike.without_head[0, 1] > 0.7
    assert not alike.without_head[3, :3].any() and not alike.whole[3, :3].any()


@pytest.mark.parametrize(
    ("without_head", "how"),
    [
        (0.69, {}),
        (0.71, {"gap": 1.6}),
        (0.71, {"then": AWAY}),
        (0.71, {"near": (150, 0, 300, 300), "at": 4.5}),  # in between
        (0.71, {"near": (150, 0, 300, 300), "at": 2.0}),  # may have hidden behind
        (0.71, {"near": (150, 0, 300, 300), "at": 7.4}),  # may have come out from behind
    ],
)
def test_it_is_unsure_where_anything_speaks_against_it(without_head, how):
    assert said(turned(without_head, **how)) == (UNSURE, j.NOTHING, j.NO_FACE)


def test_somebody_far_away_is_no_doubt():
    assert turned(0.71, near=AWAY, at=4.5).why == j.SAME_PLACE


def test_a_stranger_s_back_goes_on_the_stranger():
    scene = Scene().see(0, range(5), 1).see(1, [5, 6], None)
    found = scene.decide(clothes={(0, 1): 0.65}, boxes=np.array([HERE] * 7, np.float32))
    assert said(found.tracks[1]) == (j.NOT_SUBJECT, j.BODY, j.SAME_PLACE)


def test_without_boxes_clothes_alone_speak():
    scene = Scene().see(0, range(5), 0).see(1, [5, 6], None)
    assert scene.decide(clothes={(0, 1): 0.65}).tracks[1].who == UNSURE


def back_of_two(subject: tuple[float, float], other: tuple[float, float]) -> j.Judgement:
    """Of a back at the subject's place, with somebody else's face elsewhere and later. As like each
    of the two: with the head, and without.
    """
    scene = Scene().see(0, range(5), 0).see(1, [5, 6], None).see(2, range(20, 25), 1)
    boxes = np.array([HERE] * 7 + [AWAY] * 5, np.float32)
    pairs = ((0, 1), (1, 2))
    whole, bare = (dict(zip(pairs, each, strict=True)) for each in zip(subject, other, strict=True))
    return scene.decide(whole, without_head=bare, boxes=boxes).tracks[1]


@pytest.mark.parametrize(
    ("subject", "other"),
    [
        ((0.55, 0.91), (0.80, 0.98)),  # the other is more alike either way
        ((0.55, 0.91), (0.75, 0.75)),  # one either way
        ((0.55, 0.91), (0.80, 0.85)),
        ((0.72, 0.95), (0.78, 0.70)),  # both with the head
    ],
)
def test_likenesses_with_the_head_and_without_are_not_held_against_each_other(subject, other):
    assert said(back_of_two(subject, other))[::2] == (UNSURE, j.CLOTHES_OF_TWO)


def test_who_leads_by_all_that_is_told_is_named():
    assert said(back_of_two((0.85, 0.70), (0.72, 0.90)))[::2] == (SUBJECT, j.CLOTHES_MATCH)
    assert said(back_of_two((0.55, 0.70), (0.80, 0.81)))[::2] == (j.NOT_SUBJECT, j.CLOTHES_MATCH)
    assert said(back_of_two((0.61, 0.99), (0.50, 0.99)))[::2] == (SUBJECT, j.SAME_PLACE)


def test_of_two_backs_at_once_neither_is_named_by_another_likeness_than_the_other():
    """One goes on at the subject's place by trunk and legs, the other wears the whole."""
    scene = Scene().see(0, range(5), 0).see(1, [5, 6, 7], None).see(2, [6, 7], None)
    boxes = np.array([HERE] * 8 + [AWAY] * 2, np.float32)
    whole = {(0, 1): 0.55, (0, 2): 0.80}
    told = scene.decide(whole, without_head={(0, 1): 0.95, (0, 2): 0.97}, boxes=boxes).tracks
    assert [said(one)[::2] for one in told[1:]] == [(UNSURE, j.CLOTHES_OF_TWO)] * 2
