"""The template of the subject, and what the references say of each other."""

import numpy as np
import pytest

from ferrari.subject import templates
from ferrari.subject.similarity import pooled, similarities, upper_third
from ferrari.subject.templates import (
    AGREES,
    DUPLICATE,
    STRANGER,
    UNCHECKED,
    ReferencesError,
    Template,
    Thresholds,
)
from tests.unit.subject.people import FACERES, NETWORKS, SFACE, People, side_face, unit

NONE = np.zeros((0, 4))


def names(count: int) -> list[str]:
    return [f"{i:03d}.jpg" for i in range(count)]


@pytest.mark.parametrize("network", NETWORKS)
def test_made_people_are_as_far_apart_as_measured_ones(network):
    people = People(network)
    one, other = people.faces(0, 60), people.faces(1, 60)
    same = similarities(one, one)[np.triu_indices(60, 1)]
    assert same.mean() == pytest.approx(network.same, abs=0.02)
    assert similarities(one, other).max() < network.thresholds.below
    assert same.min() > network.thresholds.above


@pytest.mark.parametrize(
    ("scores", "weights", "expected"),
    [
        ([0.3], [1], 0.3),
        ([0.3, 0.9], [1, 1], 0.9),
        ([0.1, 0.9, 0.5], [1, 1, 1], 0.5),
        ([0.9, 0.5, 0.4, 0.3, 0.2, 0.1], [1] * 6, 0.4),
        ([0.9, 0.5, 0.1], [0.1, 1, 1], 0.5),
        ([0.9, 0.5, 0.1], [2, 1, 1], 0.9),
        ([0.9, 0.1], [0, 1], 0.1),
        ([0.9, 0.5, 0.1], [0.7, 0.7, 0.7], 0.5),  # a third exactly is not more than a third
    ],
)
def test_upper_third(scores, weights, expected):
    assert upper_third(np.array(scores), np.array(weights, float)) == expected


def test_without_a_weight_there_is_no_score():
    with pytest.raises(ValueError, match="weight"):
        upper_third(np.array([0.5]), np.array([0.0]))
    with pytest.raises(ValueError, match="weight"):
        pooled(np.ones((2, 3)), np.zeros(2))


def test_a_pooled_face_has_the_mean_of_the_similarities():
    faces = People(SFACE).faces(0, 5)
    mean = pooled(faces, np.array([1, 1, 1, 1, 2.0]))
    expected = (similarities(faces, faces)[0] * [1, 1, 1, 1, 2]).sum() / 6
    assert float(mean @ faces[0]) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("count", "place"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (10, 3)])
def test_a_score_is_the_one_plus_third_highest_similarity(count, place):
    members = np.eye(count)
    face = unit(np.arange(count, 0, -1.0))[None]
    assert Template(members, NONE).scores(face)[0] == pytest.approx(face[0, place], abs=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("right", "wrong"), [(2, 1), (4, 1), (4, 2), (8, 4)])
def test_a_third_of_wrong_members_lets_nobody_in(network, right, wrong):
    people = People(network)
    members = np.concatenate([people.faces(0, right), people.faces(1, wrong)])
    template = Template(members, np.zeros((0, network.length)))
    assert template.scores(people.faces(0, 50)).min() >= network.thresholds.above
    assert template.scores(people.faces(1, 50)).max() < network.thresholds.below


@pytest.mark.parametrize("network", NETWORKS)
def test_a_view_that_a_third_of_the_references_show_counts_in_full(network):
    people = People(network)
    side = unit(np.random.default_rng(5).normal(size=network.length))
    front, turned = people.faces(0, 4), side_face(people.faces(0, 3), side, 0.4)
    probes = side_face(people.faces(0, 30), side, 0.4)
    without = np.zeros((0, network.length))
    both = Template(np.concatenate([front, turned]), without).scores(probes)
    mean = similarities(probes, pooled(np.concatenate([front, turned]), np.ones(7))[None])[:, 0]
    assert (both >= network.thresholds.above).all()
    assert (both > mean).all()


