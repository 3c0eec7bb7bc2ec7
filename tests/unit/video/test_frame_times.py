"""When frames are shown: presentation times, decoding times where those are out of order."""

import pytest

from ferrari.video.decoding.frame_times import FrameTimes


@pytest.mark.parametrize(
    ("pts", "dts", "expected", "why"),
    [
        ([0, 1, 2], [0, 1, 2], [0, 1, 2], "presentation times are right"),
        ([None] * 3, [2, 3, 4], [2, 3, 4], "a container that knows decoding times alone"),
        ([0, 2, 1, 3, 5, 4], [2, 3, 4, 5, 6, 7], [0, 2, 4, 5, 6, 7], "out of order from the third"),
        ([5, 6, 7], [5, 5, 5], [5, 6, 7], "decoding times stand still"),
        ([0, 1, 2], [None, 1, None], [0, 1, 2], "decoding times are missing"),
        ([None, None], [None, None], [None, None], "nothing is known"),
    ],
)
def test_the_times_that_are_more_in_order(pts, dts, expected, why):
    times = FrameTimes()
    assert [times.of(p, d) for p, d in zip(pts, dts, strict=True)] == expected, why
