"""Who may be in somebody's box beside them, by boxes that the detector is not sure of."""

from __future__ import annotations

import pytest

from ferrari.images import hardly_seen
from ferrari.images.boxes import Detection

OWN, NEXT = (100.0, 0.0, 300.0, 400.0), (290.0, 0.0, 500.0, 400.0)
HEAD = (250.0, 20.0, 310.0, 260.0)  # of who is behind OWN, down to the waist


def found(*boxes: tuple, confidence: float = 0.2) -> list[Detection]:
    return [Detection(box, confidence, "person") for box in boxes]


def test_who_looks_out_behind_somebody_is_a_hint_in_their_box_alone():
    assert hardly_seen.within([OWN, NEXT], found(HEAD), 0.35) == [[HEAD], []]


@pytest.mark.parametrize(
    ("box", "confidence", "why"),
    [
        (HEAD, 0.1, "so faint a box lies anywhere"),
        (HEAD, 0.35, "they count, and have a row"),
        ((110.0, 5.0, 290.0, 380.0), 0.2, "the same person once more"),
        ((100.0, 0.0, 140.0, 60.0), 0.2, "a hand or a bag"),
        ((20.0, 20.0, 150.0, 300.0), 0.2, "beside somebody, not in their box"),
        ((500.0, 20.0, 600.0, 300.0), 0.2, "in nobody's box"),
        ((250.0, 20.0, 250.0, 200.0), 0.2, "an empty box"),
        ((125.0, 0.0, 270.0, 190.0), 0.2, "their own head and shoulders"),
    ],
)
def test_no_hint(box, confidence, why):
    assert hardly_seen.within([OWN, NEXT], found(box, confidence=confidence), 0.35) == [[], []], why


def test_in_two_boxes_they_are_nobodys_hint_for_both_know_of_each_other():
    both = [OWN, (150.0, 0.0, 420.0, 400.0)]
    assert hardly_seen.within(both, found(HEAD), 0.35) == [[], []]


@pytest.mark.parametrize(
    ("known", "left", "why"),
    [
        ((255.0, 18.0, 312.0, 250.0), [], "the same box"),
        ((240.0, 10.0, 330.0, 500.0), [], "their whole body, of which the hint is the upper part"),
        ((290.0, 0.0, 500.0, 400.0), [HEAD], "who stands beside them"),
        ((255.0, 0.0, 275.0, 400.0), [HEAD], "less than half of it"),
    ],
)
def test_a_hint_for_who_is_found_after_all_is_none_any_more(known, left, why):
    assert hardly_seen.without([HEAD], [known]) == left, why
    assert hardly_seen.without([HEAD], [NEXT, known]) == left, why


def test_nobody_and_nothing_found():
    assert hardly_seen.within([], found(HEAD), 0.35) == []
    assert hardly_seen.within([OWN], [], 0.35) == [[]]


def test_a_cell_reads_back_as_it_was_told():
    assert hardly_seen.read(hardly_seen.told([HEAD, OWN])) == [HEAD, OWN]
    assert hardly_seen.told([]) == "" and hardly_seen.read("") == []
