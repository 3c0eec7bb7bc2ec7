"""Tracks that pass from one person to another are cut at the right moment, and no others."""

import numpy as np
import pytest

from ferrari.subject import judgements as j
from ferrari.subject.hand_over import Likeness
from ferrari.subject.mixed_tracks import separated
from ferrari.subject.templates import Template
from ferrari.subject.who import decide
from tests.unit.subject.people import NETWORKS, side_face, unit
from tests.unit.subject.test_who import Scene, shuffled


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("before", [2, 3, 7])
def test_a_mixed_track_is_cut_at_the_frame(network, seed, before):
    scene = Scene(network, seed).see(0, range(before), 0).see(0, range(before, 10), 1)
    found = separated(scene.sightings(), network.thresholds.below)
    assert found.track.tolist() == [0] * before + [1] * (10 - before)
    decision = decide(
        found, Template(scene.members, scene.negatives), Likeness(np.eye(2), np.eye(2)), scene.rules
    )
    assert [each.who for each in decision.tracks] == [j.SUBJECT, j.NOT_SUBJECT]


@pytest.mark.parametrize("network", NETWORKS)
def test_there_and_back_and_three_people(network):
    scene = Scene(network)
    for start, who in ((0, 0), (4, 1), (8, 0), (12, 2)):
        scene.see(0, range(start, start + 4), who)
    found = separated(scene.sightings(), network.thresholds.below)
    assert found.track.tolist() == [i // 4 for i in range(16)]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(5))
def test_one_person_is_not_cut_not_even_while_turning(network, seed):
    scene = Scene(network, seed)
    side = unit(np.random.default_rng(seed).normal(size=network.length))
    for time, share in enumerate(np.linspace(0, 0.6, 40)):
        scene.see(0, [time]).put(side_face(scene.people.faces(0, 1), side, share)[0])
    assert set(separated(scene.sightings(), network.thresholds.below).track) == {0}


def test_backs_between_two_people_are_a_piece_of_their_own():
    scene = Scene().see(0, range(4), 0).see(0, range(4, 7), None).see(0, range(7, 11), 1)
    scene.see(0, [11], None).see(1, [2, 3], 2)
    found = separated(scene.sightings(), scene.rules.thresholds.below)
    assert found.track.tolist() == [0] * 4 + [2] * 3 + [3] * 5 + [1] * 2


def test_small_faces_and_single_ones_cut_nothing():
    scene = Scene().see(0, range(5), 0).see(0, [5], 1).see(0, range(6, 9), 0)
    scene.see(0, range(10, 14), 1, weight=0.3)
    assert set(separated(scene.sightings(), scene.rules.thresholds.below).track) == {0}


def test_tracks_that_are_not_mixed_keep_their_numbers_and_order_does_not_matter():
    scene = Scene().see(0, range(4), 0).see(1, range(2, 8), 1).see(0, range(4, 9), 2)
    scene.see(2, [20], None)
    seen = scene.sightings()
    order = np.random.default_rng(0).permutation(len(seen.track)).tolist()
    faces = np.random.default_rng(1).permutation(len(seen.faces.weights)).tolist()
    first = separated(seen, scene.rules.thresholds.below)
    again = separated(shuffled(seen, order, faces), scene.rules.thresholds.below)
    assert again.track.tolist() == first.track[order].tolist()
    assert first.track.tolist() == [0] * 4 + [1] * 6 + [2] * 5 + [3]
    assert np.array_equal(separated(first, scene.rules.thresholds.below).track, first.track)
