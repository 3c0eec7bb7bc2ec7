"""Boxes: which is the subject, and what is cut around it."""

import numpy as np
import pytest

from ferrari.images import boxes, subject_choice
from ferrari.images.boxes import Detection
from ferrari.networks.detectors import regions

SMALL = {"confidence": "0.9", "track_area": "0.1", "track_off_centre": "0.05"}
LARGE = {"confidence": "0.8", "track_area": "2.5", "track_off_centre": "0.4"}


@pytest.mark.parametrize(
    ("policy", "chosen"), [("largest", {1}), ("most_central", {0}), ("all", {0, 1})]
)
def test_policies(policy, chosen):
    figures = subject_choice.figures([SMALL, LARGE], policy)
    assert subject_choice.choose(figures, policy) == chosen


def test_no_detections_and_unknown_policies():
    assert subject_choice.figures([], "largest") == []
    assert subject_choice.choose([], "largest") == set()
    with pytest.raises(ValueError, match="none of"):
        subject_choice.figures([SMALL], "nicest")


def test_ties_go_to_the_first_and_numbering_is_stable():
    twins = [Detection((x, 0, x + 100, 100), 0.5, "person") for x in (300, 100)]
    ordered = subject_choice.in_order(twins)
    assert [d.box_xyxy[0] for d in ordered] == [100, 300]
    assert subject_choice.choose([3.0, 3.0], "largest") == {0}


def test_padding_is_whole_pixels_inside_the_frame():
    assert boxes.padded((10.4, 20.6, 110.2, 220.1), 0.1, 640, 480) == (0, 0, 131, 241)
    assert boxes.padded((500, 100, 640, 480), 0.5, 640, 480) == (310, 0, 640, 480)
    assert boxes.clip((-5, -5, 700, 500), 640, 480) == (0, 0, 640, 480)


def test_regions_of_an_alpha_join_near_parts_and_leave_specks():
    alpha = np.zeros((200, 400), np.float32)
    alpha[20:100, 30:80] = 0.9
    alpha[102:160, 40:70] = 1.0  # two pixels below: the same subject
    alpha[150:190, 300:340] = 0.8
    alpha[5:8, 390:393] = 1.0  # a speck
    found = sorted(regions(alpha, "person"), key=lambda d: d.box_xyxy)
    assert [d.box_xyxy for d in found] == [(30, 20, 80, 160), (300, 150, 340, 190)]
    assert found[1].confidence == pytest.approx(0.8)
