"""What an error spoils: everything up to the next clean key frame, and B-frames made from it;
and how much time is lost with it.
"""

from dataclasses import dataclass
from fractions import Fraction

import pytest

from ferrari.video.frame_trust import trusted
from ferrari.video.lost_footage import DeclaredEnd, Losses


@dataclass
class Frame:
    is_key: bool
    depends_on_next: bool
    damaged: bool


def frames(text):
    """I, P, B frames in the order shown; a lower-case letter is damaged."""
    return [Frame(c in "Ii", c in "Bb", c.islower()) for c in text]


@pytest.mark.parametrize(
    ("shown", "clean", "why"),
    [
        ("IPPPP", "11111", "nothing is wrong"),
        ("IPpPPIPP", "11000111", "until the next key frame"),
        ("IBBPBBpBBPIP", "111100000011", "B-frames before a damaged P were made from it"),
        ("iPPIP", "00011", "a damaged key frame cleans nothing"),
        ("IPbPP", "11000", "a damaged B-frame counts, too: it may be a reference"),
        ("IpBBI", "10001", "B-frames between a damaged P and a clean key lean on both"),
        ("IPBB", "1111", "B-frames at the end are let go"),
    ],
)
def test_spread_of_damage(shown, clean, why):
    got = "".join(str(int(ok)) for _, ok in trusted(frames(shown)))
    assert got == clean, why


def test_order_and_number_of_frames_stay():
    given = frames("IBBPBpBBBIP")
    assert [f for f, _ in trusted(given)] == given


STEP = Fraction(1, 25)


def lost(shown, packets=None, fault="", declared=None):
    """(from, to, lost) in frames of the spans in `shown`: (time in frames, fault or "" if clean).

    A clean frame's fault is given with a `*` in front: what befell the frames before it.
    """
    losses = Losses(STEP)
    for time, what in shown:
        losses.see(time * STEP, STEP, not what or what.startswith("*"), what.lstrip("*"))
    times = packets if packets is not None else [time for time, _ in shown]
    spans = losses.finish([sorted(time * STEP for time in times)], fault, declared)
    return [tuple(float(v / STEP) for v in (s.start_s, s.end_s, s.lost_s)) for s in spans], spans


def clean(*times):
    return [(time, "") for time in times]


HOUR = 25 * 3600


@pytest.mark.parametrize(
    ("shown", "packets", "expected", "why"),
    [
        (clean(0, 1, 2), None, [], "nothing is wrong"),
        (clean(0, 1, 30, 31), None, [], "an uneven clock is no loss"),
        (clean(0, 1, HOUR, HOUR + 1), None, [], "a jump of an hour is no loss"),
        ([*clean(0, 1), (2, "x"), (3, ""), (4, "")], None, [(2, 3, 1)], "one frame"),
        (
            [*clean(0), (3, "x"), (4, "x"), *clean(6)], range(7), [(1, 6, 5)],
            "frames that did not come out count by their packets",
        ),
        ([*clean(0), (3, "x"), *clean(4)], [0, 3, 4], [(3, 4, 1)], "the step before is its own"),
        ([(0, "x"), (1, "x"), *clean(2)], None, [(0, 2, 2)], "at the beginning"),
        ([*clean(0, 1), (5, "*x"), *clean(6)], range(7), [(2, 5, 3)], "none came out, then a key"),
        ([*clean(0, 1), (2, "*x")], range(3), [], "none came out, and none was there"),
        (
            [*clean(0), (1, "x"), (HOUR, "x"), *clean(HOUR + 1)], None, [(1, HOUR + 1, 1)],
            "an hour's jump amid the damage is still no footage",
        ),
        (
            [*clean(0), (1, "x"), *clean(400)], range(401), [(1, 400, 399)],
            "long, but full of packets that did not decode",
        ),
        ([*clean(0, 5), (6, "x"), (2, "x"), *clean(3)], None, [(2, 7, 2)], "the clock runs back"),
    ],
)  # fmt: skip
def test_lost_spans(shown, packets, expected, why):
    assert lost(shown, packets)[0] == expected, why


def of_parts(*parts, packets, fault="", declared=None):
    """The same of a clip whose clock starts anew: (part, from, to, lost)."""
    losses = Losses(STEP)
    for part, shown in enumerate(parts):
        for time, what in shown:
            own = not what or what.startswith("*")
            losses.see(time * STEP, STEP, own, what.lstrip("*"), part)
    times = [[time * STEP for time in some] for some in packets]
    return [
        (s.part, *(float(v / STEP) for v in (s.start_s, s.end_s, s.lost_s)))
        for s in losses.finish(times, fault, declared)
    ]


@pytest.mark.parametrize(
    ("first", "second", "fault", "expected", "why"),
    [
        (clean(0, 19), clean(0, 9), "", [], "nothing is wrong"),
        (clean(0, 19), clean(0, 9), "cut", [(1, 10, 10, 0)], "the first is longer: no loss"),
        (clean(0, 19), clean(0, 7), "cut", [(1, 8, 10, 2)], "what the second has behind them"),
        ([*clean(0, 18), (19, "x")], [(0, "x"), *clean(1, 9)], "",
         [(0, 19, 20, 1), (1, 0, 1, 1)], "damage at the join is of both"),
        (clean(0, 17), [(0, "*x"), *clean(1, 9)], "", [(0, 18, 20, 2)], "none came out at the end"),
        (clean(0, 19), [(2, "*x"), *clean(3, 9)], "", [(1, 0, 2, 2)], "or at the beginning"),
        ([*clean(0), (5, "x"), *clean(7, 19)], clean(0, 9), "", [(0, 1, 7, 6)], "amid the first"),
    ],
)  # fmt: skip
def test_what_is_lost_of_a_part_is_told_by_its_own_clock(first, second, fault, expected, why):
    packets = [range(20), range(10)]
    declared = DeclaredEnd(20 * STEP, "the stream's duration tag", needs_error=False)
    assert of_parts(first, second, packets=packets, fault=fault, declared=declared) == expected, why


def test_what_breaks_off_is_lost_to_the_last_packet():
    assert lost(clean(0, 1, 2), range(6), "cut")[0] == [(3, 6, 3)]
    assert lost([*clean(0), (1, "x")], range(4))[0] == [(1, 4, 3)]
    (span,) = lost(clean(0, 1), range(2), "cut")[1]
    assert span.lost_s == 0 and "not known" in span.evidence


def test_promises_are_believed_as_far_as_something_bears_them_out():
    index = DeclaredEnd(10 * STEP, "the index", 8, needs_error=False)
    spans, (span,) = lost(clean(0, 1), declared=index)
    assert spans == [(2, 10, 8)] and "the index" in span.evidence
    header = DeclaredEnd(10 * STEP, "the header", 8)
    assert lost(clean(0, 1), declared=header)[0] == [], "no error: the header may be wrong"
    assert lost(clean(0, 1), fault="cut", declared=header)[0] == [(2, 10, 8)]
    wild = DeclaredEnd(Fraction(9 * 10**15), "the header")
    (span,) = lost(clean(0, 1), fault="cut", declared=wild)[1]
    assert span.lost_s == 0
    few = DeclaredEnd(Fraction(3600), "the index", 3, needs_error=False)
    assert lost(clean(0, 1), declared=few)[0] == [(2, 5, 3)], "three frames are no hour"
    short = DeclaredEnd(3 * STEP, "the index", 1, needs_error=False)
    assert lost(clean(0, 1), declared=short)[0] == [], "within a frame or two: rounding"
