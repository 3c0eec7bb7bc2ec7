"""Detections are linked to people, and where that is in doubt the track ends: known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench import crossings, tracks
from ferrari.subject.linking import Linking
from ferrari.subject.tracks import Moment, Track, link

RED, BLUE, GREEN = np.eye(3, dtype=np.float32)
STEP_S = 1 / 6


def person(x: float, look=RED, *, sure=0.9, width=40.0, top=100.0) -> tuple:
    """A detection: a box of width x 2.5 widths around x."""
    return [x - width / 2, top, x + width / 2, top + 2.5 * width], sure, look


def moment(number: float, *people, cut=False) -> Moment:
    boxes = np.array([one[0] for one in people], np.float32).reshape(-1, 4)
    sure = np.array([one[1] for one in people], np.float32)
    looks = np.array([one[2] for one in people], np.float32).reshape(-1, 3)
    return Moment(number * STEP_S, boxes, sure, looks, cut)


def clip(*moments) -> list[Moment]:
    """Moments at six a second, each a tuple of people."""
    return [moment(number, *people) for number, people in enumerate(moments)]


def columns(tracks: list[Track], count: int) -> list[list[int | None]]:
    """For each track the detection in each moment."""
    return [[dict(track.places).get(number) for number in range(count)] for track in tracks]


def test_two_who_stand_apart_are_two_tracks_to_the_end():
    found = link(clip(*[(person(100), person(300, BLUE))] * 5))
    assert [track.places for track in found] == [
        tuple((number, at) for number in range(5)) for at in (0, 1)
    ]
    assert [(track.number, track.ended_by) for track in found] == [(0, "end"), (1, "end")]


def test_numbers_go_by_first_appearance_then_confidence():
    first = (person(300, sure=0.6), person(100, sure=0.9))
    found = link(clip(first, (*first, person(500, sure=0.99))))
    assert [track.places[0] for track in found] == [(0, 1), (0, 0), (1, 2)]


def test_a_walker_whose_boxes_hardly_touch_is_one_track():
    """Three quarters of a width from moment to moment."""
    found = link(clip(*[(person(50 + 30 * number),) for number in range(8)]))
    assert len(found) == 1


def test_of_two_who_appear_equally_near_neither_goes_on_the_track():
    """Nobody touches anybody: it is the other detection alone that is as good."""
    found = link(clip(*[(person(100),)] * 3, (person(70), person(130))))
    assert columns(found, 4) == [[0, 0, 0, None], [None, None, None, 0], [None, None, None, 1]]
    assert found[0].ended_by == "overlap"


def test_a_change_of_shot_ends_all_tracks():
    still = (person(100), person(300, BLUE))
    moments = clip(still, still, still, still)
    moments[2] = replace(moments[2], cut=True)
    found = link(moments)
    assert [track.ended_by for track in found] == ["cut", "cut", "end", "end"]


@pytest.mark.parametrize(("missing", "tracks"), [(1, 1), (3, 1), (4, 2)])
def test_a_person_who_is_not_found_for_a_while(missing, tracks):
    """Up to 0.7 s: three moments are missing in 4/6 s."""
    found = link(clip((person(100),), *[()] * missing, (person(100),)))
    assert len(found) == tracks
    assert found[0].ended_by == ("end" if tracks == 1 else "gap")


def test_somebody_else_at_the_same_place():
    found = link(clip(*[(person(100),)] * 3, *[(person(100, BLUE),)] * 3))
    assert [(track.places[0], track.ended_by) for track in found] == [
        ((0, 0), "looks"),
        ((3, 0), "end"),
    ]


def test_a_fall_of_looks_below_what_is_usual_for_the_track():
    """Alike enough for people in general, but not for this one, who never changed."""
    other = np.array([0.84, 0.54, 0], np.float32)  # like RED by 0.6
    moments = clip(*[(person(100),)] * 6, (person(100, other),))
    assert [track.ended_by for track in link(moments)] == ["looks", "end"]
    assert len(link(moments, Linking(looks_fall=0.5))) == 1


def passing(left, right) -> list[Moment]:
    """Two walk past each other, both seen all the time."""
    return clip(
        *[(person(100 + 20 * n, left), person(300 - 20 * n, right, sure=0.8)) for n in range(11)]
    )


def test_two_in_different_clothes_pass_each_other():
    found = link(passing(RED, BLUE))
    assert columns(found, 11) == [[0] * 11, [1] * 11]


def test_twins_who_pass_each_other_are_cut_where_they_meet():
    found = link(passing(RED, RED))
    assert len(found) >= 4
    assert {track.ended_by for track in found} == {"overlap", "end"}
    assert all(len({at for _, at in track.places}) == 1 for track in found)
    before = [track for track in found if track.places[0][0] == 0]
    assert all(4 <= len(track.places) <= 6 for track in before)  # not earlier than they touch


def hiding(behind, front) -> list[Moment]:
    """One walks behind another who stands, is not seen for three moments, and goes on."""
    stands = person(200, front, sure=0.95)
    walks = [100 + 25 * number for number in range(10)]
    return clip(
        *[(stands,) if 165 < x < 235 else (stands, person(x, behind, sure=0.8)) for x in walks]
    )


def test_who_goes_behind_somebody_comes_out_as_a_new_track():
    found = link(hiding(RED, BLUE))
    assert columns(found, 10) == [
        [0] * 10,
        [1] * 3 + [None] * 7,
        [None] * 6 + [1] * 4,
    ]
    assert [track.ended_by for track in found] == ["end", "overlap", "end"]


def test_with_a_twin_in_front_nobody_knows_who_comes_out():
    found = link(hiding(RED, RED))
    standing = [track.places for track in found if (0, 0) in track.places or (9, 0) in track.places]
    assert len(standing) == 2 and standing[0][-1][0] < standing[1][0][0]
    for track in found:  # no track both before and after
        seen = [number for number, _ in track.places]
        assert not (min(seen) < 3 and max(seen) > 5)


def test_a_twin_beside_who_was_lost_may_be_who_is_found():
    """Two who touch; one is missed, then the other one: the boxes of both are not one person's."""
    left, right = person(100), person(136, sure=0.8)
    found = link(clip((left, right), (left,), (right,), (left, right)))
    for track in found:
        seen = {"left" if n in (1,) or (n in (0, 3) and at == 0) else "right"
                for n, at in track.places}  # fmt: skip
        assert len(seen) == 1


