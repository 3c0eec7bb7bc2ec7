"""Sets of one person alone: who shows no face is the subject too, unless something objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ferrari.subject import judgements as j
from ferrari.subject.clusters import alone, vote, voting_tracks
from ferrari.subject.hand_over import Likeness
from ferrari.subject.only_person import LEAST_LIKE
from ferrari.subject.sightings import Sightings
from ferrari.subject.templates import of_vote
from ferrari.subject.who import Decision, decide
from tests.unit.subject.people import NETWORKS, SFACE
from tests.unit.subject.test_who import Scene, said

ABOVE = SFACE.thresholds.above
NOBODY = np.zeros((0, SFACE.length), np.float32)
NAMED = (j.SUBJECT, j.SET, j.ONLY_PERSON)


def voted(*clips: Scene) -> bool:
    seen = [clip.sightings() for clip in clips]
    tracks = [t for i, one in enumerate(seen) for t in voting_tracks(f"clip{i}", one)]
    return alone(seen, vote(tracks, ABOVE))


def selfies(count: int = 9) -> list[Scene]:
    """Clips of one person, with a face for half of the time, each in another take."""
    return [Scene(take=n).see(0, range(4), 0).see(0, range(4, 8), None) for n in range(count)]


def back() -> Scene:
    return Scene(take=50).see(0, range(6), None)


def turned() -> Scene:
    """From behind, and much later with a face."""
    return back().see(1, range(100, 104), 0)


def decided(clip: Scene, alike: float = 0.6, alone: bool = True) -> Decision:
    """`alike`: how alike all tracks are dressed."""
    seen = clip.sightings()
    tracks = [t for i, one in enumerate(selfies()) for t in voting_tracks(str(i), one.sightings())]
    template = of_vote(tracks, vote(tracks, ABOVE), NOBODY, alone)
    body = np.full((seen.tracks, seen.tracks), alike)
    return decide(seen, template, Likeness(body, body), clip.rules)


@pytest.mark.parametrize("network", NETWORKS)
def test_one_person_in_nearly_all_clips_and_nobody_else_is_alone(network):
    clips = [Scene(network, take=n).see(0, range(4), 0) for n in range(9)] + [back(), back()]
    assert voted(*clips)


def test_too_many_clips_without_a_face_are_not_nearly_all():
    assert not voted(*selfies(), back(), back(), back())


def test_clips_without_anybody_do_not_count():
    empty = Sightings(np.zeros(0, int), np.zeros(0), Scene().sightings().faces)
    seen = [clip.sightings() for clip in selfies()]
    tracks = [t for i, one in enumerate(seen) for t in voting_tracks(f"clip{i}", one)]
    assert alone([*seen, *[empty] * 20], vote(tracks, ABOVE))


def test_another_face_in_one_clip_is_company():
    assert not voted(*selfies(), Scene().see(0, range(4), 5))


def test_two_tracks_together_for_a_while_are_company_and_a_box_too_many_is_not():
    assert voted(*selfies(), Scene().see(0, range(6), 0).see(1, range(2), None))
    assert not voted(*selfies(), Scene().see(0, range(6), 0).see(1, range(3), None))


def test_without_a_subject_nobody_is_alone():
    assert not voted(back(), back())


def test_a_track_without_a_face_is_the_only_person():
    assert said(decided(turned()).tracks[0]) == NAMED
    assert {said(one) for one in decided(turned()).detections[:6]} == {NAMED}
    assert said(decided(turned(), alone=False).tracks[0]) == (j.UNSURE, j.NOTHING, j.NO_FACE)


def test_a_clip_without_the_subject_s_face_is_unsure():
    assert said(decided(back()).tracks[0]) == (j.UNSURE, j.NOTHING, j.NO_FACE)


def test_somebody_else_in_the_frame_objects():
    clip = turned().see(2, range(5, 9), None)
    assert [one.who for one in decided(clip).tracks] == [j.UNSURE, j.SUBJECT, j.UNSURE]


def test_another_face_in_the_clip_objects():
    clip = turned().see(2, range(200, 204), 5)
    assert [one.who for one in decided(clip).tracks] == [j.UNSURE, j.SUBJECT, j.NOT_SUBJECT]


@pytest.mark.parametrize(
    ("alike", "expected"),
    [(LEAST_LIKE, NAMED), (LEAST_LIKE - 0.01, (j.UNSURE, j.NOTHING, j.OTHER_CLOTHES))],
)
def test_clothes_that_the_subject_does_not_wear_in_the_clip_object(alike, expected):
    assert said(decided(turned(), alike).tracks[0]) == expected


@pytest.mark.parametrize(("weight", "who"), [(0.3, j.UNSURE), (0.2, j.SUBJECT)])
def test_a_poor_face_of_somebody_else_objects_and_one_that_says_nothing_does_not(weight, who):
    assert decided(turned().see(0, [7], 5, weight=weight)).tracks[0].who == who


def unclear(clip: Scene, alike: float = 0.6) -> Decision:
    """What is decided if the faces that count for nothing are large and frontal, but unclear."""
    seen = clip.sightings()
    faces = replace(seen.faces, if_clear=np.ones(len(seen.faces.weights)))
    clip.sightings = lambda: replace(seen, faces=faces)
    return decided(clip, alike)


def test_somebody_who_runs_past_with_a_blurred_face_objects():
    """A face that counts for nothing, since it is unclear, is no missing face."""
    passes = turned().see(2, range(200, 204), 5, weight=0.0)
    assert [one.who for one in unclear(passes).tracks] == [j.UNSURE, j.SUBJECT, j.UNSURE]
    assert decided(turned().see(2, range(200, 204), None)).tracks[2].who == j.SUBJECT
    assert unclear(turned().see(1, [104], 5, weight=0.0)).tracks[0].who == j.SUBJECT


def test_the_subject_s_own_poor_face_does_not_object():
    assert said(decided(turned().see(0, [7], 0, weight=0.3)).tracks[0]) == NAMED


def test_two_faces_in_one_body_stay_unsure():
    assert decided(turned().see(0, [7], 0, 5)).detections[0].who == j.UNSURE


def test_the_order_of_faces_changes_nothing():
    clip = turned().see(0, [7], 0, weight=0.3).see(0, [8], 5, weight=0.3)
    seen = clip.sightings()
    order = np.arange(len(seen.faces.weights))[::-1]
    faces = replace(
        seen.faces,
        embeddings=seen.faces.embeddings[order],
        detection=seen.faces.detection[order],
        weights=seen.faces.weights[order],
    )
    tracks = [t for i, one in enumerate(selfies()) for t in voting_tracks(str(i), one.sightings())]
    template = of_vote(tracks, vote(tracks, ABOVE), NOBODY, True)
    alike = Likeness(np.eye(2), np.eye(2))
    one = decide(seen, template, alike, clip.rules)
    assert one == decide(replace(seen, faces=faces), template, alike, clip.rules)
