"""Reads a stream with PyAV, and says of each frame where it comes from and how sound it is."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av import VideoStream
from av.container import InputContainer
from av.error import FFmpegError

from ferrari.video.containers import is_too_large, packets_of, what_failed
from ferrari.video.decoding.aspects import Aspects
from ferrari.video.decoding.base import (
    DecodePlan,
    DecoderUnavailableError,
    DecodeStats,
    PlanChangedError,
)
from ferrari.video.decoding.codec_changes import CodecWatch, time_of_the_dropped
from ferrari.video.decoding.ffmpeg_log import Complaints
from ferrari.video.decoding.frame_times import FrameTimes
from ferrari.video.decoding.transport_gaps import first_frame_has_one
from ferrari.video.orientation import square_size
from ferrari.video.streams import main_video
from ferrari.video.timestamps import PacketClock

_CONCEALED = "the decoder concealed lost data"
_HEADLESS = "the first frame builds on one that is not there"
_NOT_INTRA = {2, 3, 4, 6}  # AV_PICTURE_TYPE_P, _B, _S, _SP
_WAIT_FOR_A_BASE = {"h264", "hevc"}  # decoders that hold back what has none
_STEPS = 4  # frames by whose times that of a dropped one is told
_B_FRAMES = {3, 7}  # AV_PICTURE_TYPE_B, _BI


def require_video(container: InputContainer) -> VideoStream:
    """The video stream to use; raises DecoderUnavailableError where there is none."""
    stream = main_video(container)
    if stream is None:
        raise DecoderUnavailableError("the file has no video stream that can be decoded")
    return stream


@dataclass(frozen=True)
class SourceFrame:
    """What a frame says of itself as it comes out of the decoder: filters make other frames of it.

    `ordinal` counts the frames from 0, in the order shown; `pts` and `duration` are in units of
    `time_base` (seconds); `sar` is the sample aspect ratio it is shown with.
    """

    ordinal: int
    pts: int | None
    duration: int
    time_base: Fraction | None
    is_key: bool
    depends_on_next: bool  # a B-frame: also made from the next frame that is none
    interlaced: bool
    sar: Fraction
    fault: str = ""  # why the frame itself is damaged
    lost_before: str = ""  # why frames before it did not come out
    part: int = 0  # of the clip's parts, each of which has a clock that starts anew


def source_of(frame: av.VideoFrame, ordinal: int, sar: Fraction) -> SourceFrame:
    """A decoded frame's own facts; sound, until more is known."""
    return SourceFrame(
        ordinal=ordinal,
        pts=frame.pts,
        duration=frame.duration or 0,
        time_base=frame.time_base,
        is_key=bool(frame.key_frame),
        depends_on_next=int(frame.pict_type) in _B_FRAMES,
        interlaced=bool(frame.interlaced_frame),
        sar=sar,
    )


def require_software(
    stream: VideoStream, stats: DecodeStats, complaints: Complaints, error: FFmpegError
) -> None:
    """Raise DecoderUnavailableError if it is hardware that ended a packet with an error.

    It is told in the first line that FFmpeg wrote: the error's own code would be that of damage.
    """
    if stream.codec_context.is_hwaccel:
        complaints.fresh()
        why = complaints.first or what_failed(error)
        raise DecoderUnavailableError(f"it stopped at frame {stats.frames}: {why}") from error


