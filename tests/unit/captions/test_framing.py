"""Framing from boxes whose answer is known: anthropometry, and boxes measured on real clips."""

import pytest

from ferrari.captions.framing import facing_of, framing, framing_of

CASES = [
    # box, frame, expected, why
    ((397, 1, 555, 385), (768, 432), "full body", "stands in full view, 1:2.4"),
    ((482, 23, 612, 398), (768, 432), "full body", "stands in full view, 1:2.9"),
    ((174, 52, 472, 474), (640, 480), "half body", "thighs up, cut below, arms out, 1:1.4"),
    ((201, 85, 414, 472), (640, 480), "half body", "thighs up, cut below, slim, 1:1.8"),
    ((200, 20, 600, 440), (800, 440), "close-up", "head and shoulders, cut below, 1:1.05"),
    ((0, 60, 360, 500), (360, 500), "close-up", "phone held upright, shoulders cut on both sides"),
    ((300, 0, 460, 480), (640, 480), "full body", "feet at the lower edge, 1:3"),
    ((0, 0, 160, 480), (640, 480), "half body", "slim only because the side of the frame cuts it"),
    ((560, 285, 640, 476), (640, 480), "half body", "the same on the right, 1:2.4"),
    ((100, 200, 300, 400), (640, 480), "half body", "ends in the frame but broad: sits, or hidden"),
]


@pytest.mark.parametrize(("box", "frame", "expected", "why"), CASES, ids=[c[3] for c in CASES])
def test_framing(box, frame, expected, why):
    assert framing(box, frame) == expected


def test_framing_does_not_depend_on_scale():
    for box, frame, expected, _ in CASES:
        grown = tuple(3 * side for side in box)
        assert framing(grown, (3 * frame[0], 3 * frame[1])) == expected


@pytest.mark.parametrize("box", [(10, 10, 10, 50), (10, 50, 40, 20)])
def test_box_without_area_is_an_error(box):
    with pytest.raises(ValueError, match="no area"):
        framing(box, (100, 100))


def test_framing_of_reads_the_crop_table():
    box = {"x1": "397", "y1": "1.5", "x2": "555", "y2": "385"}
    assert framing_of({**box, "frame_width": "768", "frame_height": "432"}) == "full body"


def test_facing_is_not_invented_but_taken_where_a_detector_says_it():
    assert facing_of({"item": "a", "x1": "1"}) == ""
    assert facing_of({"item": "a", "facing": "facing left"}) == "facing left"
    with pytest.raises(ValueError, match="is none of"):
        facing_of({"item": "a", "facing": "upwards"})
