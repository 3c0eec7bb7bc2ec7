"""The measures of tracks: answers that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench import tracks
from bench.track_metrics import Labelled, hota, idf1, switches
from ferrari.subject.tracks import Moment

BOXES = np.array([[0, 0, 10, 20], [100, 0, 110, 20]], float)


def rows(*numbers) -> list[Labelled]:
    """Two boxes a moment with these numbers; None: no box."""
    found = []
    for pair in numbers:
        seen = [at for at, one in enumerate(pair) if one is not None]
        found.append(Labelled([pair[at] for at in seen], BOXES[seen]))
    return found


TRUTH = rows(*[(0, 1)] * 4)


def test_tracks_that_are_the_truth():
    found = hota(TRUTH, rows(*[(7, 3)] * 4))
    assert (found.hota, found.detection, found.association) == pytest.approx((1, 1, 1))
    assert idf1(TRUTH, rows(*[(7, 3)] * 4)) == 1
    assert switches([1, 1, 1]) == 0


def test_a_switch_in_the_middle():
    """Each pair of a person and a track is together in two of four: 2 / (4 + 4 - 2) = 1/3."""
    crossed = rows((0, 1), (0, 1), (1, 0), (1, 0))
    found = hota(TRUTH, crossed)
    assert (found.detection, found.association) == pytest.approx((1, 1 / 3))
    assert found.hota == pytest.approx(np.sqrt(1 / 3))
    assert idf1(TRUTH, crossed) == 0.5
    assert switches([0, 0, 1, 1, 0]) == 2


def test_a_track_that_is_cut_in_the_middle():
    """Both halves of person 0: 2 / (4 + 2 - 2) = 1/2; person 1: 1. IDF1: 2 * 6 / 16."""
    cut = rows((0, 1), (0, 1), (2, 1), (2, 1))
    assert hota(TRUTH, cut).association == pytest.approx(0.75)
    assert idf1(TRUTH, cut) == 0.75


def test_half_of_the_boxes_are_missing():
    """Detection: 4 / 8. Association: 4 / (4 + 4 - 4) = 1 for the person who is seen."""
    found = hota(TRUTH, rows(*[(0, None)] * 4))
    assert (found.detection, found.association) == pytest.approx((0.5, 1))
    assert idf1(TRUTH, rows(*[(0, None)] * 4)) == pytest.approx(2 * 4 / 12)


def test_boxes_that_overlap_by_half_count_up_to_there():
    """IoU 0.5: right at 10 of the 19 overlaps, wrong at 9."""
    one = [Labelled([0], np.array([[0, 0, 10, 10]], float))] * 3
    half = [Labelled([0], np.array([[0, 0, 10, 5]], float))] * 3
    assert hota(one, half).hota == pytest.approx(10 / 19)


def test_nobody_there_and_nobody_found():
    nobody = [Labelled([], np.zeros((0, 4)))] * 2
    assert (hota(nobody, nobody).hota, idf1(nobody, nobody)) == (1, 1)
    assert hota(nobody, [Labelled([0], BOXES[:1])] * 2).hota == 0


def test_the_baseline_follows_overlap_alone():
    boxes = [BOXES + 4 * number for number in range(4)]
    moments = [
        Moment(n / 6, box, np.full(2, 0.9), np.zeros((2, 1)), False) for n, box in enumerate(boxes)
    ]
    assert tracks.by_overlap(moments) == [[(n, 0) for n in range(4)], [(n, 1) for n in range(4)]]