def test_a_negative_score_is_that_of_the_nearest_negative():
    people = People(SFACE)
    template = Template(people.faces(0, 3), np.concatenate([people.faces(i, 1) for i in (1, 2)]))
    assert template.negative_scores(people.faces(2, 20)).min() > SFACE.thresholds.above
    assert template.negative_scores(people.faces(3, 20)).max() < SFACE.thresholds.above
    assert Template(people.faces(0, 3), np.zeros((0, 128))).negative_scores(
        people.faces(0, 2)
    ).tolist() == [-1, -1]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("right", "strangers"),
    [(2, [1]), (3, [1]), (5, [1]), (4, [1, 1]), (9, [1, 2, 3]), (6, [1] * 5)],
)
def test_each_stranger_among_the_references_is_named(network, seed, right, strangers):
    people = People(network, seed)
    shuffled = np.random.default_rng(seed).permutation([0] * right + strangers)
    references = np.concatenate([people.faces(who, 1) for who in shuffled])
    check = templates.self_check(references, network.thresholds)
    assert check.settled
    assert check.kinds == tuple(STRANGER if who else AGREES for who in shuffled)
    assert check.usable() == np.flatnonzero(shuffled == 0).tolist()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("who", [[0, 1], [0, 0, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 1, 2], [0, 1, 2]])
def test_without_a_majority_it_says_that_it_cannot_know(network, who):
    people = People(network)
    references = np.concatenate([people.faces(each, 1) for each in who])
    check = templates.self_check(references, network.thresholds)
    assert not check.settled and STRANGER not in check.kinds
    assert sorted(map(len, check.groups)) == sorted(who.count(each) for each in set(who))
    with pytest.raises(ReferencesError, match=rf"like {len(set(who))} people: .*000\.jpg"):
        templates.build(references, names(len(who)), references[:0], [], network.thresholds)


def test_a_stranger_s_picture_sent_twice_does_not_confirm_itself():
    people = People(FACERES)
    stranger = people.faces(1, 1)
    references = np.concatenate([stranger, people.faces(0, 2), stranger, stranger])
    check = templates.self_check(references, FACERES.thresholds)
    assert check.kinds == (STRANGER, AGREES, AGREES, DUPLICATE, DUPLICATE)
    assert np.isnan(check.scores[3:]).all()


def test_two_that_agree_are_enough_and_one_cannot_be_checked():
    people = People(SFACE)
    assert templates.self_check(people.faces(0, 2), SFACE.thresholds).kinds == (AGREES, AGREES)
    one = templates.self_check(people.faces(0, 1), SFACE.thresholds)
    assert one.kinds == (UNCHECKED,) and one.settled and one.usable() == [0]


def test_a_likeness_between_the_thresholds_is_used_and_said_to_be_unsure():
    doubtful = Thresholds(0.60, 0.20)
    people = People(SFACE)
    references = np.concatenate([people.faces(0, 4), people.faces(0, 1, like=1)])
    template, check = templates.build(references, names(5), references[:0], [], doubtful)
    assert check.kinds[4] == templates.UNSURE and check.settled
    assert len(template.members) == 5


def test_no_reference_is_an_error():
    with pytest.raises(ReferencesError, match="no reference face"):
        templates.build(NONE, [], NONE, [], SFACE.thresholds)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_negative_that_is_the_subject_is_an_error_that_names_it(network):
    people = People(network)
    negatives = np.concatenate([people.faces(1, 1), people.faces(0, 1), people.faces(2, 1)])
    with pytest.raises(ReferencesError, match=r"subject\.not .*take: |: her\.png \(0\.") as raised:
        templates.build(
            people.faces(0, 5),
            names(5),
            negatives,
            ["a.png", "her.png", "b.png"],
            network.thresholds,
        )
    assert "a.png" not in str(raised.value)


def test_a_check_does_not_depend_on_the_order_of_the_references():
    people = People(FACERES)
    references = np.concatenate([people.faces(0, 6), people.faces(1, 2)])
    order = np.random.default_rng(3).permutation(8)
    first = templates.self_check(references, FACERES.thresholds)
    second = templates.self_check(references[order], FACERES.thresholds)
    assert second.kinds == tuple(first.kinds[i] for i in order)
    assert np.array_equal(second.scores, first.scores[order])


@pytest.mark.parametrize(("above", "below"), [(0.3, 0.4), (1.2, 0.5), (0.5, -2)])
def test_thresholds_that_make_no_sense_are_refused(above, below):
    with pytest.raises(ValueError, match="thresholds"):
        Thresholds(above, below)
