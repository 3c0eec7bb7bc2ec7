"""The clip's own clock: which frames to sample, and how much footage a list of timestamps holds.

Time is exact: integer pts and `Fraction` seconds. Clips in the wild start at two hours, jump an
hour in the middle, run backwards or lack timestamps; none of that may invent or lose samples.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

#: A step between two frames that is longer than this is a gap in the footage, not footage.
GAP_S = Fraction(10)
_FINEST_FPS = 10_000  # a rate of samples is taken as a fraction with at most this below its line


class Sampler:
    """Chooses the first frame of each 1/fps slot, on a grid that starts at the first frame.

    A frame without a timestamp is placed one nominal frame after the last; a backward jump starts
    a new grid there. A jump forward of an hour yields one sample, not 3600 * fps.
    """

    def __init__(self, fps: float, frame_s: Fraction) -> None:
        self._fps = Fraction(fps).limit_denominator(_FINEST_FPS)
        self._frame_s = frame_s
        self._origin: Fraction | None = None
        self._last: Fraction | None = None
        self._slot = -1

    def place(self, time_s: Fraction | None) -> Fraction:
        """The frame's time, made up from the frame before where the file has none."""
        if time_s is not None:
            return time_s
        return Fraction(0) if self._last is None else self._last + self._frame_s

    def wants(self, time_s: Fraction) -> bool:
        """True if the frame at `time_s` is the first of its slot; call once a frame, in order."""
        if self._origin is None or (self._last is not None and time_s < self._last):
            self._origin, self._slot = time_s, -1
        self._last = time_s
        slot = int((time_s - self._origin) * self._fps)
        if slot <= self._slot:
            return False
        self._slot = slot
        return True


def first_of_slots(pts: Sequence[int], time_base: Fraction, fps: float) -> list[int]:
    """Places of the frames that a Sampler would choose, for rising `pts` in units of `time_base`.

    The same choice as asking for each frame in turn, in as many steps as there are samples.
    """
    per_slot = 1 / (Fraction(fps).limit_denominator(_FINEST_FPS) * time_base)  # units of pts
    chosen, place = [], 0
    while place < len(pts):
        chosen.append(place)
        slot = (pts[place] - pts[0]) // per_slot
        place = bisect_left(pts, pts[0] + math.ceil((slot + 1) * per_slot), place)
    return chosen


@dataclass(frozen=True)
class Span:
    """What a clip's timestamps say: seconds of footage, its start, its largest gap, mean rate."""

    footage_s: Fraction
    start_s: Fraction
    largest_gap_s: Fraction
    rate_fps: Fraction
    variable: bool


def measure(times_s: Iterable[Fraction], last_duration_s: Fraction = Fraction(0)) -> Span:
    """Measure timestamps in any order; steps over GAP_S count as gaps, not as footage.

    `variable` is true if a tenth of the steps or more differ from the median step by over a half.
    """
    times = sorted(times_s)
    if not times:
        zero = Fraction(0)
        return Span(zero, zero, zero, zero, False)
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    plain = [step for step in steps if 0 < step <= GAP_S]
    median = plain[len(plain) // 2] if plain else Fraction(0)
    uneven = sum(abs(step - median) > median / 2 for step in plain)
    tail = last_duration_s if 0 < last_duration_s <= GAP_S else median
    return Span(
        footage_s=sum(plain, Fraction(0)) + tail,
        start_s=times[0],
        largest_gap_s=steps[-1] if steps and steps[-1] > GAP_S else Fraction(0),
        rate_fps=len(plain) / sum(plain, Fraction(0)) if plain else Fraction(0),
        variable=bool(plain) and uneven * 10 >= len(plain),
    )
