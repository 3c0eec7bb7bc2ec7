"""Which groups of pictures are compared, and what the comparison finds."""

from fractions import Fraction

import numpy as np
import pytest

from ferrari.video.decoding import proof
from ferrari.video.decoding.base import DecodePlan, DecoderUnavailableError, DecodeStats, Drifts
from ferrari.video.decoding.proof import Group, Shown
from ferrari.video.decoding.pyav_streams import opened, told_by
from tests.fake_nvidia import clips as fake_clips


class Picture:
    def __init__(self, level, **facts):
        self.level, self.facts = level, facts

    def rgb(self):
        return np.full((2, 3, 3), self.level, np.uint8)


def drifts(levels, step_s=1.0):
    """Of a group a step; the first ends at 0.9 s."""
    found = Drifts()
    for number, level in enumerate(levels):
        found.add(number * step_s + 0.9, level)
    return found


def starts(levels, count):
    groups = iter([Group(float(number), []) for number in range(count)])
    return [group.start_s for group in proof.chosen(groups, drifts(levels))]


@pytest.mark.parametrize(
    ("levels", "count", "expected"),
    [
        ([], 1, [0]),
        ([9], 2, [0, 1]),
        ([9, 1], 3, [0, 1, 2]),  # short: all
        ([], 4, [0, 3]),  # pictures that need no others: no group has an end
        ([99, 1, 2, 9, 3, 7, 1], 8, [0, 3, 5]),  # the first is compared in any case
        ([1, 9, 1, 1, 9, 9], 7, [0, 1, 4]),  # the earlier ones of equals
        ([1, 2, 3, 4, 5], 6, [0, 3, 4]),
        ([1] * 80 + [5, 6, 7, 8, 9], 86, [0, 80, 81, 82, 83, 84]),  # a twentieth
    ],
)
def test_the_first_group_and_those_at_whose_end_the_picture_jumps(levels, count, expected):
    assert starts(levels, count) == expected


def test_a_group_ends_at_a_key_frame_and_has_nothing_that_is_shown_before_its_own(tmp_path):
    class Packet:
        size = 1

        def __init__(self, pts, is_keyframe=False):
            self.pts, self.dts, self.is_keyframe = pts, None, is_keyframe

    class Stream:
        time_base = Fraction(1, 10)

        class container:
            @staticmethod
            def demux(_):
                for first in (0, 20):
                    yield Packet(first + 4, is_keyframe=True)
                    yield from map(Packet, range(first + 2, first + 20))
                yield Packet(40, is_keyframe=True)
                yield Packet(41, is_keyframe=True)  # too soon to be the next group

    found = list(proof.groups(Stream()))
    assert [group.start_s for group in found] == [0.4, 2.4, 4.0]
    assert [len(group.packets) for group in found] == [17, 17, 2]


def compared(ours, theirs):
    found = proof._Comparison()
    for one, other in zip(ours, theirs, strict=True):
        found.take(one, other)
    found.end_group()
    return found.proof()


def test_frames_are_paired_by_their_times_and_those_without_by_their_order():
    ours = [[Shown(1, Picture(10))], [Shown(None, Picture(30))], [Shown(2, Picture(20))]]
    theirs = [[], [Shown(2, Picture(21)), Shown(1, Picture(10))], [Shown(None, Picture(30))]]
    assert compared(ours, theirs) == proof.Proof(frames=3, difference=1.0)


@pytest.mark.parametrize(
    ("ours", "theirs", "why", "known"),
    [
        ([Shown(1, Picture(9))], [Shown(1, Picture(12))], "differs from the CPU's by 3", 3.0),
        (
            [Shown(1, Picture(9)), Shown(2, Picture(9))],
            [Shown(1, Picture(9))],
            "1 frame where the CPU gives 2",
            0.0,
        ),
        (
            [Shown(1, Picture(9))],
            [Shown(1, Picture(9)), Shown(3, Picture(9))],
            "2 frames where the CPU gives 1",
            0.0,
        ),
        ([Shown(1, Picture(9))], [Shown(2, Picture(9))], "at other times", 0.0),
        ([Shown(1, Picture(9, sar="1:1"))], [Shown(1, Picture(9, sar="2:1"))], "sar '2:1'", None),
        ([Shown(1, Picture(9))] * 2, [Shown(1, Picture(9))], "two frames have one time", None),
    ],
)
def test_what_differs_is_said_with_the_figure(ours, theirs, why, known):
    with pytest.raises(DecoderUnavailableError, match=why) as caught:
        compared([ours], [theirs])
    assert (caught.value.proof and caught.value.proof.difference) == known


def test_a_sample_that_the_pass_got_otherwise_is_found():
    from ferrari.images.repeats import glimpse

    class Grey(Picture):
        def luma(self):
            return np.full((16, 16), self.level, np.uint8)

    def recognised(level):
        glimpses = {0.5: glimpse(np.full((16, 16), level, np.uint8))}
        found = proof._Comparison(glimpses, Fraction(1, 2))
        for when in (0, 1, 2):
            found.take([Shown(when, Grey(90))], [Shown(when, Grey(90))])
        return found.proof()

    assert recognised(91).difference == 0
    with pytest.raises(DecoderUnavailableError, match=r"its sample at 0\.500 s differs") as caught:
        recognised(99)
    assert caught.value.proof.difference == 9


def test_a_difference_crosses_from_the_child_with_its_figure():
    import pickle

    error = DecoderUnavailableError("it differs", proof.Proof(4, 9.0))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == "it differs" and again.proof == proof.Proof(4, 9.0)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_the_reason_of_a_damaged_clip_does_not_hang_on_when_a_thread_complains(tmp_path, threads):
    """With one thread the complaint comes with the frame; with more, some packets earlier."""
    path, plan = tmp_path / "damaged.mp4", DecodePlan(threads=threads)
    fake_clips.damaged_inside(path, pictures=[3])
    with opened(str(path), plan) as stream, opened(str(path), plan) as told:
        theirs = proof._Stream(stream, told_by(told), plan)
        with pytest.raises(DecoderUnavailableError, match="FFmpeg complains of the clip: "):
            proof.against(str(path), plan, DecodeStats(), theirs)
