"""The plan of the final set, on cut-outs that lie at known distances on one line."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.common.seeds import seed_of
from ferrari.curation import coverage_selection, neighbours, selection_plan, splits
from ferrari.curation.embeddings import LENGTH, encode
from ferrari.curation.selection_plan import CutOut
from ferrari.ledger.reasons import NEAR_DUPLICATE, OVER_BUDGET

ALL = {"max_images": None, "near_duplicates": None, "validation": 0.0, "alike": 3.0}
CLIPS = ("a-0000000001", "b-0000000002", "c-0000000003")


def at(place: int) -> np.ndarray:
    """An embedding: two of them are as far apart as their places."""
    return np.full(LENGTH, place, np.int8)


def cutout(clip: int, frame: int, place: int, images: int = 1) -> CutOut:
    item = f"{CLIPS[clip]}-f{frame:06d}-p0"
    names = [f"{item}-v{variant}" for variant in range(images)]
    return CutOut(item, CLIPS[clip], ("full body",), encode(at(place)), names)


@pytest.mark.parametrize(
    ("lightness", "light"),
    [
        *(("", ""), ("0", "dark"), ("34.9", "dark"), ("35.0", "medium")),
        *(("64.9", "medium"), ("65", "bright"), ("100", "bright")),
    ],
)
def test_light_has_its_bounds(lightness, light):
    assert selection_plan.light_of(lightness) == light


def test_what_is_near_one_that_went_itself_stays():
    """A and b are near, b and c too, a and c are not: b goes alone."""
    vectors = np.stack([at(0), at(4), at(8)])
    found = coverage_selection.near_duplicates(vectors, np.array([0, 1, 2]), 5.0)
    assert found.tolist() == [False, True, False]


def test_near_is_nearer_than_the_bound():
    vectors, clips = np.stack([at(0), at(4)]), np.array([0, 1])
    assert not coverage_selection.near_duplicates(vectors, clips, 4.0).any()
    assert coverage_selection.near_duplicates(vectors, clips, 4.01).tolist() == [False, True]
    assert not list(neighbours.close_pairs(vectors, 4.0, clips))


def test_a_near_duplicate_whose_twin_goes_too_names_the_nearest_that_stayed():
    rows = [cutout(0, 0, 0), cutout(0, 1, 60), cutout(1, 0, 61)]
    plan = selection_plan.make(rows, {**ALL, "max_images": 1, "near_duplicates": 5.0}, 1)
    (stayed,) = {row.images[0] for row in rows} - plan.left_out.keys()
    reason, neighbour, away = plan.left_out[rows[2].images[0]]
    assert reason == NEAR_DUPLICATE and neighbour == stayed and away in (1.0, 61.0)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"near_duplicates": 100.0}, NEAR_DUPLICATE), ({"max_images": 1}, OVER_BUDGET)],
)
def test_an_image_that_a_person_kept_returns_alone(settings, reason):
    """The other image of its cut-out stays out, for the reason that the cut-out has."""
    rows = [cutout(0, 0, 0), cutout(0, 1, 2), cutout(1, 0, 60, images=2)]
    kept, other = rows[2].images
    without = selection_plan.make(rows, {**ALL, **settings}, 1)
    assert {kept, other} <= without.left_out.keys(), "else there is nothing to take back"
    plan = selection_plan.make(rows, {**ALL, **settings}, 1, frozenset([kept]))
    assert plan.taken_back == {kept: reason}
    assert plan.left_out[other] == (reason, kept, 0.0) and kept not in plan.left_out


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_a_single_group_is_for_training(share):
    """One seed in ten had a validation share of 0.1 take the whole set: all clips of one person are
    mostly one group.
    """
    found = [splits.sides(["walk-0123456789"], share, seed) for seed in range(200)]
    assert {side for sides in found for side in sides.values()} == {splits.TRAIN}
    assert splits.sides(["walk-0123456789"], 1.0, 1) == {"walk-0123456789": splits.VALIDATION}


def test_where_chance_puts_all_groups_on_one_side_the_outermost_is_moved():
    names = [f"clip-{number:010x}" for number in range(4)]
    by_place = sorted(names, key=lambda name: seed_of(1, name, "", "split"))
    few, most = splits.sides(names, 1e-6, 1), splits.sides(names, 1 - 1e-6, 1)
    assert [name for name in names if few[name] == splits.VALIDATION] == by_place[:1]
    assert [name for name in names if most[name] == splits.TRAIN] == by_place[-1:]


def test_the_budget_of_as_many_as_there_are_cells_takes_one_of_each():
    clips, cells = np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1])
    vectors = np.stack([at(0), at(60), at(120), at(61)])
    found = coverage_selection.choose(vectors, clips, cells, np.arange(4), 2, None)
    assert sorted(cells[found.taken].tolist()) == [0, 1]
