"""What a raw file really is, found by demuxing all of it and decoding its first frames.

Nothing is taken from the header that the data can tell: size comes from a decoded frame, time
from the packets. Every function here may meet hostile input and is meant for `limited_call`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain
from typing import Any

import av
from av import VideoStream
from av.container import InputContainer
from av.error import FFmpegError

from ferrari.common import first_bytes
from ferrari.common.counts import number_of
from ferrari.ledger.reasons import (
    CORRUPT_CONTAINER,
    ENCRYPTED,
    NO_VIDEO_STREAM,
    NOT_A_VIDEO,
    OK,
    TOO_LARGE,
    UNSUPPORTED_CODEC,
    ZERO_DURATION,
)
from ferrari.video import film, joined_files, streams, timestamps
from ferrari.video.containers import (
    MAX_SIDE,
    NotAVideoError,
    aspect_of,
    header_size,
    is_too_large,
    open_container,
    orientation,
    packets_of,
    seconds,
    what_failed,
)
from ferrari.video.cropping import of_container
from ferrari.video.orientation import shown_size

_TRIES = 250  # packets in which the first frame has to decode
_ENCRYPTED_MARKS = (b"encv", b"cenc", b"cbcs", b"\x47\xe2")  # mp4 sample entry, schemes; mkv


@dataclass
class Look:
    """What was seen; `facts` are columns of the probe table."""

    verdict: str
    detail: str = ""
    facts: dict[str, object] = field(default_factory=dict)


def look(
    path: str | os.PathLike, max_megapixels: float | None = None, animations: str = "refuse"
) -> Look:
    """Open, demux to the end and decode the first frames of a file.

    `animations` (GIF and its like) are refused, or with "take" judged as film. A file whose header
    says that its frames are beyond `max_megapixels` is not decoded, and a frame that turns out to
    be is not allocated.
    """
    if os.path.getsize(path) == 0:
        return Look(CORRUPT_CONTAINER, "the file has no bytes")
    limit = None if max_megapixels is None else int(max_megapixels * 1e6)
    try:
        width, height = header_size(path)
        if is_too_large(width, height, limit):
            return too_large(width, height, max_megapixels)
        with open_container(path, max_pixels=limit) as container:
            return _look_inside(container, path, animations)
    except NotAVideoError as error:
        return Look(NOT_A_VIDEO, str(error))
    except FFmpegError as error:
        return _unopened(path, error)


def _unopened(path: str | os.PathLike, error: FFmpegError) -> Look:
    what = first_bytes.unopened(first_bytes.read(path))
    if what:
        return Look(NOT_A_VIDEO, f"it is {what}")
    encrypted = _looks_encrypted(path)
    return Look(
        ENCRYPTED if encrypted else CORRUPT_CONTAINER,
        f"cannot be opened: {what_failed(error)}{_guess(path)}",
    )


def too_large(width: int, height: int, max_megapixels: float | None) -> Look:
    """The verdict on frames of that size."""
    why = f"its frames are {width}x{height}"
    if max(width, height) > MAX_SIDE:
        why += f"; no side may be longer than {MAX_SIDE} px (WebP)"
    else:
        why += f"; probe.max_megapixels is {max_megapixels:g}"
    return Look(TOO_LARGE, why, {"width": width, "height": height})


def _look_inside(container: InputContainer, path: str | os.PathLike, animations: str) -> Look:
    facts: dict[str, Any] = {"container": container.format.name}
    stream = streams.main_video(container)
    facts["other_tracks"] = streams.passed_over(container, stream)
    if stream is None:
        return _without_stream(container, path, facts)
    seen = _walk(stream)
    late, behind = streams.begun_late(container), joined_files.behind_the_first(path)
    others = (facts["other_tracks"], late, behind)
    facts["other_tracks"] = "; ".join(filter(None, others))
    facts |= _stream_facts(container, stream, seen)
    refused = _no_film(container, facts, animations)
    if refused:
        return Look(NOT_A_VIDEO, f"it is {refused}", facts)
    if seen.frame is None:
        return _without_frame(seen, path, facts)
    facts |= _frame_facts(seen.frame, stream)
    if facts["duration_s"] <= 0:
        return Look(ZERO_DURATION, _no_time(seen), facts)
    return Look(OK, seen.first_error and f"first error: {seen.first_error}", facts)


def _without_stream(container: InputContainer, path: str | os.PathLike, facts: dict) -> Look:
    """The verdict on a file without a video track that can be used."""
    brand = film.picture_brand(container)
    if brand:
        return Look(NOT_A_VIDEO, f"it is a picture ({brand})", facts)
    unknown = [s for s in container.streams.video if not streams.decodes(s)]
    if unknown and _looks_encrypted(path):
        return Look(ENCRYPTED, f"its video cannot be decoded: {facts['other_tracks']}", facts)
    if unknown:
        return Look(UNSUPPORTED_CODEC, facts["other_tracks"], facts)
    if container.streams.video:
        return Look(NO_VIDEO_STREAM, f"holds no film: {facts['other_tracks']}", facts)
    kinds = sorted({str(s.type) for s in container.streams}) or ["nothing"]
    return Look(NO_VIDEO_STREAM, f"holds {', '.join(kinds)}", facts)


def _no_film(container: InputContainer, facts: dict, animations: str) -> str:
    """What a file with a picture track is that is no film; "" for film, and animations to take."""
    kind, count = film.animation(container), facts["frames"]
    if count == 1 and (kind or facts["codec"] in film.PICTURE_CODECS):
        return f"one picture ({kind or facts['codec']})"
    if kind and animations == "refuse":
        return f"an animation ({kind}, {number_of(count, 'picture')}); probe.animations is refuse"
    return ""


def _without_frame(seen: _Seen, path: str | os.PathLike, facts: dict) -> Look:
    """The verdict on a video track out of which no frame came."""
    if seen.packets and _looks_encrypted(path):
        return Look(ENCRYPTED, f"{number_of(seen.packets, 'packet')}, none decodes", facts)
    if not seen.packets:
        return Look(ZERO_DURATION, "a video stream without any packet", facts)
    reason = f"; first error: {seen.first_error}" if seen.first_error else ""
    return Look(CORRUPT_CONTAINER, f"none of its frames decodes{reason}", facts)


def _no_time(seen: _Seen) -> str:
    """Why the frames of a clip span no time."""
    points = len({time_s for part in seen.parts for time_s in part})
    if points > 1:
        return f"{seen.packets} packets at {points} times, each more than a day from the next"
    return f"{number_of(seen.packets, 'packet')} at one point in time"


@dataclass
class _Start:
    """The packets that a clip begins with and the frames that came out of them, by their pts."""

    starts_whole: bool = True
    fed: list[int | None] = field(default_factory=list)
    out: list[int | None] = field(default_factory=list)

    def feed(self, packet: av.Packet[VideoStream]) -> None:
        """Note a packet that the decoder gets, unless it is one that is never shown."""
        if not self.fed:
            self.starts_whole = packet.is_keyframe
        if not packet.is_discard:
            self.fed.append(packet.pts)

    @property
    def cut(self) -> bool:
        """Whether the clip was cut between key frames, or at one that others look back across."""
        first = self.fed[0] if self.fed else None
        before = any(pts is None or pts < first for pts in self.fed) if first is not None else False
        return before or not self.starts_whole

    def baseless(self) -> list[int | None]:
        """The packets, by pts, whose frames no decoder shows: what they build on was cut off."""
        given = {pts for pts in self.out if pts is not None}
        if not self.cut or not given:
            return []
        latest, untimed = max(given), None in self.out
        return [
            pts
            for pts in self.fed
            if (not untimed if pts is None else pts <= latest and pts not in given)
        ]


@dataclass
class _Seen:
    packets: int = 0
    shown: int = 0  # of these; the others are decoded for the frames behind them, or cannot be
    size: int = 0
    key_frames: int = 0
    parts: list[list[Fraction]] = field(default_factory=lambda: [[]])  # times; a clock each
    clock: timestamps.PacketClock = field(default_factory=timestamps.PacketClock)
    last_duration: Fraction = Fraction(0)
    first_error: str = ""
    frame: av.VideoFrame | None = None


def _walk(stream: VideoStream) -> _Seen:
    """Demux every packet; decode until a clean frame comes out (or _TRIES packets)."""
    seen, start, last = _Seen(), _Start(), _TRIES
    spoilt = None
    try:
        for packet in chain(packets_of(stream), (None,)):
            if packet is not None:
                seen.packets += 1
                if not packet.is_discard:
                    _measure(packet, seen)
            if seen.packets <= last:
                if packet is not None:
                    start.feed(packet)
                frames = _decode(stream, packet, seen)
                start.out += [frame.pts for frame in frames]
                spoilt = spoilt or (frames[0] if frames else None)
                clean = [frame for frame in frames if not frame.is_corrupt]
                if clean and seen.frame is None:
                    seen.frame = clean[0]
                    last = seen.packets + (timestamps.MOST_REORDERED if start.cut else 0)
    except FFmpegError as error:
        seen.first_error = seen.first_error or f"demuxing: {what_failed(error)}"
    if seen.frame is None and spoilt is not None:
        seen.frame = spoilt
        seen.first_error = seen.first_error or "its first frames are damaged"
    _leave_out(start.baseless(), seen, stream)
    return seen


def _leave_out(pts: list[int | None], seen: _Seen, stream: VideoStream) -> None:
    """Count no packets that no frame comes of, and measure no times of theirs."""
    seen.shown -= len(pts)
    times = {seconds(value, stream.time_base) for value in pts}
    seen.parts[0] = [time_s for time_s in seen.parts[0] if time_s not in times]


def _measure(packet: av.Packet[VideoStream], seen: _Seen) -> None:
    seen.shown += 1
    seen.size += packet.size
    seen.key_frames += bool(packet.is_keyframe)
    pts = packet.dts if packet.pts is None else packet.pts
    time_s = seconds(pts, packet.time_base)
    if pts is not None and time_s is not None:
        if seen.clock.starts_anew(pts, packet.is_keyframe):
            seen.parts.append([])
        seen.parts[-1].append(time_s)
    if packet.duration:
        seen.last_duration = packet.duration * packet.time_base


def _decode(
    stream: VideoStream, packet: av.Packet[VideoStream] | None, seen: _Seen
) -> list[av.VideoFrame]:
    """The frames that the decoder gives for a packet; None has it give those that it still has."""
    try:
        return stream.decode(packet)
    except FFmpegError as error:
        seen.first_error = seen.first_error or what_failed(error)
        return []


def _stream_facts(container: InputContainer, stream: VideoStream, seen: _Seen) -> dict[str, object]:
    spans = [timestamps.measure(part, seen.last_duration) for part in seen.parts if part]
    span = timestamps.joined(spans or [timestamps.measure([])])
    footage, timed = span.footage_s, sum(map(len, seen.parts))
    untold = seen.shown and not timed  # raw streams: their rate is in the coded data, or guessed
    rate = span.rate_fps or (stream.guessed_rate if untold else None) or Fraction(0)
    if timed < seen.shown and (rate or stream.average_rate):  # these, and damaged clocks
        footage = max(footage, seen.shown / max(rate, stream.average_rate or rate))
    declared = container.duration and container.duration / av.time_base
    return {
        "codec": stream.codec_context.name,
        "frames": seen.shown,
        "hidden_frames": seen.packets - seen.shown,
        "key_frames": seen.key_frames,
        "duration_s": round(float(footage), 3),
        "declared_duration_s": "" if declared is None else f"{declared:.6g}",
        "fps": _rate(rate),
        "bitrate_kbps": round(seen.size * 8 / 1000 / float(footage), 1) if footage > 0 else "",
        "vfr": int(span.variable),
        "largest_gap_s": round(float(span.largest_gap_s), 3),
        "start_s": round(float(span.start_s), 3),
    }


def _rate(fps: Fraction) -> float | str:
    """Frames a second as a cell: three decimals, of slow clips six digits."""
    if not fps:
        return ""
    return round(float(fps), 3) if fps >= 1 else float(f"{float(fps):.6g}")


def _frame_facts(frame: av.VideoFrame, stream: VideoStream) -> dict[str, object]:
    sar, turn = aspect_of(stream), orientation(frame)
    left_out = of_container(stream).within(frame.width, frame.height, frame.format)
    width, height = shown_size(*left_out.size(frame.width, frame.height), sar, turn)
    return {
        "pix_fmt": frame.format.name,
        "coded_width": frame.width,
        "coded_height": frame.height,
        "cropped": str(left_out),
        "width": width,
        "height": height,
        "sar": f"{sar.numerator}:{sar.denominator}",
        "rotation": turn.degrees,
    }


def _looks_encrypted(path: str | os.PathLike) -> bool:
    """True if the first or last MiB carries the marks of common encryption (ISO/IEC 23001-7)."""
    with open(path, "rb") as stream:
        head = stream.read(1 << 20)
        stream.seek(max(0, os.path.getsize(path) - (1 << 20)))
        ends = head + stream.read(1 << 20)
    return b"ftyp" in head[:64] and any(mark in ends for mark in _ENCRYPTED_MARKS[:3])


def _guess(path: str | os.PathLike) -> str:
    """A word on what a file that does not open looks like, to save its owner the search."""
    with open(path, "rb") as stream:
        head = stream.read(8)
    if head[4:8] == b"ftyp":
        return "; it begins like an MP4 and may be cut off (no moov box): download it again"
    return ""