class Reader:
    """Decodes a stream and says of each frame whether data of it, or before it, was lost.

    A fault belongs to a packet. The frame made from it is damaged, and so is the next frame made
    from a later packet, unless that is a key frame: it needs nothing of what was lost.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        plan: DecodePlan,
        stats: DecodeStats,
        complaints: Complaints,
    ) -> None:
        self._container, self._stream, self._plan = container, stream, plan
        self._stats, self._complaints = stats, complaints
        self._clock, self._part = PacketClock(), 0  # the part of the latest frame
        self._packet_parts = [array("q")]
        stats.packet_parts = self._packet_parts
        self._begins: list[int] = []  # the numbers of packets with which parts begin, but the first
        self._aspects, self._times = Aspects(stream), FrameTimes()
        self._hidden_key = False  # a key frame that is decoded for those behind it, and not shown
        self._leading = Leading()
        self._faults: dict[int, str] = {}  # by number of packet, in the order of decoding
        self._pending: list[int] = []  # those whose damage no frame has shown yet
        self._number = 0  # of the packet that was decoded last
        # The last packet was flagged as corrupt, which may mean the next.
        self._gap_before = first_frame_has_one(stream)
        self._codec, self._others_from = CodecWatch(stream), sys.maxsize
        self._shown_pts: deque[int] = deque(maxlen=_STEPS)

    def frames(self) -> Iterator[tuple[av.VideoFrame, SourceFrame]]:
        """Every frame that is shown, in that order; one beyond the plan's `max_pixels` is a fault.

        Raises PlanChangedError where only a plan with one thread tells a frame's aspect.
        """
        for frame in self._decoded():
            self._stats.frames += 1
            frame.pts = self._times.of(frame.pts, frame.dts)
            if frame.pts is not None:
                self._shown_pts.append(frame.pts)
            number = _packet_number(frame)
            sar = self._aspects.of(number)
            wide, high = square_size(frame.width, frame.height, sar)
            if is_too_large(wide, high, self._plan.max_pixels):
                number = self._number if number is None else number
                self._fault(number, f"a frame of {wide}x{high}: see probe.max_megapixels")
                continue
            frame.time_base = frame.time_base or self._stream.time_base  # unset at the very end
            if number is not None:
                self._part = bisect_right(self._begins, number)
            source = replace(source_of(frame, self._stats.frames - 1, sar), part=self._part)
            yield frame, self._judged(frame, source)
        if self._pending:
            self._stats.fault_at_end = self._faults[self._pending[0]]

    def _decoded(self) -> Iterator[av.VideoFrame]:
        self._stats.time_base = self._stream.time_base
        last = 0
        others = False
        for number, packet, is_other in self._packets():
            if is_other and not others:
                yield from self._drained(number)
            others = is_other
            if not others:
                yield from self._decode(number, packet)
            last = number + 1
        yield from self._decode(last, None)

    def _packets(self) -> Iterator[tuple[int, av.Packet, bool]]:
        """Numbered packets, each after the next one was read: only that tells if it ran over; and
        whether they are of another codec than the stream's."""
        packets = packets_of(self._stream)
        held: tuple[int, av.Packet, bool] | None = None
        number = 0
        while True:
            packet, is_other = None, False
            try:
                packet = next(packets, None)
            except FFmpegError as error:  # the demuxer lost its way and does not find it again
                self._fault(number, f"demuxing: {what_failed(error)}")
            if packet is not None and self._codec.is_other(packet):
                self._fault(number, f"the stream goes on in another codec than {self._codec.codec}")
                is_other = True
            self._listen(number, packet)
            if held is not None:
                yield held
            if packet is None:
                return
            self._count(number, packet)
            held, number = (number, packet, is_other), number + 1

    def _listen(self, number: int, packet: av.Packet | None) -> None:
        """Note what the demuxer said while it read packet `number` (None: it found no more)."""
        picture, lost_thread = self._complaints.fresh()
        if lost_thread and number:
            self._fault(number - 1, lost_thread)
        if picture or (lost_thread and not (packet and packet.is_keyframe)):
            self._fault(number, picture or lost_thread)

    def _count(self, number: int, packet: av.Packet) -> None:
        self._stats.packets += 1
        pts = packet.dts if packet.pts is None else packet.pts
        if pts is not None and not packet.is_discard:
            if self._clock.starts_anew(pts, bool(packet.is_keyframe)):
                self._begin_part(number)
            self._packet_parts[-1].append(pts)
        if packet.is_discard and packet.is_keyframe:
            self._hidden_key = True
        self._leading.see(number, pts, bool(packet.is_keyframe))
        if packet.is_corrupt or self._gap_before:
            self._fault(number, "the container says that data of it is lost")
        # What a transport stream's parser hands on is one frame behind the data that it was given.
        self._gap_before = packet.is_corrupt and "mpegts" in self._container.format.name

    def _begin_part(self, number: int) -> None:
        """The clip's clock starts anew with packet `number`."""
        self._begins.append(number)
        self._packet_parts.append(array("q"))

    def _decode(self, number: int, packet: av.Packet | None) -> list[av.VideoFrame]:
        self._number = number
        frames = []
        if packet is not None and self._stream.codec_context.copy_opaque:
            packet.opaque = number
        try:
            frames = self._stream.decode(packet)
        except FFmpegError as error:
            require_software(self._stream, self._stats, self._complaints, error)
            self._fault(number, what_failed(error))
        picture, _ = self._complaints.fresh()
        if picture:
            self._fault(number, picture)
        if self._aspects.changed(number):
            self._require_numbers()
        return frames

    def _drained(self, number: int) -> list[av.VideoFrame]:
        """The frames that the decoder still has when packet `number` is the first of another codec.

        Shown between or behind them is the one that the demuxer dropped there: it is counted.
        """
        frames = self._decode(number, None)
        self._stream.codec_context.flush_buffers()
        self._others_from = number
        times = [*self._shown_pts, *(frame.pts for frame in frames if frame.pts is not None)]
        usual = self._plan.frame_s / (self._stream.time_base or 1)
        dropped = time_of_the_dropped(times, usual)
        if dropped is not None:
            self._packet_parts[self._part].append(dropped)
        return frames

    def _require_numbers(self) -> None:
        """Have the clip read again if its frames do not say from which packet they come."""
        context = self._stream.codec_context
        if context.is_hwaccel:
            raise DecoderUnavailableError("the clip's sample aspect ratio changes on the way")
        if not context.copy_opaque:
            raise PlanChangedError(replace(self._plan, threads=1))

    def _fault(self, number: int, message: str) -> None:
        if number not in self._faults:
            self._faults[number] = message
            if number not in self._leading:
                self._stats.add_error(message)
                self._pending.append(number)

    def _judged(self, frame: av.VideoFrame, source: SourceFrame) -> SourceFrame:
        known = _packet_number(frame)
        number = sys.maxsize if known is None else known
        before = next((self._faults[n] for n in self._pending if n <= number), "")
        self._pending = [n for n in self._pending if n > number]
        own = self._faults.get(number, "")
        if source.interlaced:  # its second field may have a packet of its own
            own = own or self._faults.get(number + 1, "")
        own = own or (
            _CONCEALED if frame.is_corrupt or is_made_up(frame, self._codec.codec) else ""
        )
        base = source.is_key
        if source.ordinal == 0:
            own = own or self._headless(frame)
            base = base or not (own or self._hidden_key)
        drained = number < self._others_from <= self._number
        near = self._faults[self._others_from] if drained else ""
        if base and known is not None:
            return replace(source, fault=own, lost_before="" if own else before or near)
        fault = own or before
        return replace(source, fault=fault, lost_before="" if fault else near)

    def _headless(self, frame: av.VideoFrame) -> str:
        """What is wrong with the first frame if it was made from one that is not there."""
        if frame.key_frame or self._hidden_key or int(frame.pict_type) not in _NOT_INTRA:
            return ""
        return "" if self._codec.codec in _WAIT_FOR_A_BASE else _HEADLESS


def is_made_up(frame: av.VideoFrame, codec: str) -> bool:
    """Whether it is a blank one that HEVC's decoder puts in the place of a missing frame.

    That is shown, flagged as a key frame, if the next group of pictures takes its number.
    """
    return codec == "hevc" and not int(frame.pict_type)


class Leading:
    """Numbers of the packets behind a clip's first key frame that are shown before it.

    They build on what was before the key frame, and where that was cut off no decoder shows them:
    that is no damage.
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._key_pts: int | None = None
        self._open = True

    def see(self, number: int, pts: int | None, is_key: bool) -> None:
        """Take the next packet, in the order of decoding."""
        if not self._open:
            return
        if self._key_pts is None:
            self._key_pts = pts if is_key else None
            self._open = pts is not None or not is_key
        elif pts is None or pts > self._key_pts:
            self._open = False
        else:
            self._numbers.add(number)

    def __contains__(self, number: int) -> bool:
        return number in self._numbers


def _packet_number(frame: av.VideoFrame) -> int | None:
    """Number of the packet that the frame was made from, where the decoder hands it on."""
    return frame.opaque if isinstance(frame.opaque, int) else None
