"""What counts as a difference, and what does not."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from ferrari.ledger.columns import QUARANTINED
from tests.wild.comparing import KINDS, differences, shown_duration, usual_step
from tests.wild.made_views import Made, lost_span, refused, row, scene, shown

PICTURE = scene()


def kinds(made):
    return [difference.kind for difference in differences(made.clip())]


def frames(count=10, **changed):
    return [shown(number, PICTURE, **changed) for number in range(count)]


def test_two_views_of_a_sound_clip_are_the_same():
    assert kinds(Made()) == []


def test_refused_by_both_is_no_difference():
    assert kinds(Made(probe=refused("CORRUPT_CONTAINER"), frames=[])) == []


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (Made(probe=refused("CORRUPT_CONTAINER")), ["refused"]),
        (Made(frames=[]), ["taken"]),
        (Made(count=1, format="avif", header="    major_brand     : avif"), ["not film"]),
        (Made(format="tty"), ["not film"]),
        (Made(probe={"frames": "11"}), ["count"]),
        (Made(lost=[lost_span(0.1, 0.2)]), ["distrust"]),
        (Made(lost=[lost_span(0.1, 0.2)], complaints=["[h264] [error] x"]), []),
        (Made(frames=frames(interlaced=True)), ["fields"]),
        (Made(probe={"duration_s": "0.481"}), ["duration"]),
        (
            Made(probe={"duration_s": "0.44"}),
            [],
        ),  # a frame: old versions do not tell the last's end
        (Made(probe={"width": "64", "height": "96"}), ["size"]),
        (Made(frames=frames(sar=Fraction(2))), ["size"] * 4),
        (Made(theirs_rgb=np.ascontiguousarray(PICTURE[::-1])), ["orientation"] * 3),
        (Made(theirs_rgb=PICTURE + np.uint8(3)), ["colours"] * 3),
        (Made(theirs_rgb=PICTURE + np.uint8(2)), []),
        (Made(lossy_rgb=PICTURE + np.uint8(3)), ["loss"]),
        (Made(lossy_rgb=PICTURE[:, :90]), ["loss"]),
    ],
)
def test_what_differs(made, found):
    assert kinds(made) == found


def test_a_pts_in_another_time_base_differs_although_the_time_is_the_same():
    rows = [row(number, pts=str(number * 1024)) for number in range(10)]
    assert kinds(Made(rows=rows)) == ["times"]


def test_a_time_off_by_a_microsecond_differs():
    rows = [row(number, time_s=str(round(number / 25 + 2e-6, 6))) for number in range(10)]
    assert kinds(Made(rows=rows)) == ["times"]


def test_a_frame_that_one_of_both_lacks_is_named():
    rows = [row(number) for number in range(10) if number != 4]
    (missing,) = differences(Made(rows=rows).clip())
    assert (missing.kind, missing.theirs) == ("frames", "10, 1 alone: 0.160 s")


def test_the_streams_own_aspect_counts_where_the_container_has_none():
    """ffmpeg keeps the first frame's aspect ratio for a whole MPEG-TS."""
    found = differences(Made(format="mpegts", sar=Fraction(4, 3)).clip())
    assert [(d.kind, d.where, d.ours, d.theirs) for d in found] == [
        *(("size", place, "96x64", "128x64") for place in ("middle", "last")),
    ]
    assert kinds(Made(format="matroska,webm", sar=Fraction(4, 3))) == []


def test_a_damaged_frame_is_not_looked_at_as_a_picture():
    bad = {"outcome": QUARANTINED, "reason": "DECODE_DAMAGE"}
    rows = [row(number, **(bad if number == 0 else {})) for number in range(10)]
    clip = Made(rows=rows, complaints=["[h264] [error] x"]).clip()
    assert [pair.frame.number for pair in clip.pairs] == [1, 5, 9]
    assert differences(clip) == []


def test_differences_come_in_the_order_of_the_kinds():
    made = Made(probe={"frames": "11", "width": "90"}, theirs_rgb=PICTURE + np.uint8(3))
    order = list(KINDS)
    assert kinds(made) == sorted(kinds(made), key=order.index) and len(kinds(made)) == 5


def test_parts_with_a_clock_each_add_up():
    once = frames()
    assert shown_duration([*once, *once]) == 2 * shown_duration(once)
    assert shown_duration([]) is None


def test_parts_that_lie_across_one_another_keep_their_steps():
    """The second part's times lie between the first one's, half a step on."""
    step = usual_step(frames())
    later = [replace(frame, time_s=frame.time_s + step / 2) for frame in frames()]
    assert usual_step([*frames(), *later]) == step
