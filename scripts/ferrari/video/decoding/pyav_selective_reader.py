"""Reads a stream with PyAV and decodes of it only what its samples and its linking film need.

The packets are read twice: once for their times and kinds, then to be decoded. Whatever is not as
those say, and any error at all, changes the plan: the clip is then decoded in full, as
`pyav_full_reader` does.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain, compress
from typing import NoReturn

import av
from av import VideoStream
from av.error import FFmpegError

from ferrari.video import native_memory
from ferrari.video.containers import (
    aspect_of,
    container_of,
    declared_end,
    is_too_large,
    packets_of,
)
from ferrari.video.decoding.base import DecodePlan, DecodeStats, PlanChangedError
from ferrari.video.decoding.codec_changes import CodecWatch
from ferrari.video.decoding.ffmpeg_log import Complaints
from ferrari.video.decoding.packet_kinds import Classifier, NotUnderstoodError, classifier, settled
from ferrari.video.decoding.packet_selection import Selection, select
from ferrari.video.decoding.pyav_full_reader import require_software
from ferrari.video.decoding.transport_gaps import first_frame_has_one
from ferrari.video.orientation import square_size
from ferrari.video.timestamps import PackedTimes

_HELD_BYTES = 8 << 20  # of a clip's packets that are kept instead of being read again
_PACKET_BYTES = 512  # that a packet takes beside its data

#: Is called with the last picture of a group and with the key frame behind it.
Watch = Callable[[av.VideoFrame, av.VideoFrame], None]


def classifier_for(stream: VideoStream, plan: DecodePlan) -> Classifier | None:
    """How to tell the stream's packets apart; None where it has to be decoded in full."""
    if plan.fps is None or plan.deinterlace:
        return None
    try:
        return classifier(stream.codec_context.codec.canonical_name, stream.codec_context.extradata)
    except NotUnderstoodError:
        return None


def wound_back(stream: VideoStream) -> bool:
    """Go back to a stream's first packet, where the container's own index has it; else False.

    That is MP4 and its kind. What others make of a first packet is for each to say.
    """
    container, first = container_of(stream), next(iter(stream.index_entries), None)
    if first is None or "mov" not in container.format.name:
        return False
    try:
        container.seek(first.timestamp, stream=stream, any_frame=True)
    except FFmpegError:
        return False
    return True


@dataclass
class _Survey:
    """What a first reading of all packets found; `held` are the packets, if they are not too many.

    `end` is the time of the frame that is shown last, and how long it is shown, in seconds.
    """

    pts: array
    kinds: bytearray
    held: list[av.Packet] | None
    end: tuple[Fraction, Fraction]


