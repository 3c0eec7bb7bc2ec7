"""How much of a clip's time gave no usable frame, stretch by stretch."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import TypeVar, overload

import numpy as np

from ferrari.video.timestamps import PackedTimes, longest_step

#: A clip that says that more than this is missing at its end is not believed.
MOST_MISSING_S = Fraction(24 * 3600)
Last = TypeVar("Last", Fraction, None)
_BY_TIMES = "by the times of its frames and packets"


class PacketTimes(Sequence[Fraction]):
    """Times of packets in seconds, rising: a number of 8 bytes each until one is looked at."""

    def __init__(self, pts: array | PackedTimes, time_base: Fraction | None) -> None:
        self._unsorted = pts
        self._base = time_base or Fraction(0)

    @cached_property
    def _pts(self) -> memoryview:
        """Made when it is asked for: nobody looks at the packets of a sound clip."""
        pts = self._unsorted
        whole = pts.whole() if isinstance(pts, PackedTimes) else np.frombuffer(pts, np.int64)
        return np.sort(whole).data

    def __len__(self) -> int:
        return len(self._unsorted)

    @overload
    def __getitem__(self, place: int) -> Fraction: ...
    @overload
    def __getitem__(self, place: slice) -> list[Fraction]: ...
    def __getitem__(self, place: int | slice) -> Fraction | list[Fraction]:
        if isinstance(place, slice):
            return [pts * self._base for pts in self._pts[place]]
        return self._pts[place] * self._base


@dataclass(frozen=True)
class DeclaredEnd:
    """Where a clip ends by its own account: the time, who says so, and how far that goes.

    `frames` is how many frames are missing, where that is known. With `needs_error`, the end counts
    only for a clip that breaks off in an error.
    """

    end_s: Fraction
    source: str
    frames: int | None = None
    needs_error: bool = True


@dataclass(frozen=True)
class LostSpan:
    """A stretch without a frame to trust: from, to, the seconds of footage in it, and why.

    `part` is which of the clip's parts it is in, from 0; each has a clock of its own.
    """

    start_s: Fraction
    end_s: Fraction
    lost_s: Fraction
    fault: str
    evidence: str
    part: int = 0


@dataclass
class _Stretch:
    """A run of untrusted frames of one part of a clip; `pieces` are (first, last) times between
    which no step is a gap.

    `after` is the time of the last clean frame of the part (None: there is none), `before` that of
    the next one (None: the end of the part). A step of more than `most_s` is a gap.
    """

    after: Fraction | None
    most_s: Fraction
    pieces: list[list[Fraction]] = field(default_factory=list)
    step_s: Fraction = Fraction(0)
    fault: str = ""
    before: Fraction | None = None
    part: int = 0

    def add(self, time_s: Fraction, step_s: Fraction) -> None:
        self.step_s = step_s
        if self.pieces and 0 < time_s - self.pieces[-1][1] <= self.most_s:
            self.pieces[-1][1] = time_s
        else:
            self.pieces.append([time_s, time_s])


class Losses:
    """Adds up what is lost of one clip, from its frames in the order shown."""

    def __init__(self, frame_s: Fraction) -> None:
        self._frame_s, self._most_s = frame_s, longest_step(frame_s)
        self._clean_s: dict[int, Fraction] = {}  # time of the last clean frame of each part
        self._clean_end_s = Fraction(0)
        self._part = 0  # of the last frame
        self._open: dict[int, _Stretch] = {}  # by part
        self._closed: list[_Stretch] = []

    def see(
        self, time_s: Fraction, duration_s: Fraction, clean: bool, fault: str, part: int = 0
    ) -> None:
        """Count one frame; `fault` is what befell it, or for a clean one, the frames before it.

        Times of two parts of a clip cannot be compared. Where the clock was set between key frames,
        frames of both are shown in turn.
        """
        step_s = duration_s if 0 < duration_s <= self._most_s else self._frame_s
        if not clean:
            self._stretch(part, fault).add(time_s, step_s)
        else:
            if fault and not self._open:  # of the one part's end, or of the other's beginning
                for one in dict.fromkeys((self._part, part)):
                    self._stretch(one, fault)
            for stretch in self._open.values():
                stretch.before = time_s if stretch.part == part else None
            self._closed += self._open.values()
            self._open = {}
            self._clean_s[part], self._clean_end_s = time_s, time_s + step_s
        self._part = part

    def _stretch(self, part: int, fault: str) -> _Stretch:
        """The open stretch of a part; one that is new has the fault of those that are open."""
        known = next((one.fault for one in self._open.values() if one.fault), "")
        new = _Stretch(self._clean_s.get(part), self._most_s, part=part)
        found = self._open.setdefault(part, new)
        found.fault = found.fault or fault or known
        return found

    def finish(
        self, parts: Sequence[Sequence[Fraction]], fault: str, declared: DeclaredEnd | None
    ) -> list[LostSpan]:
        """The lost spans in the order shown, after the last frame.

        `parts` are the times of the packets of each part of the clip in seconds, rising; `fault`
        what broke the clip off behind its last frame, if anything did; `declared` how long it says
        it is: of several parts that is the length of the first.
        """
        declared = declared if len(parts) == 1 else None
        if not (self._closed or self._open or fault or declared):
            return []
        before = [one for one in self._open.values() if one.part != self._part]
        stretches = [*self._closed, *before]
        spans = [self._measure(stretch, parts[stretch.part]) for stretch in stretches]
        spans.append(self._tail(parts[self._part], fault, declared))
        return [span for span in spans if span]

    def _measure(self, stretch: _Stretch, packets: Sequence[Fraction]) -> LostSpan | None:
        if not stretch.pieces:
            return self._without_frames(stretch, packets)
        first, last = stretch.pieces[0][0], stretch.pieces[-1][1]
        start = _first_packet(packets, stretch.after, first)
        jumps = [(start, first)]
        jumps += [(a[1], b[0]) for a, b in pairwise(stretch.pieces)]
        lost = sum((b - a for a, b in stretch.pieces), Fraction(0))
        # A clock that runs back leaves the frame before the jump its own time, no more.
        for a, b in jumps:
            lost += _footage(packets, a, b, self._most_s) if a <= b else stretch.step_s
        end = stretch.before
        if end is None or end <= last:  # the clip's end, or its clock runs back
            end = last + stretch.step_s
        lost = max(lost + _footage(packets, last, end, self._most_s), stretch.step_s)
        # A damaged clock runs to and fro: the span is all that it touches, and no more is lost.
        start = min(start, *(piece[0] for piece in stretch.pieces))
        end = max(end, *(piece[1] + stretch.step_s for piece in stretch.pieces[:-1]), last)
        lost = min(lost, end - start)
        return LostSpan(start, end, lost, stretch.fault, _BY_TIMES, stretch.part)

    def _without_frames(self, stretch: _Stretch, packets: Sequence[Fraction]) -> LostSpan | None:
        """A stretch out of which not even damaged frames came; None if it takes no time."""
        end = stretch.before
        if end is None:  # of a part behind which another begins
            end = packets[-1] + self._frame_s if packets else Fraction(0)
        start = _first_packet(packets, stretch.after, end)
        lost = _footage(packets, start, end, self._most_s)
        found = LostSpan(start, end, lost, stretch.fault, _BY_TIMES, stretch.part)
        return found if lost else None

    def _tail(
        self, packets: Sequence[Fraction], fault: str, declared: DeclaredEnd | None
    ) -> LostSpan | None:
        """What is lost between the last clean frame and the end of the clip."""
        open_ = self._open.get(self._part)
        span = self._measure(open_, packets) if open_ else None
        if span:
            start, end, lost = span.start_s, span.end_s, span.lost_s
            fault = span.fault or fault or "the frames before it"
        else:
            first = _first_packet(packets, self._clean_s.get(self._part), None)
            start = end = first or self._clean_end_s
            lost = Fraction(0)
        evidence = _BY_TIMES
        if fault:
            reached = _walk(packets, end - self._frame_s, self._most_s) + self._frame_s
            end, lost = max(end, reached), lost + max(Fraction(0), reached - end)
        if declared and (fault or not declared.needs_error):
            more, evidence = self._believed(declared, end, evidence)
            end, lost = end + more, lost + more
            fault = fault or ("the file is cut off" if more else "")
        if not fault:
            return None
        if not lost:
            evidence = "how much was to follow is not known"
        return LostSpan(start, end, lost, fault, evidence, self._part)

    def _believed(
        self, declared: DeclaredEnd, end: Fraction, evidence: str
    ) -> tuple[Fraction, str]:
        """How far past `end` a declared end is believed, and the evidence to name."""
        more = declared.end_s - end
        if more <= 2 * self._frame_s:
            return Fraction(0), evidence
        if declared.frames is not None and more > 10 * declared.frames * self._frame_s:
            more = declared.frames * self._frame_s
        if more > MOST_MISSING_S:
            return Fraction(
                0
            ), f"{declared.source} says {float(declared.end_s):.6g} s: not believed"
        return more, f"by {declared.source}"


def _first_packet(
    packets: Sequence[Fraction], after: Fraction | None, last: Last
) -> Fraction | Last:
    """Time of the first packet behind `after`, at most `last`; without one, `last` itself."""
    place = 0 if after is None else bisect_right(packets, after)
    if place < len(packets) and (last is None or packets[place] <= last):
        return packets[place]
    return last


def _footage(
    packets: Sequence[Fraction], start: Fraction, end: Fraction, most_s: Fraction
) -> Fraction:
    """Seconds between two times; over a step that may be a gap, only those that packets fill."""
    if end - start <= most_s:
        return max(Fraction(0), end - start)
    inside = packets[bisect_right(packets, start) : bisect_right(packets, end)]
    steps = (b - a for a, b in pairwise([start, *inside, end]))
    return sum((step for step in steps if step <= most_s), Fraction(0))


def _walk(packets: Sequence[Fraction], start: Fraction, most_s: Fraction) -> Fraction:
    """The time of the last packet that is reached from `start` without a step over a gap."""
    reached = start
    for place in range(bisect_right(packets, start), len(packets)):
        if packets[place] - reached > most_s:
            break
        reached = packets[place]
    return reached
