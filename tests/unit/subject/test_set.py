"""From the faces of a whole set to who is in each clip, without references."""

import numpy as np
import pytest

from ferrari.subject import judgements as j
from ferrari.subject.clusters import vote, voting_tracks, without_negatives
from ferrari.subject.hand_over import Likeness
from ferrari.subject.pins import pin, voters
from ferrari.subject.similarity import similarities
from ferrari.subject.templates import Template, of_vote
from ferrari.subject.who import Decision, decide
from tests.unit.subject.people import NETWORKS, SFACE, Network
from tests.unit.subject.test_who import Scene

NOBODY = np.zeros((0, SFACE.length), np.float32)


def clip_id(number: int) -> str:
    return f"clip{number}-{number:010x}"


def files(clips: dict[str, Scene]) -> dict[str, str]:
    return {video: f"{video}.mp4" for video in clips}


def scene(network: Network, take: int, *cast: int) -> Scene:
    """A clip in which each of the cast is seen for ten seconds, half of them from behind."""
    made = Scene(network, take=take)
    for track, who in enumerate(cast):
        made.see(track, range(5), who).see(track, range(5, 10), None)
    return made


def found_in(clips: dict[str, Scene], voting: tuple[str, ...], network: Network) -> Template | None:
    tracks = [t for name in voting for t in voting_tracks(name, clips[name].sightings())]
    threshold = network.thresholds.above
    return of_vote(tracks, vote(tracks, threshold), np.zeros((0, network.length)))


def decided(clip: Scene, template: Template | None) -> Decision:
    seen = clip.sightings()
    return decide(seen, template, Likeness(np.eye(seen.tracks), np.eye(seen.tracks)), clip.rules)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_person_of_most_clips_is_delivered_and_nobody_else(network):
    casts = [(0, 1), (2, 0), (0,), (0, 3, 4), (5,), (0, 1), (0,)]
    clips = {clip_id(i): scene(network, i, *cast) for i, cast in enumerate(casts)}
    template = found_in(clips, tuple(clips), network)
    for cast, clip in zip(casts, clips.values(), strict=True):
        verdicts = [judged.who for judged in decided(clip, template).detections]
        expected = [j.SUBJECT if who == 0 else j.NOT_SUBJECT for who in cast for _ in range(10)]
        assert verdicts == expected


@pytest.mark.parametrize("network", NETWORKS)
def test_a_set_of_one_person_is_delivered_whole(network):
    clips = {clip_id(i): scene(network, i, 7) for i in range(8)}
    template = found_in(clips, tuple(clips), network)
    judged = [each for clip in clips.values() for each in decided(clip, template).detections]
    assert {each.who for each in judged} == {j.SUBJECT}


def test_a_set_without_a_face_is_unsure_and_nothing_is_dropped():
    clip = Scene().see(0, range(6), None)
    assert voting_tracks("a", clip.sightings()) == []
    assert of_vote([], vote([], 0.4), NOBODY) is None
    assert {each.who for each in decided(clip, None).detections} == {j.UNSURE}


def test_a_clip_that_does_not_vote_changes_nothing_of_the_others(tmp_path):
    """Ten clips voted; ten more of somebody else come, who would now be in most of the clips."""
    path = tmp_path / "subject_pinned.csv"
    clips = {clip_id(i): scene(SFACE, i, 0, i) for i in range(1, 11)}
    first = voters(path, files(clips), 1, 24)
    pin(path, first.clips)
    before = found_in(clips, first.clips, SFACE)
    later = clips | {clip_id(i): scene(SFACE, i, 99) for i in range(50, 65)}
    now = voters(path, files(later), 1, 24)
    after = found_in(later, now.clips, SFACE)
    assert now == first and np.array_equal(before.members, after.members)
    for name, clip in clips.items():
        assert decided(clip, before) == decided(clip, after), name
    assert {each.who for each in decided(later[clip_id(50)], after).tracks} == {j.NOT_SUBJECT}
    path.unlink()
    drawn = voters(path, files(later), 1, 24).clips
    assert found_in(later, drawn, SFACE).scores(before.members).max() < SFACE.thresholds.above


def test_a_track_votes_by_its_deciding_faces_alone():
    clip = Scene().see(0, range(3), 0).see(0, [3], 0, 1).see(0, [4], 2, weight=0.2)
    clip.see(1, [9], None)
    (track,) = voting_tracks("a", clip.sightings())
    assert (track.clip, track.number, track.times_s) == ("a", 0, frozenset(range(5)))
    assert np.allclose(track.mean, np.mean(clip.faces[:3], axis=0), atol=1e-6)


def test_one_of_two_who_are_always_together_is_named_by_a_picture_of_the_other():
    clips = {clip_id(i): scene(SFACE, i, 0, 1) for i in range(6)}
    tracks = [t for name, clip in clips.items() for t in voting_tracks(name, clip.sightings())]
    threshold = SFACE.thresholds.above
    assert of_vote(tracks, vote(tracks, threshold), NOBODY) is None
    negatives = Scene().people.faces(1, 2)
    allowed = without_negatives(tracks, negatives, threshold)
    template = of_vote(allowed, vote(allowed, threshold), negatives)
    assert similarities(template.members, negatives).max() < SFACE.thresholds.below
    for clip in clips.values():
        assert [t.who for t in decided(clip, template).tracks] == [j.SUBJECT, j.NOT_SUBJECT]


def test_one_person_in_two_boxes_votes_as_one():
    """Of head and body, boxed apart in every clip, one alone has the face in a frame."""
    clips = [Scene(take=n) for n in range(6)]
    for clip in clips:
        clip.see(0, [0, 1], 0).see(0, [2, 3], None).see(1, [0, 1], None).see(1, [2, 3], 0)
    tracks = [t for i, c in enumerate(clips) for t in voting_tracks(f"c{i}", c.sightings())]
    found = vote(tracks, SFACE.thresholds.above)
    assert (found.subject, found.clips, len(tracks)) == (0, (6,), 12)