class SelectiveReader:
    """The samples of a stream, and frames between them; `open_again` opens it a second time, ready
    to be decoded.

    That is done for a long clip, whose packets are not kept, and with `watch` for any: the stream
    that the packets are first read from need not be one that decodes. An MP4 is wound back instead:
    to open one FFmpeg makes its index and decodes its first frames. `watch` is given the last
    picture of each group that is decoded, and the key frame behind it.

    Attribute: `stream`, the one that is being read. The first is closed before the second is
    opened: each holds an index that is as large as the clip is long.
    """

    def __init__(
        self,
        stream: VideoStream,
        kind_of: Classifier,
        plan: DecodePlan,
        stats: DecodeStats,
        complaints: Complaints,
        open_again: Callable[[], AbstractContextManager[VideoStream]],
        watch: Watch | None = None,
    ) -> None:
        self.stream, self._kind_of, self._plan = stream, kind_of, plan
        self._watch, self._most_held = watch, 0 if watch else _HELD_BYTES
        self._stats, self._complaints, self._open_again = stats, complaints, open_again
        self._fitting: set[tuple[int, int]] = set()  # sizes of frames that are not too large

    def frames(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """Each sample, and each frame for the linking film, with its number among the clip's
        frames, both in the order shown.

        Raises PlanChangedError where the clip has to be decoded in full after all.
        """
        stream, stats, plan = self.stream, self._stats, self._plan
        if plan.fps is None or stream.time_base is None:
            self._fall_back()
        try:
            survey = self._survey(stream, stream.time_base)
            chosen = self._chosen(survey, stream.time_base, plan.fps)
        except NotUnderstoodError:
            self._fall_back()
        times = PackedTimes.of(survey.pts)
        stats.packets, stats.packet_parts = len(times), [times]
        stats.time_base, end, held = stream.time_base, survey.end, survey.held
        del survey  # it is as long as the clip
        declared = declared_end(container_of(stream), stream, plan.frame_s, stats.packets)
        with ExitStack() as stack:
            if held is None:
                self.stream = self._from_the_beginning(stream, stack)
                # What an index takes while it is built would stay beside the frames.
                native_memory.give_back()
                packets = self._same_again(self.stream, times)
            else:
                packets, held = iter(held), None
            yield from self._decoded(self.stream, compress(packets, chosen.decode), chosen)
        stats.frames, stats.end, stats.declared_end = chosen.total, end, declared

    def _chosen(self, survey: _Survey, time_base: Fraction, fps: float) -> Selection:
        kinds, plan, watched = settled(survey.kinds), self._plan, self._watch is not None
        return select(survey.pts, kinds, time_base, fps, plan.most, watched, plan.linking_fps)

    def _from_the_beginning(self, stream: VideoStream, stack: ExitStack) -> VideoStream:
        """The stream, to be read once more and decoded; one that is opened is closed by `stack`."""
        if self._watch is None and wound_back(stream):
            return stream
        container_of(stream).close()
        return stack.enter_context(self._open_again())

    def _survey(self, stream: VideoStream, time_base: Fraction) -> _Survey:
        pts, kinds, size = array("q"), bytearray(), 0
        held: list[av.Packet] | None = [] if self._most_held else None
        last: int | None = None
        duration, codec = 0, CodecWatch(stream)
        if first_frame_has_one(stream):
            raise NotUnderstoodError("data of the first frame is missing")
        for packet in self._packets(stream):
            if packet.pts is None or packet.is_discard or packet.is_corrupt:
                raise NotUnderstoodError("a packet without a time, not to be shown, or corrupt")
            if codec.is_other(packet):
                raise NotUnderstoodError("the codec changes on the way")
            pts.append(packet.pts)
            kinds.append(self._kind_of(memoryview(packet)))
            if last is None or packet.pts > last:
                last, duration = packet.pts, packet.duration or 0
            size += packet.size + _PACKET_BYTES
            if held is not None:
                held.append(packet)
                held = None if size > self._most_held else held
        self._check_complaints()
        return _Survey(pts, kinds, held, ((last or 0) * time_base, duration * time_base))

    def _same_again(self, stream: VideoStream, pts: PackedTimes) -> Iterator[av.Packet]:
        number = 0
        for number, packet in enumerate(self._packets(stream), start=1):
            if number > len(pts) or packet.pts != pts[number - 1]:
                self._fall_back()
            yield packet
        if number != len(pts):
            self._fall_back()

    def _packets(self, stream: VideoStream) -> Iterator[av.Packet]:
        try:
            yield from packets_of(stream)
        except FFmpegError:
            self._fall_back(threads=1)

    def _decoded(
        self, stream: VideoStream, packets: Iterator[av.Packet], chosen: Selection
    ) -> Iterator[tuple[av.VideoFrame, int]]:
        """Decode the chosen packets; what comes out must be their frames, sound, in their order."""
        count, aspect = 0, stream.codec_context.sample_aspect_ratio
        ending: av.VideoFrame | None = None
        for packet in chain(packets, (None,)):
            try:
                frames = stream.decode(packet)
            except FFmpegError as error:
                require_software(stream, self._stats, self._complaints, error)
                self._fall_back(threads=1)
            self._check_complaints()
            if stream.codec_context.sample_aspect_ratio != aspect:
                self._fall_back()
            for frame in frames:
                if count == len(chosen.pts) or frame.pts != chosen.pts[count]:
                    self._fall_back()
                self._check_frame(frame, stream)
                number, asked_for = chosen.frames[count], chosen.sampled[count]
                asked_for = asked_for or chosen.linking[count]
                frame.time_base = frame.time_base or stream.time_base  # unset at the very end
                if self._watch and ending is not None:
                    self._watch(ending, frame)
                ending = frame if chosen.ending[count] else None
                count += 1
                if asked_for:
                    self._stats.frames = number + 1
                    yield frame, number
        if count != len(chosen.pts):
            self._fall_back()

    def _check_frame(self, frame: av.VideoFrame, stream: VideoStream) -> None:
        if frame.is_corrupt or frame.interlaced_frame:
            self._fall_back()
        size = frame.width, frame.height
        if size not in self._fitting:
            if is_too_large(*square_size(*size, aspect_of(stream)), self._plan.max_pixels):
                self._fall_back()
            self._fitting.add(size)

    def _check_complaints(self) -> None:
        if any(self._complaints.fresh()):
            self._fall_back(threads=1)

    def _fall_back(self, threads: int | None = None) -> NoReturn:
        """Have the clip decoded in full; with one thread if it is damaged."""
        threads = threads or self._plan.threads
        raise PlanChangedError(replace(self._plan, fps=None, threads=threads))
