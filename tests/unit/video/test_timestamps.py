"""The clip's clock: samples on a grid, gaps, backward jumps, missing and absurd timestamps."""

from fractions import Fraction as F

import pytest

from ferrari.video.timestamps import Sampler, measure


def chosen(times, fps, frame_s=F(1, 30)):
    sampler = Sampler(fps, frame_s)
    return [i for i, t in enumerate(times) if sampler.wants(sampler.place(t))]


def test_constant_rate_has_no_drift():
    times = [F(n * 1001, 30000) for n in range(9000)]
    picked = chosen(times, 2)
    assert len(picked) == 601
    assert all(F(k, 2) <= times[i] < F(k, 2) + F(1001, 30000) for k, i in enumerate(picked))


@pytest.mark.parametrize(
    ("times", "expected", "why"),
    [
        ([F(0), F(1, 10), F(6, 10), F(7, 10)], [0, 2], "the first frame of each half second"),
        ([F(7200), F(7201), F(10801), F(10802)], [0, 1, 2, 3], "an hour's gap is one sample"),
        ([F(0), F(9_000_000_000_000_000)], [0, 1], "absurd times cost nothing"),
        ([F(5), F(6), F(1), F(11, 10), F(2)], [0, 1, 2, 4], "a backward jump starts a new grid"),
        ([None] * 60, [0, 15, 30, 45], "frames without timestamps are a nominal frame apart"),
    ],
)
def test_odd_clocks(times, expected, why):
    assert chosen(times, 2) == expected, why


def test_footage_excludes_gaps_and_counts_the_last_frame():
    first = [F(7200) + F(n, 30) for n in range(30)]
    span = measure(first + [t + 3600 for t in first], F(1, 30))
    assert span.footage_s == F(29, 30) * 2 + F(1, 30)
    assert (span.start_s, span.largest_gap_s) == (7200, 3600 - F(29, 30))
    assert span.rate_fps == 30 and not span.variable


def test_variable_rate_is_noticed_and_one_frame_spans_its_duration():
    assert measure([F(n, 30) for n in (0, 1, 2, 9, 10, 17, 18)]).variable
    assert measure([F(3)], F(1, 30)).footage_s == F(1, 30)
    assert measure([F(3)]).footage_s == 0 and measure([]).footage_s == 0
