"""Where a track says that somebody is and nobody was found; who counts as found there."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.subject.appearance import LENGTH
from ferrari.subject.lost_places import Lost, Place
from ferrari.subject.tracks import Moment, link

SIZE = (640, 360)
RED, BLUE = np.eye(2, LENGTH, dtype=np.float32)
EVERY = 3  # each third moment is a kept frame, six moments a second


def box(x: float, width: float = 60) -> list[float]:
    return [x, 100.0, x + width, 300.0]


def clip(*people: list[tuple[float, np.ndarray]], cuts=()) -> list[Moment]:
    """Moments with people at (x, looks)."""
    return [
        Moment(
            number / 6,
            np.array([box(x) for x, _ in some], np.float32).reshape(-1, 4),
            np.full(len(some), 0.9, np.float32),
            np.array([looks for _, looks in some], np.float32).reshape(-1, LENGTH),
            number in cuts,
        )
        for number, some in enumerate(people)
    ]


def lost(moments: list[Moment]) -> Lost:
    asked = [number % EVERY == 0 for number in range(len(moments))]
    return Lost(moments, link(moments), asked, SIZE)


def stands(*there: bool) -> list[Moment]:
    return clip(*[[(200.0, RED)] if one else [] for one in there])


def test_a_frame_between_two_detections_of_a_track_is_looked_at_where_they_say():
    walker = clip(*[[(100.0 + 10 * n, RED)] if n != 3 else [] for n in range(7)])
    (place,) = lost(walker).places()
    assert (place.moment, place.step) == (3, 0)
    assert place.box_xyxy.tolist() == pytest.approx(box(130.0))


def test_pictures_of_the_film_are_not_looked_at():
    assert not lost(stands(True, True, False, True, True, True, True)).places()


def test_a_track_that_loses_its_person_is_looked_for_in_the_next_frame_alone():
    (place,) = lost(stands(*[True] * 4, *[False] * 9)).places()
    assert (place.moment, place.step) == (6, 1)
    assert place.box_xyxy.tolist() == pytest.approx(box(200.0))


def test_a_walker_is_looked_for_further_on():
    walker = clip(*[[(100.0 + 10 * n, RED)] if n < 5 else [] for n in range(9)])
    (place,) = lost(walker).places()
    assert place.box_xyxy.tolist() == pytest.approx(box(160.0))


def test_who_begins_late_is_looked_for_in_the_frame_before():
    (place,) = lost(stands(*[False] * 4, *[True] * 5)).places()
    assert (place.moment, place.step) == (3, -1)


def test_one_find_leads_to_the_next_and_a_miss_ends_it():
    search = lost(stands(*[True] * 4, *[False] * 9))
    (place,) = search.places()
    (after,) = search.take(place, np.array(box(204.0)))
    assert (after.moment, after.step) == (9, 1)
    assert after.box_xyxy.tolist() == pytest.approx(box(204.0))


def test_a_cut_is_never_looked_across():
    moments = clip(*[[(200.0, RED)] if n < 5 else [] for n in range(9)], cuts=(5,))
    assert not lost(moments).places()


def test_a_frame_that_is_too_far_away_is_not_looked_at():
    moments = stands(*[True] * 2, *[False] * 5)
    asked = [False] * 6 + [True]
    assert not Lost(moments, link(moments), asked, SIZE).places()


def test_who_is_lost_in_touch_with_somebody_is_not_looked_for():
    """They may be behind the other."""
    alone = [(200.0, RED)]
    moments = clip(*[alone] * 5, *[[(250.0, BLUE)]] * 4)
    assert all(place.step != 1 for place in lost(moments).places())


def test_who_left_the_picture_is_not_looked_for():
    moments = clip(*[[(500.0 + 30 * n, RED)] if n < 5 else [] for n in range(9)])
    assert not lost(moments).places()


def test_no_place_is_empty_where_somebody_new_was_found():
    """A track that was cut, since the clothes changed: the person is there."""
    moments = clip(*[[(200.0, RED)]] * 4, *[[(200.0, BLUE)]] * 4)
    assert not lost(moments).places()


# --- who was found there --------------------------------------------------------------------------


@pytest.fixture
def search() -> tuple[Lost, Place]:
    """Somebody is lost at x = 200, while a blue one stands at x = 300."""
    others = [(300.0, BLUE)]
    moments = clip(*[[(200.0, RED), *others] if n != 3 else others for n in range(7)])
    found = lost(moments)
    (place,) = found.places()
    return found, place


def accepted(search, *seen: tuple[list[float], float, np.ndarray]):
    found, place = search
    boxes = np.array([one[0] for one in seen], float).reshape(-1, 4)
    looks = np.array([one[2] for one in seen], np.float32).reshape(-1, LENGTH)
    return found.accepted(place, boxes, np.array([one[1] for one in seen]), looks)


def test_who_is_there_in_the_same_clothes_was_found(search):
    assert accepted(search, (box(290.0), 0.9, BLUE), (box(202.0), 0.4, RED)) == 1


@pytest.mark.parametrize(
    ("what", "seen"),
    [
        ("elsewhere", (box(245.0), 0.9, RED)),
        ("other clothes", (box(200.0), 0.9, BLUE)),
        ("the one beside", (box(300.0), 0.9, RED)),
        ("a head", ([215.0, 100.0, 245.0, 140.0], 0.9, RED)),
        ("both in one box", ([200.0, 100.0, 360.0, 300.0], 0.9, RED)),
    ],
)
def test_what_is_not_the_lost_one_does_not_count(search, what, seen):
    assert accepted(search, seen) is None, what


def test_nothing_seen_is_nobody(search):
    assert accepted(search) is None


def test_of_two_the_one_that_lies_better_counts(search):
    assert accepted(search, (box(212.0), 0.9, RED), (box(203.0), 0.5, RED)) == 1


def test_nobody_is_found_twice():
    moments = stands(True, True, True, False, True, True, True)
    search = lost(moments)
    (place,) = search.places()
    search.take(place, np.array(box(200.0)))
    assert accepted((search, place), (box(201.0), 0.9, RED)) is None
