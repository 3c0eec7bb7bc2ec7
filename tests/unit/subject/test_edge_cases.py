"""Clips that show nobody's face, crowds, faces too small, likenesses that are nobody."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ferrari.subject import judgements as j
from ferrari.subject.face_weights import LEAST, USABLE, face_weight
from ferrari.subject.mixed_tracks import separated
from tests.unit.subject.people import SFACE
from tests.unit.subject.test_who import Scene, said


def test_a_clip_without_any_face_drops_nothing():
    """Hands, backs: quarantined, for nobody knows."""
    clip = Scene().see(0, range(20), None).see(1, range(5, 9), None)
    decision = clip.decide()
    assert {said(one) for one in decision.tracks} == {(j.UNSURE, j.NOTHING, j.NO_FACE)}
    assert {one.who for one in decision.detections} == {j.UNSURE}


@pytest.mark.parametrize("side", [12.0, LEAST, 29.0])
def test_faces_too_small_to_tell_decide_nothing_whoever_they_are(side):
    weight = face_weight(side)
    assert weight < USABLE
    for who in (0, 5):
        clip = Scene().see(0, range(9), who, weight=weight)
        assert said(clip.decide().tracks[0]) == (j.UNSURE, j.NOTHING, j.FACES_TOO_SMALL)


def test_a_drawing_or_a_statue_is_somebody_else_by_its_face_and_unsure_without():
    """What a detector takes for a face and is nobody's is like nobody."""
    clip = Scene().see(0, range(6), 0).see(1, range(20, 26), None).see(2, range(40, 46), None)
    rng = np.random.default_rng(5)
    for place in np.flatnonzero(np.array(clip.track) == 1):
        carved = rng.normal(size=SFACE.length)
        clip.faces.append((carved / np.linalg.norm(carved)).astype(np.float32))
        clip.bound.append(int(place))
        clip.weights.append(0.8)
    assert [one.who for one in clip.decide().tracks] == [j.SUBJECT, j.NOT_SUBJECT, j.UNSURE]


def test_a_crowd_of_fifty_in_one_frame_has_one_subject():
    clip = Scene()
    for person in range(50):
        clip.see(person, range(10), person)
    begun = time.monotonic()
    decision = clip.decide(clothes={(a, b): 0.9 for a in range(50) for b in range(a)})
    assert [place for place, one in enumerate(decision.tracks) if one.who == j.SUBJECT] == [0]
    assert sum(one.who == j.SUBJECT for one in decision.detections) == 10
    assert time.monotonic() - begun < 5


def test_a_crowd_without_faces_beside_the_subject_stays_unsure():
    clip = Scene().see(0, range(10), 0)
    for person in range(1, 50):
        clip.see(person, range(10), None)
    decision = clip.decide(clothes={(0, other): 0.95 for other in range(1, 50)})
    assert [one.who for one in decision.tracks] == [j.SUBJECT, *[j.UNSURE] * 49]


def test_two_hours_of_one_person_are_judged_in_seconds():
    """Six pictures a second, a new track every four seconds."""
    clip = Scene()
    faces = clip.people.faces(0, 1800)
    count = 2 * 3600 * 6
    clip.time = (np.arange(count) / 6).tolist()
    clip.track = (np.arange(count) // 24).tolist()
    for number, face in enumerate(faces):
        clip.faces.append(face)
        clip.bound.append(number * 24)
        clip.weights.append(1.0)
    begun = time.monotonic()
    seen = separated(clip.sightings(), SFACE.thresholds.below)
    assert seen.tracks == 1800 and not seen.moments_together().any()
    decision = clip.decide()
    assert {one.who for one in decision.detections} == {j.SUBJECT}
    assert time.monotonic() - begun < 60
