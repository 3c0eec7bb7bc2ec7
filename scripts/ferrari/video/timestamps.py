"""A clip's timestamps: which frames to sample, and how much footage they cover.

Time is exact: integer pts and `Fraction` seconds. Clips in the wild start at two hours, jump an
hour in the middle, run backwards or lack timestamps; none of that may invent or lose samples.
"""

from __future__ import annotations

import itertools
import math
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

_GAP_S = Fraction(10)
_GAP_STEPS = 4
_DAY_S = Fraction(24 * 3600)
MOST_REORDERED = 16  # packets that a decoder of any codec may hold back
_BEFORE_A_KEY = 4  # packets that a key frame of the same clock is behind
_FINEST_FPS = 10_000  # a rate of samples is taken as a fraction with at most this below its line


def longest_step(usual_s: Fraction) -> Fraction:
    """The longest step in seconds between two frames that is footage; a longer one is a gap in it.

    `usual_s` is how far apart the clip's frames usually are: a gap is longer than ten seconds, and
    than four such steps. A step of more than a day is a damaged clock in any clip.
    """
    return max(_GAP_S, min(_GAP_STEPS * usual_s, _DAY_S))


def frame_time(fps: float) -> Fraction:
    """The nominal time of a frame in seconds at a rate that a table tells, as a short fraction."""
    if fps >= 1:
        return 1 / Fraction(fps).limit_denominator(1000)
    return (1 / Fraction(fps)).limit_denominator(1000)


class PacketClock:
    """Tells where a clip's clock starts anew, as where two recordings were joined byte by byte.

    Packets come in the order of decoding, in which times run to and fro, but by no more packets
    than a decoder holds back. Their decoding times would only rise, but Matroska has none.
    """

    def __init__(self) -> None:
        self._lately: deque[int] = deque(maxlen=MOST_REORDERED)

    def starts_anew(self, time: int, is_key: bool) -> bool:
        """Whether a packet is the first of a new part; call it once a packet that is shown."""
        lately = self._lately
        if anew := bool(lately) and time < lately[-1] and self._is_far_back(time, is_key):
            lately.clear()
        lately.append(time)
        return anew

    def _is_far_back(self, time: int, is_key: bool) -> bool:
        if is_key:
            return time <= min(list(self._lately)[-_BEFORE_A_KEY:])
        return len(self._lately) == MOST_REORDERED and time < min(self._lately)


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
class PackedTimes(Sequence[int]):
    """Times in units of a clip's clock, one a packet or frame: four bytes each where they lie
    within 2**32 units (half a day at 90 kHz), else eight.

    `above` is how far each is from the `least`.
    """

    least: int
    above: array

    @classmethod
    def of(cls, times: Sequence[int] | np.ndarray) -> PackedTimes:
        """From integers of at most 64 bits, in any order."""
        whole = np.asarray(times, np.int64)
        least, most = (int(whole.min()), int(whole.max())) if len(whole) else (0, 0)
        if most - least < 1 << 32:
            return cls(least, array("I", (whole - least).astype(np.uint32).tobytes()))
        return cls(0, array("q", whole.tobytes()))

    def whole(self) -> np.ndarray:
        """int64, in their order."""
        return np.asarray(self.above).astype(np.int64) + self.least

    def __len__(self) -> int:
        return len(self.above)

    def __getitem__(self, place: int) -> int:  # type: ignore[override]  # nobody takes slices
        return self.least + self.above[place]

    def __iter__(self) -> Iterator[int]:
        return (self.least + above for above in self.above)


@dataclass(frozen=True)
class Span:
    """What a clip's timestamps say: seconds of footage, its start, its largest gap, mean rate."""

    footage_s: Fraction
    start_s: Fraction
    largest_gap_s: Fraction
    rate_fps: Fraction
    variable: bool


def joined(spans: Sequence[Span]) -> Span:
    """The measure of a clip whose clock starts anew on its way, from those of its parts."""
    footage = sum((span.footage_s for span in spans), Fraction(0))
    shown = sum((span.footage_s * span.rate_fps for span in spans), Fraction(0))
    return Span(
        footage_s=footage,
        start_s=spans[0].start_s,
        largest_gap_s=max(span.largest_gap_s for span in spans),
        rate_fps=shown / footage if footage else Fraction(0),
        variable=any(span.variable for span in spans),
    )


def measure(times_s: Iterable[Fraction], last_duration_s: Fraction = Fraction(0)) -> Span:
    """Measure timestamps in any order; steps over `longest_step` are gaps, not footage.

    `variable` is true if a tenth of the steps or more differ from the median step by over a half.
    """
    times = sorted(times_s)
    if not times:
        zero = Fraction(0)
        return Span(zero, zero, zero, zero, False)
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    forward = steps[bisect_right(steps, 0) :]
    most = longest_step(forward[(len(forward) - 1) // 2] if forward else Fraction(0))
    plain = forward[: bisect_right(forward, most)]
    median = plain[len(plain) // 2] if plain else Fraction(0)
    uneven = sum(abs(step - median) > median / 2 for step in plain)
    tail = last_duration_s if 0 < last_duration_s <= most else median
    return Span(
        footage_s=sum(plain, Fraction(0)) + tail,
        start_s=times[0],
        largest_gap_s=steps[-1] if steps and steps[-1] > most else Fraction(0),
        rate_fps=len(plain) / sum(plain, Fraction(0)) if plain else Fraction(0),
        variable=bool(plain) and uneven * 10 >= len(plain),
    )
