"""Are a decoder's frames those of PyAV on the CPU? Checked on samples of a clip, frame by frame.

Compared are groups of pictures, each from a key frame to the next: the first of the clip, and those
at whose end the picture jumps most, as it does where something went wrong in the group (`Drifts`).
Of a clip with no more than three, that is all of it. A card's decoder says nothing of damaged data,
so damage in the other groups can stay unseen.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Protocol

import av
import numpy as np
from av import VideoStream
from av.error import FFmpegError, InvalidDataError

from ferrari.common.counts import number_of
from ferrari.images.repeats import compare_luma, glimpse
from ferrari.video.containers import aspect_of, packets_of, what_failed
from ferrari.video.decoding.base import (
    DecodePlan,
    DecoderUnavailableError,
    DecodeStats,
    Drifts,
    Picture,
    Proof,
)
from ferrari.video.decoding.ffmpeg_log import Complaints, require_silence
from ferrari.video.decoding.pyav_pixels import Pixels
from ferrari.video.decoding.pyav_streams import Told, opened, picture_of, require_cropped, told_by
from ferrari.video.decoding.trust import MOST_LEVELS

_LEAST_SUSPECTS, _SUSPECT_SHARE = 2, 0.05  # groups that are compared beside the first
_LEAST_FRAMES = 8  # of a group: key frames that follow sooner do not end it
_MOST_FRAMES = 600  # of a group that are looked at


@dataclass(frozen=True)
class Shown:
    """A frame of one of the two: `when` it is shown, in units of its stream's clock, if it says."""

    when: int | None
    picture: Picture


class Side(Protocol):
    """A decoder that is given a group's packets one by one, None behind the last."""

    def decode(self, packet: av.Packet | None) -> list[Shown]: ...


@dataclass
class Group:
    """The packets from a key frame to the next, and when the key frame is shown (seconds)."""

    start_s: float
    packets: list[av.Packet]


def of_card(path: str, plan: DecodePlan, stats: DecodeStats, device: int) -> Proof:
    """The proof of NVDEC on a device; see `against`."""
    with opened(path, plan, device) as stream, opened(path, plan) as told:
        return against(path, plan, stats, _Stream(stream, told_by(told), plan))


def against(path: str, plan: DecodePlan, stats: DecodeStats, theirs: Side) -> Proof:
    """Compare another decoder's frames with those of PyAV on the CPU.

    `stats` are of its pass over the clip: they say which groups to compare, and what its samples
    looked like, which a pass that decodes less than all may have got otherwise than `theirs` does.

    Raises DecoderUnavailableError where they differ by more than MOST_LEVELS, in their times, their
    number or what they say of themselves, and where FFmpeg complains of the clip.
    """
    with opened(path, plan) as stream, nullcontext(told_by(stream)) as told, Complaints() as log:
        ours = _Stream(stream, told, plan)
        glimpses = {} if plan.deinterlace else stats.glimpses  # woven frames look otherwise
        found = _Comparison(glimpses, stream.time_base or Fraction(0))
        try:
            for group in chosen(groups(stream), stats.drifts):
                for packet in chain(group.packets, (None,)):
                    found.take(ours.decode(packet), theirs.decode(packet))
                    require_silence(log)
                found.end_group()
        except FFmpegError as error:
            require_silence(log)  # its line may come with the frame, or packets earlier, by threads
            raise DecoderUnavailableError(f"the CPU finds damage: {what_failed(error)}") from error
        return found.proof()


def groups(stream: VideoStream) -> Iterator[Group]:
    """The groups of a stream, each without what is shown before its key frame."""
    group: Group | None = None
    for packet in packets_of(stream):
        when = packet.dts if packet.pts is None else packet.pts
        if when is None:
            continue
        time_s = float(when * (stream.time_base or Fraction(0)))
        if group and packet.is_keyframe and len(group.packets) >= _LEAST_FRAMES:
            yield group
            group = None
        group = group or Group(time_s, [])
        if time_s >= group.start_s and len(group.packets) < _MOST_FRAMES:
            group.packets.append(packet)
    if group:
        yield group


def chosen(found: Iterator[Group], drifts: Drifts) -> Iterator[Group]:
    """The first group, and those behind it in which a suspect lies, at least two."""
    first, held = next(found, None), next(found, None)
    if first:
        yield first
    if held is None:
        return
    times = suspects(drifts, held.start_s)
    few = (
        len(times) < _LEAST_SUSPECTS
    )  # then the last group is one of them: it has no key behind it
    for group in found:
        if any(held.start_s <= time_s < group.start_s for time_s in times):
            yield held
            times = [time_s for time_s in times if time_s >= group.start_s]
            if not (times or few):
                return
        held = group
    yield held


