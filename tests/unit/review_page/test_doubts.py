"""Doubts order what a person looks at: known rows have known places."""

from __future__ import annotations

import pytest

from ferrari.ledger.columns import COLUMNS
from ferrari.review_page import doubts
from ferrari.subject import identity_table, judgements

TRACK = dict.fromkeys(identity_table.COLUMNS, "")
MASK = dict.fromkeys(COLUMNS["mask"], "")
FACE = {"who": judgements.SUBJECT, "by": judgements.FACE, "threshold": "0.36", "sureness": "1"}


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        ({"who": judgements.UNSURE, "why": judgements.FACES_DISAGREE}, 1.0),
        ({"who": judgements.UNSURE, "why": judgements.NO_FACE}, 0.9),
        ({**FACE, "score": "0.36"}, 0.8),
        ({**FACE, "score": "0.485"}, 0.4),
        ({**FACE, "score": "0.7"}, 0.0),
        ({"who": judgements.SUBJECT, "by": judgements.SET, "sureness": "0.5"}, 0.4),
        ({"who": judgements.SUBJECT, "by": judgements.REVIEW, "why": judgements.REVIEWED}, 0.0),
    ],
)
def test_a_track(cells, doubt):
    assert doubts.of_track({**TRACK, **cells}) == pytest.approx(doubt)


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        ({}, 0.0),
        ({"edge_fraction": "0.05", "gate_iou": "1"}, 0.08),
        ({"edge_fraction": "0.05", "others_unsure": "0.01"}, 0.4),
        ({"gate_iou": "0.75"}, 0.4),
        ({"edge_fraction": "0.9"}, 0.8),
    ],
)
def test_a_cutout(cells, doubt):
    assert doubts.of_cutout({**MASK, **cells}) == pytest.approx(doubt)


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        ({"reason": "NEAR_DUPLICATE", "value": "0.9", "threshold": "0.9"}, 0.8),
        ({"reason": "TOO_SMALL", "value": "32", "threshold": "64"}, 0.0),
        ({"reason": "TOO_SMALL", "value": "", "threshold": "64"}, 0.0),
        ({"reason": "EMPTY_MASK", "value": "0.9", "threshold": "0.9"}, 0.0),
        ({"reason": "OVER_BUDGET", "value": "a text", "threshold": ""}, 0.0),
    ],
)
def test_a_refusal(cells, doubt):
    assert doubts.of_refusal({**MASK, **cells}) == pytest.approx(doubt)


def test_an_image_is_in_doubt_for_its_cutout_or_its_track():
    assert doubts.of_image(0.5, 0.2) == doubts.of_image(0.1, 0.5) == pytest.approx(0.45)
