from fractions import Fraction

import pytest

from ferrari.video.decoding.codec_changes import time_of_the_dropped


@pytest.mark.parametrize(
    ("pts", "when"),
    [
        ([0, 40, 80], 120),  # behind them all
        ([0, 40, 120, 160], 80),  # between them, as one of B-frames is
        ([0, 33, 67, 100], 133),  # steps that are rounded are no holes
        ([0], 40),
        ([80, 80], 120),
        ([], None),
    ],
)
def test_a_dropped_frame_lies_in_the_first_hole_or_at_the_end(pts, when):
    assert time_of_the_dropped(pts, Fraction(40)) == when