def suspects(drifts: Drifts, since_s: float) -> list[float]:
    """When the groups end, from `since_s` on, at whose end the picture jumps most: a twentieth of
    them, at least two; the earlier one of equals.
    """
    ends, levels = np.frombuffer(drifts.ends_s), np.frombuffer(drifts.levels)
    late = np.flatnonzero(ends >= since_s)
    count = max(_LEAST_SUSPECTS, math.ceil(len(late) * _SUSPECT_SHARE))
    worst = late[np.argsort(-levels[late], kind="stable")[:count]]
    return sorted(ends[worst].tolist())


class _Stream:
    """A stream of PyAV as one of the two sides, on the CPU or on a card."""

    def __init__(self, stream: VideoStream, told: Told, plan: DecodePlan) -> None:
        self._stream, self._told, self._plan = stream, told, plan

    def decode(self, packet: av.Packet | None) -> list[Shown]:
        stream = self._stream
        try:
            frames = stream.decode(packet)
        except FFmpegError as error:
            if stream.codec_context.is_hwaccel:
                raise DecoderUnavailableError(f"the proof stopped: {what_failed(error)}") from error
            raise
        if packet is None:
            stream.codec_context.flush_buffers()  # ready for the next group
        return [self._shown(frame) for frame in frames]

    def _shown(self, frame: av.VideoFrame) -> Shown:
        require_cropped(frame, self._stream)
        if frame.is_corrupt:
            raise InvalidDataError(0, "a frame is damaged")
        when = frame.dts if frame.pts is None else frame.pts
        return Shown(when, picture_of(frame, aspect_of(self._stream), self._told, self._plan))


@dataclass
class _Comparison:
    """Pairs the frames of both sides by their times, those without by their order."""

    glimpses: Mapping[float, bytes] = field(default_factory=dict)
    time_base: Fraction = Fraction(1)
    frames: int = 0
    difference: float = 0.0
    ours: dict[int | str, Picture] = field(default_factory=dict)
    theirs: dict[int | str, Picture] = field(default_factory=dict)
    _untimed: Counter[bool] = field(default_factory=Counter)

    def take(self, ours: list[Shown], theirs: list[Shown]) -> None:
        """Frames as they come; those that both sides have given are compared."""
        for side, frames in ((self.ours, ours), (self.theirs, theirs)):
            for frame in frames:
                when: int | str | None = frame.when
                if when is None:
                    self._untimed[side is self.ours] += 1
                    when = f"without a time, {self._untimed[side is self.ours]}"
                if when in side:
                    raise DecoderUnavailableError("two frames have one time")
                side[when] = frame.picture
        for when in [when for when in self.ours if when in self.theirs]:
            other = self.theirs.pop(when)
            self._compare(self.ours.pop(when), other)
            if isinstance(when, int) and self.glimpses:
                self._recognise(other, float(when * self.time_base))

    def end_group(self) -> None:
        """Nothing may be left that only one side has given."""
        if not (self.ours or self.theirs):
            return
        theirs, ours = self.frames + len(self.theirs), self.frames + len(self.ours)
        why = f"it gives {number_of(theirs, 'frame')} where the CPU gives {ours}"
        if theirs == ours:
            why = "it gives frames at other times than the CPU"
        raise DecoderUnavailableError(why, self.proof())

    def proof(self) -> Proof:
        return Proof(self.frames, round(self.difference, 3))

    def _recognise(self, theirs: Picture, time_s: float) -> None:
        """The sample of that time, if there is one, must look like what was just compared."""
        taken = self.glimpses.get(time_s)
        if taken is None:
            return
        pair = [np.frombuffer(taken, np.uint8), np.frombuffer(_glimpse_of(theirs), np.uint8)]
        off = float(np.max(np.abs(pair[0].astype(np.int16) - pair[1])))
        if off > MOST_LEVELS:
            self.difference = max(self.difference, off)
            raise DecoderUnavailableError(
                f"its sample at {time_s:.3f} s differs from the CPU's by {off:g} of 255 levels",
                self.proof(),
            )

    def _compare(self, ours: Picture, theirs: Picture) -> None:
        self.frames += 1
        other = [f"{k} {v!r}" for k, v in theirs.facts.items() if ours.facts[k] != v]
        if other:
            raise DecoderUnavailableError(f"it says {', '.join(other)} of a frame")
        self.difference = max(self.difference, difference(ours, theirs))
        if self.difference > MOST_LEVELS:
            raise DecoderUnavailableError(
                f"frame {self.frames} of those compared differs from the CPU's by "
                f"{self.difference:g} of 255 levels",
                self.proof(),
            )


def _glimpse_of(picture: Picture) -> bytes:
    return glimpse(compare_luma(picture.luma()))


def difference(ours: Picture, theirs: Picture) -> float:
    """The largest difference of any value of the two pictures' RGB, in levels of 255."""
    if isinstance(ours, Pixels) and isinstance(theirs, Pixels) and ours.has_planes_of(theirs):
        return 0.0
    one, other = ours.rgb(), theirs.rgb()
    if one.shape != other.shape:
        raise DecoderUnavailableError(f"its frames are {other.shape[1]}x{other.shape[0]}")
    return float(np.max(np.abs(one.astype(np.int16) - other)))
