"""Of a person and their reflection, the person; of two who are alike, or a picture, nobody."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.subject import judgements as j
from ferrari.subject.hand_over import Likeness
from ferrari.subject.judgements import SUBJECT, UNSURE, Rules
from ferrari.subject.reflections import FACES, MOMENTS, told
from ferrari.subject.sightings import Faces, Sightings
from ferrari.subject.templates import Template
from ferrari.subject.who import decide
from tests.unit.subject.people import SFACE, People

COUNT = 12
PEOPLE = People(SFACE)


def person(seen: Sightings, one: int, other: int) -> int | None:
    """Which of two tracks is the person."""
    people, reflected = told(seen, {one: [other], other: [one]})
    assert people | reflected in ({one, other}, set()) and not people & reflected
    return next(iter(people), None)


def beside(
    *,
    sizes: tuple[float, float] = (96.0, 60.0),
    ways: tuple[float, float] = (0.3, -0.2),
    who: tuple[int, int] = (0, 0),
    faces: int = COUNT,
    swapped: bool = False,
) -> Sightings:
    """Two tracks at once, each with its way to the right in widths of the frame (1000 px)."""
    at = np.linspace(0, 1, COUNT)
    boxes, embeddings, sides = [], [], []
    for place, (side, way, one) in enumerate(zip(sizes, ways, who, strict=True)):
        middle = 1000 * (0.3 + 0.4 * place + way * at)
        wide = 2 * side
        boxes.append(np.stack([middle - wide / 2, 0 * at, middle + wide / 2, 0 * at + 400], 1))
        embeddings.append(PEOPLE.faces(one, faces))
        sides.append(np.full(faces, side))
    track = np.repeat([0, 1], COUNT)
    found = Faces(
        np.concatenate(embeddings),
        np.concatenate([np.arange(faces), COUNT + np.arange(faces)]),
        np.ones(2 * faces),
        np.concatenate(sides),
    )
    return Sightings(1 - track if swapped else track, np.tile(at, 2), found, np.concatenate(boxes))


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("way", [-0.2, 0.2])
def test_the_larger_of_two_that_move_together_is_the_person(way, swapped):
    seen = beside(ways=(0.3, way), swapped=swapped)
    assert person(seen, 0, 1) == person(seen, 1, 0) == int(swapped)


@pytest.mark.parametrize(
    "how",
    [
        {"sizes": (64.0, 60.0)},  # as large: who is nearer cannot be told
        {"ways": (0.3, 0.0)},  # a picture on a wall
        {"ways": (0.0, 0.0)},  # nobody moves
        {"who": (0, 1)},  # two people
        {"faces": FACES - 1},  # too few faces
    ],
)
def test_it_is_not_told_where_anything_speaks_against_a_reflection(how):
    assert person(beside(**how), 0, 1) is None


def test_two_who_move_each_for_themselves_are_no_reflection():
    seen = beside()
    second = seen.boxes[COUNT:]
    second[:, [0, 2]] += (200 * np.sin(np.arange(COUNT) * 2.1))[:, None]
    assert person(seen, 0, 1) is None


def test_without_boxes_or_sizes_of_faces_nothing_is_told():
    seen = beside()
    known = seen.faces
    bare = Faces(known.embeddings, known.detection, known.weights)
    assert person(Sightings(seen.track, seen.time_s, known), 0, 1) is None
    assert person(Sightings(seen.track, seen.time_s, bare, seen.boxes), 0, 1) is None


def test_a_few_moments_together_are_none():
    seen = beside()
    late = np.where(seen.track == 1, seen.time_s + seen.time_s[COUNT - MOMENTS + 1], seen.time_s)
    assert person(Sightings(seen.track, late, seen.faces, seen.boxes), 0, 1) is None


def test_the_person_is_delivered_and_the_reflection_put_aside():
    template = Template(PEOPLE.faces(0, 6), PEOPLE.faces(0, 0))
    rules, clothes = Rules(SFACE.thresholds), Likeness(np.ones((2, 2)), np.ones((2, 2)))
    first, second = decide(beside(), template, clothes, rules).tracks
    assert (first.who, first.why) == (SUBJECT, j.LIKE_SUBJECT)
    assert (second.who, second.why) == (UNSURE, j.REFLECTION)
    poster = decide(beside(ways=(0.3, 0.0)), template, clothes, rules)
    assert {one.why for one in poster.tracks} == {j.TWO_AT_ONCE}


def test_a_person_s_word_for_the_reflection_leaves_the_person_unsure():
    template = Template(PEOPLE.faces(0, 6), PEOPLE.faces(0, 0))
    rules = Rules(SFACE.thresholds)
    found = decide(
        beside(), template, Likeness(np.ones((2, 2)), np.ones((2, 2))), rules, reviewed={1: SUBJECT}
    ).tracks
    assert [one.who for one in found] == [UNSURE, SUBJECT]


def test_a_reflection_in_pieces_is_held_against_the_person_as_one():
    """The detector loses the mirror now and then; no piece alone would show enough."""
    seen = beside()
    pieces = np.where(seen.track == 1, 1 + (seen.time_s * 4).astype(int).clip(max=3), 0)
    seen = Sightings(pieces, seen.time_s, seen.faces, seen.boxes)
    others = [1, 2, 3, 4]
    assert told(seen, {0: others} | {one: [0] for one in others}) == ({0}, set(others))


def test_the_person_in_pieces_is_the_person_in_each():
    seen = beside()
    pieces = np.where(seen.track == 0, np.where(seen.time_s > 0.8, 2, 0), 1)
    seen = Sightings(pieces, seen.time_s, seen.faces, seen.boxes)
    assert told(seen, {0: [1], 1: [0, 2], 2: [1]}) == ({0, 2}, {1})


def test_two_reflections_at_once_are_not_told():
    seen = beside()
    twice = np.concatenate([seen.track, np.full(COUNT, 2)])
    boxes = np.concatenate([seen.boxes, seen.boxes[COUNT:] + 50])
    seen = Sightings(twice, np.tile(seen.time_s[:COUNT], 3), seen.faces, boxes)
    people, _ = told(seen, {0: [1, 2], 1: [0, 2], 2: [0, 1]})
    assert not people