def test_a_box_that_becomes_higher_at_once_holds_somebody_else_too():
    taller = [80.0, 60.0, 120.0, 200.0], 0.9, RED  # 1.4 times as high
    found = link(clip(*[(person(100),)] * 3, *[(taller,)] * 3))
    assert [(track.places[0], track.ended_by) for track in found] == [
        ((0, 0), "size"),
        ((3, 0), "end"),
    ]


def test_drawn_people_are_never_mixed():
    """Pictures, a detector that errs, looks from pixels: all at once."""
    scenes = [
        crossings.pairs(5, twins=twins)[at] for at, twins in ((0, False), (1, True), (5, True))
    ]
    clips = [crossings.film(scene) for scene in scenes]
    ours, overlap = tracks.judge(clips, tracks.ours), tracks.judge(clips, tracks.by_overlap)
    assert ours.switches == 0 < overlap.switches
    assert ours.hota > 0.45  # a track a detection would have 0.2


def test_a_camera_that_shakes():
    rng = np.random.default_rng(0)
    moments = [
        moment(n, *[person(x + dx, look, top=100 + dy) for x, look in ((100, RED), (300, BLUE))])
        for n, (dx, dy) in enumerate(rng.normal(0, 10, (20, 2)))
    ]
    assert columns(link(moments), 20) == [[0] * 20, [1] * 20]


def test_an_unsure_detection_goes_on_but_takes_none_from_a_sure_one():
    found = link(clip((person(100),), (person(100, sure=0.2),), (person(100),)))
    assert len(found) == 1
    both = (person(104, sure=0.9), person(100, sure=0.2))
    assert link(clip((person(100),), both))[0].places[-1] != (1, 1)


def test_nothing_to_link():
    assert link([]) == []
    assert link(clip((), (), ())) == []
    assert [track.places for track in link(clip((), (person(9),), ()))] == [((1, 0),)]


def test_moments_that_make_no_sense_are_refused():
    twice = [moment(1, person(9)), moment(1, person(9))]
    with pytest.raises(ValueError, match="moment 1 is at"):
        link(twice)
    short = replace(moment(0, person(9), person(99)), looks=np.zeros((1, 3)))
    with pytest.raises(ValueError, match="2 confidences, 2 boxes and 1 looks"):
        link([short])


def test_moments_are_read_one_by_one():
    """Hours of descriptors need not be in memory."""
    assert len(link(moment(n, person(100)) for n in range(5))) == 1


people = st.lists(
    st.tuples(
        st.integers(0, 12).map(lambda x: 15.0 * x),
        st.sampled_from([RED, BLUE, GREEN]),
        st.sampled_from([0.1, 0.4, 0.6, 0.9]),
    ),
    max_size=6,
)


@given(st.lists(people, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_each_detection_is_in_one_track_whatever_their_order(seen, chance):
    """What a moment's detections are called does not matter: the same people, the same tracks."""
    moments = clip(*[[person(x, look, sure=sure) for x, look, sure in some] for some in seen])
    found = link(moments)
    places = sorted(place for track in found for place in track.places)
    assert places == [(n, at) for n, some in enumerate(seen) for at in range(len(some))]
    for track in found:
        assert [n for n, _ in track.places] == sorted({n for n, _ in track.places})

    orders = [chance.sample(range(len(some)), len(some)) for some in seen]
    shuffled = [
        replace(one, boxes_xyxy=one.boxes_xyxy[order], confidences=one.confidences[order],
                looks=one.looks[order])
        for one, order in zip(moments, orders, strict=True)
    ]  # fmt: skip

    def contents(found, of):
        return [
            (track.ended_by, [(n, *of[n].boxes_xyxy[at], of[n].confidences[at],
                               *of[n].looks[at]) for n, at in track.places])
            for track in found
        ]  # fmt: skip

    assert contents(link(shuffled), shuffled) == contents(found, moments)
