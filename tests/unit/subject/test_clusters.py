"""Who is in most of the clips: average link, who cannot be one person, votes that name nobody."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferrari.subject import clusters
from ferrari.subject.clusters import VotingTrack, average_link, vote
from ferrari.subject.similarity import pooled
from tests.unit.subject.people import FACERES, NETWORKS, SFACE, People, unit

WITHOUT = np.zeros((0, 0), bool)


def free(count: int) -> np.ndarray:
    return np.zeros((count, count), bool)


def track(people: People, who: int, clip: int, number: int = 0, at: tuple = (0,)) -> VotingTrack:
    faces = people.faces(who, 6)
    return VotingTrack(f"clip-{clip:03d}", number, frozenset(at), pooled(faces, np.ones(6)))


def clips(people: People, cast: list[list[int]]) -> list[VotingTrack]:
    """A track of each person in each clip; all that are in one clip are seen at once."""
    return [
        track(people, who, clip, number)
        for clip, present in enumerate(cast)
        for number, who in enumerate(present)
    ]


def angles(*degrees: float) -> np.ndarray:
    return np.array([[np.cos(np.radians(a)), np.sin(np.radians(a))] for a in degrees])


def test_average_link_joins_no_chain():
    """Each is like the next (cos 30 = 0.87), but the ends are strangers (cos 90 = 0)."""
    assert average_link(angles(0, 30, 60, 90), free(4), 0.80).tolist() == [0, 0, 1, 1]
    assert average_link(angles(0, 30, 60, 90), free(4), 0.99).tolist() == [0, 1, 2, 3]
    assert average_link(angles(0, 30, 60, 90), free(4), 0.0).tolist() == [0, 0, 0, 0]


def test_a_group_s_similarity_is_the_mean_over_all_pairs():
    """0 and 10 join; 60 is 0.5 to the one and 0.643 to the other: 0.571 to both."""
    means = angles(0, 10, 60)
    assert average_link(means, free(3), 0.57).tolist() == [0, 0, 0]
    assert average_link(means, free(3), 0.58).tolist() == [0, 0, 1]


def test_what_cannot_be_one_is_never_joined_not_even_by_others():
    apart = free(4)
    apart[0, 1] = apart[1, 0] = True
    found = average_link(angles(0, 2, 1, 3), apart, 0.5)
    assert found[0] != found[1] and len(set(found)) == 2


def test_nothing_and_one_alone_are_groups_too():
    assert average_link(np.zeros((0, 2)), WITHOUT, 0.5).tolist() == []
    assert average_link(angles(7), free(1), 0.5).tolist() == [0]


@pytest.mark.parametrize("network", NETWORKS)
def test_average_link_is_what_its_definition_says(network):
    """Against the definition itself, pair by pair."""
    people = People(network)
    means = np.concatenate([people.faces(i % 5, 1) for i in range(40)])
    threshold = (network.thresholds.above + network.thresholds.below) / 2
    groups = [[i] for i in range(40)]
    while True:
        pairs = [
            (float((means[a] @ means[b].T).mean()), -i, -j)
            for i, a in enumerate(groups)
            for j, b in enumerate(groups)
            if i < j
        ]
        best, one, other = max(pairs)
        if best < threshold:
            break
        groups[-one] += groups.pop(-other)
    expected = np.empty(40, int)
    for number, group in enumerate(sorted(map(sorted, groups))):
        expected[group] = number
    assert average_link(means, free(40), threshold).tolist() == expected.tolist()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_a_set_of_one_person_is_one_cluster(network, seed):
    found = vote(clips(People(network, seed), [[0]] * 24), network.thresholds.below)
    assert set(found.labels) == {0} and found.subject == 0
    assert found.said() == "the subject is the person in 24 of 24 voting clips with a face"


@pytest.mark.parametrize("network", NETWORKS)
def test_the_subject_is_who_is_in_most_clips_not_who_has_most_tracks(network):
    people = People(network)
    cast = [[0, 1, 2], [0, 3], [0], [0, 1], [0, 4], [5]]
    tracks = clips(people, cast)
    tracks += [track(people, 3, 1, number, at=(number,)) for number in range(2, 9)]
    found = vote(tracks, network.thresholds.below)
    who = [person for present in cast for person in present] + [3] * 7
    assert [place for place, person in enumerate(who) if person == 0] == found.members()
    assert found.clips == (5, 2, 1, 1, 1, 1) and found.voters == 6
    assert len(set(zip(who, found.labels, strict=True))) == 6


def test_two_faces_in_one_frame_are_two_people_however_alike():
    """Twins: by their faces alone they would be one."""
    people = People(FACERES)
    twins = [track(people, 0, 0, 0, at=(1, 2)), track(people, 0, 0, 1, at=(2, 3))]
    assert vote(twins, 0.5).labels == (0, 1)
    apart = [track(people, 0, 0, 0, at=(1, 2)), track(people, 0, 0, 1, at=(3, 4))]
    assert vote(apart, 0.5).labels == (0, 0)
    elsewhere = [track(people, 0, 0, 0, at=(1,)), track(people, 0, 1, 0, at=(1,))]
    assert vote(elsewhere, 0.5).labels == (0, 0)


@pytest.mark.parametrize(
    ("cast", "why", "said"),
    [
        ([], clusters.NO_FACES, "no voting clip shows a face"),
        ([[0, 1]], clusters.NO_LEAD, "one person is in 1 of 1"),
        ([[0, 1]] * 7, clusters.NO_LEAD, "one person is in 7 of 7 .* another in 7"),
        ([[0, 1]] * 9 + [[0]], clusters.NO_LEAD, "in 10 of 10 .* another in 9"),
        ([[0, 1]] * 8 + [[0]] * 2, "", "the person in 10 of 10 .*; the next of 2 people is in 8"),
        (
            [[0]] * 5 + [[1]] * 5,
            clusters.NO_MAJORITY,
            "more than half .* is in 5 of 10",
        ),
        ([[0], [1], [2], [3]], clusters.NO_MAJORITY, "of 4 people is in 1 of 4"),
        ([[0], [0, 1]], "", "in 2 of 2"),
        ([[0]], "", "in 1 of 1"),
        ([[0], [0], [1]], "", "in 2 of 3"),
    ],
)
def test_a_tie_and_no_clear_majority_are_said_not_guessed(cast, why, said):
    found = vote(clips(People(SFACE), cast), SFACE.thresholds.below)
    assert found.why == why and (found.subject is None) == bool(why)
    assert found.members() == [] or not why
    assert re.search(said, found.said())


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(14)))
def test_the_order_of_the_tracks_changes_nothing(order):
    tracks = clips(People(FACERES), [[0, 1], [0, 2], [0, 1, 3], [0], [1, 0], [2, 0], [4, 0]])
    first = vote(tracks, FACERES.thresholds.below)
    second = vote([tracks[i] for i in order], FACERES.thresholds.below)
    assert second.labels == tuple(first.labels[i] for i in order)
    assert (second.clips, second.subject, second.why) == (first.clips, first.subject, first.why)


def test_naming_one_of_two_who_are_always_together_tells_them_apart():
    people = People(FACERES)
    tracks = clips(people, [[0, 1]] * 6)
    threshold = FACERES.thresholds.above
    assert vote(tracks, threshold).subject is None
    allowed = clusters.without_negatives(tracks, people.faces(1, 1), threshold)
    found = vote(allowed, threshold)
    assert found.subject == 0 and [track.number for track in allowed] == [0] * 6
    assert clusters.without_negatives(tracks, np.zeros((0, 1024)), threshold) == tracks


def test_ten_thousand_pairs_of_equal_likeness_are_joined_from_the_front():
    """Ties: the same vector over and over, of which some cannot be one."""
    means = np.tile(unit(np.arange(1, 9.0)), (100, 1))
    apart = np.kron(np.eye(50), np.ones((2, 2))).astype(bool) & ~np.eye(100, dtype=bool)
    assert average_link(means, apart, 0.9).tolist() == [0, 1] * 50
