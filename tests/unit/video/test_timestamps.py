"""The clip's clock: samples on a grid, gaps, backward jumps, missing and absurd timestamps."""

from fractions import Fraction as F

import numpy as np
import pytest

from ferrari.video.timestamps import (
    PackedTimes,
    PacketClock,
    Sampler,
    frame_time,
    joined,
    longest_step,
    measure,
)


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


def test_slow_clips_are_measured_by_their_own_rate():
    span = measure([F(15 * n) for n in range(12)], F(15))
    assert (span.footage_s, span.largest_gap_s, span.rate_fps) == (180, 0, F(1, 15))
    last_short = measure([F(15 * n) for n in range(12)], F(1, 30))
    assert last_short.footage_s == 165 + F(1, 30)
    gap = measure([F(15 * n) for n in range(6)] + [F(3600 + 15 * n) for n in range(6)], F(15))
    assert (gap.footage_s, gap.largest_gap_s) == (165, 3525)
    assert measure([F(0), F(9_000_000_000_000_000)]).footage_s == 0  # no clip has such a rate


def test_what_is_a_gap_depends_on_the_rate_and_never_falls_below_ten_seconds():
    assert longest_step(F(1, 30)) == 10 and longest_step(F(5)) == 20
    assert longest_step(F(100_000)) == 86_400


def test_parts_with_a_clock_each_add_up():
    part = measure([F(n, 25) for n in range(50)], F(1, 25))
    both = joined([part, part])
    assert (both.footage_s, both.rate_fps, both.start_s) == (4, 25, 0) and not both.variable
    assert joined([part]) == part


@pytest.mark.parametrize("fps", [29.97, 25.0, 1.0, 0.0666667, 0.00166667])
def test_the_time_of_a_frame_is_what_the_rate_says(fps):
    assert float(frame_time(fps)) == pytest.approx(1 / fps, rel=1e-4)


# --- many of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "each"),
    [
        ([], 4),
        ([-7], 4),
        ([3, -1000, 90_000, 5], 4),
        ([-(2**62), -(2**62) + 2**32 - 1], 4),
        ([-1, 2**32 - 1], 8),
        ([-(2**63), 2**63 - 1, 0], 8),
    ],
)
def test_packed_times_are_those_that_were_given(times, each):
    packed = PackedTimes.of(times)
    assert list(packed) == packed.whole().tolist() == times and len(packed) == len(times)
    assert [packed[place] for place in range(len(times))] == times
    assert packed.above.itemsize == each
    assert packed == PackedTimes.of(np.array(times, np.int64))


def anew(packets):
    """The places at which the clock starts anew; `packets` are times, k behind that of a key."""
    clock = PacketClock()
    words = [(int(word.rstrip("k")), word.endswith("k")) for word in packets.split()]
    return [n for n, (time, is_key) in enumerate(words) if clock.starts_anew(time, is_key)]


ON = " ".join(map(str, range(1, 30)))


@pytest.mark.parametrize(
    ("packets", "expected", "why"),
    [
        (f"0k {ON} 30k 31 32", [], "it goes on"),
        (f"0k {ON} 0k 1 2", [30], "a second recording"),
        (f"0k {ON} 0k 4 2 1 3 8 6 5 7", [30], "B-frames of the second"),
        ("0k 4 2 1 3 8k 6 5 7 12 10 9 11", [], "B-frames, the last of them across a key frame"),
        (f"0k {ON} {ON}", [30], "it jumps back between key frames"),
        (f"0k {ON} 24 25 26", [], "by less than a decoder reorders"),
        ("0k 1k 2k 2k 3k", [], "a time that is there twice"),
        ("0k 1k 2k 0k 1k 2k", [3], "key frames alone"),
        (f"5k {ON} 1000k 1001 2k 3", [32], "forwards it is a gap"),
    ],
)  # fmt: skip
def test_where_a_clock_starts_anew(packets, expected, why):
    assert anew(packets) == expected, why
