"""Groups of cut-outs as far apart as two people are found where they are, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ferrari.curation.embeddings import LENGTH
from ferrari.qc import looks_apart
from ferrari.qc.similarity import CutOuts

BOUND = 12.0


def cutouts(*places: tuple[float, int], clips=4, seed=1) -> CutOuts:
    """Cut-outs around places that lie on one line; of each (place, how many)."""
    rng = np.random.default_rng(seed)
    at = np.repeat([place for place, _ in places], [count for _, count in places])
    vectors = (at[:, None] + rng.integers(-3, 4, (len(at), LENGTH))).astype(np.int8)
    videos = [f"clip{number % clips}" for number in range(len(at))]
    rows = pd.DataFrame({"item": [f"i{n:04}" for n in range(len(at))], "video": videos})
    return CutOuts(rows, vectors, pd.factorize(rows["video"])[0], [])


@pytest.mark.parametrize(
    ("places", "sizes"),
    [
        ([(0, 40)], [40]),
        ([(0, 40), (30, 20)], [40, 20]),
        ([(0, 40), (9, 9), (18, 9), (27, 20)], [78]),  # a chain of poses leads across
        ([(0, 40), (30, 7)], [40]),  # too few to be a group
        ([(0, 300), (30, 14)], [300]),  # too small a share
        ([(0, 9), (30, 9), (-40, 9)], [9, 9, 9]),
    ],
)
def test_groups_are_told_by_gaps_and_not_by_width(places, sizes):
    assert looks_apart.find(cutouts(*places), BOUND).table["cutouts"].tolist() == sizes


def test_two_groups_are_asked_about_with_a_picture_of_each():
    groups = looks_apart.find(cutouts((0, 40), (30, 20)), BOUND)
    check = looks_apart.check(groups, BOUND)
    assert check.status == "WARN"
    assert check.figure.startswith("2 groups (40 and 20 cut-outs), 2")
    assert int(check.rows[0][1:]) < 40 <= int(check.rows[1][1:])
    assert groups.table["clips"].tolist() == [4, 4]


@pytest.mark.parametrize("places", [[], [(0, 1)], [(0, 30)]])
def test_one_group_or_none_is_no_question(places):
    groups = looks_apart.find(cutouts(*places), BOUND)
    assert looks_apart.check(groups, BOUND).status == "PASS"


def test_a_bound_of_nothing_asks_nothing():
    check = looks_apart.check(looks_apart.find(cutouts((0, 40), (30, 20)), 0), 0)
    assert (check.status, check.figure) == ("PASS", "not asked")


def test_a_large_set_is_looked_at_evenly(monkeypatch):
    monkeypatch.setattr(looks_apart, "MOST", 50)
    groups = looks_apart.find(cutouts((0, 400), (30, 200)), BOUND)
    assert groups.looked_at == 50 and groups.table["cutouts"].tolist() == [34, 16]
