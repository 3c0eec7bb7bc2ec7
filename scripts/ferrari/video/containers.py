"""Opening hostile containers with PyAV: local files only, never a playlist, never a network.

A clip's length in a header is believed only where something else confirms it. FFmpeg's own
`max_pixels` prevents the allocation of a picture beyond the limit, whatever the header says.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any, cast

import av
import av.subtitles.codeccontext  # PyAV loads these when it meets subtitles: that is in the child,
import av.subtitles.stream  # whose memory may be too small by then for another library
from av.codec.context import Flags as CodecFlags
from av.container import Flags, InputContainer
from av.error import FFmpegError
from av.sidedata.sidedata import SideDataContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from ferrari.common.counts import number_of
from ferrari.common.errors import FerrariError
from ferrari.video import film
from ferrari.video.lost_footage import DeclaredEnd
from ferrari.video.orientation import Orientation, from_display_matrix, sane_aspect
from ferrari.video.streams import why_not

#: px; what WebP can hold
MAX_SIDE = 16383
_DISPLAYMATRIX = "DISPLAYMATRIX"
_CLOCK = re.compile(r"(\d{1,5}):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)")


class NotAVideoError(FerrariError, ValueError):
    """The file opens, but as something that is no film: a picture, a text, a playlist."""


def open_container(
    path: str | os.PathLike, max_pixels: int | None = None, **kwargs: Any
) -> InputContainer:
    """Open a local file; raises av.FFmpegError or NotAVideoError.

    `file:` keeps names such as `-x.mp4` or `http:x.mp4` from being options or addresses; a name
    that is not UTF-8 is reached through its descriptor. FFmpeg refuses to allocate a frame that is
    beyond `max_pixels`, give or take its padding.
    """
    # FFmpeg counts a frame with its padding, so its bound is wider; `frame.width` is held to ours.
    options = {} if max_pixels is None else {"max_pixels": str(max_pixels * 9 // 8 + (1 << 16))}
    container = _open(path, options, **kwargs)
    what = film.refusal(container, path)
    if what:
        container.close()
        raise NotAVideoError(f"it is {what}")
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = options
            stream.codec_context.flags |= CodecFlags.unaligned  # else the left crop is rounded down
    return container


def is_too_large(width: int, height: int, max_pixels: int | None) -> bool:
    """True for a frame of more than `max_pixels`, or with a side that no WebP can have."""
    return max(width, height) > MAX_SIDE or (max_pixels is not None and width * height > max_pixels)


def header_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height of the largest track that may be film, by the headers; nothing is decoded.

    (0, 0) where there is none. Raises av.FFmpegError.
    """
    with _open(path, {"codec_whitelist": "none"}) as container:
        tracks = [stream for stream in container.streams.video if not why_not(stream)]
        sizes = [(stream.width or 0, stream.height or 0) for stream in tracks]
        return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))


def _open(path: str | os.PathLike, options: dict[str, str], **kwargs: Any) -> InputContainer:
    _quieten()
    name = os.path.abspath(os.fspath(path))
    try:
        name.encode()
    except UnicodeEncodeError:
        name = f"/dev/fd/{os.open(name, os.O_RDONLY)}"  # lives as long as this (child) process
    container = av.open(
        f"file:{name}",
        metadata_errors="replace",
        options={"protocol_whitelist": "file", **options},
        **kwargs,
    )
    # PyAV has FFmpeg make up missing presentation times, in the order of decoding.
    container.flags = container.flags & ~Flags.gen_pts.value
    return container


@cache
def _quieten() -> None:
    """Keep FFmpeg's complaints out of Python: its own callback needs no GIL.

    PyAV's callback takes the GIL in decoder threads, and closing a codec holds the GIL while it
    waits for those threads: a damaged clip left half way would hang for ever.
    """
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.FATAL)


def container_of(stream: VideoStream) -> InputContainer:
    """The container that a stream is read from."""
    return cast(InputContainer, stream.container)


def packets_of(stream: VideoStream) -> Iterator[av.Packet]:
    """A stream's packets that hold data, to its end.

    A packet with a time and no data is left out: the picture before it stays, and a decoder would
    take it for the end. PyAV's sign for the end is a packet without either. It must not be asked
    for more: where FFmpeg met another track on the way, PyAV ends in an IndexError.
    """
    for packet in container_of(stream).demux(stream):
        if packet.size:
            yield packet
        elif packet.pts is None and packet.dts is None:
            return


def aspect_of(stream: VideoStream) -> Fraction:
    """The stream's sample aspect ratio, within reason."""
    return sane_aspect(stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio)


def all_metadata(stream: VideoStream) -> dict[str, str]:
    """The tags of a stream and of the container around it; the stream's own come first."""
    return {**container_of(stream).metadata, **stream.metadata}


def declared_aspect(stream: VideoStream) -> Fraction | None:
    """The sample aspect ratio that the container itself declares for a stream; None without one.

    The file is opened again without decoders: FFmpeg then tells no other.
    """
    path = container_of(stream).name.removeprefix("file:")
    with _open(path, {"codec_whitelist": "none"}) as container:
        same = next(other for other in container.streams.video if other.index == stream.index)
        return same.sample_aspect_ratio


def orientation(frame: VideoFrame) -> Orientation:
    """The frame's display matrix as an Orientation; upright where there is none.

    `frame.side_data` would be kept by the frame and keep the frame: pictures would pile up until
    Python looks for cycles, a hundred of them and more.
    """
    try:
        found = SideDataContainer(frame)  # type: ignore[call-arg]  # the stub has no __init__
    except ValueError:  # a kind of side data that PyAV does not know: it tells the angle alone
        return Orientation(round(-frame.rotation / 90) % 4)
    for data in found:
        if data.type.name == _DISPLAYMATRIX:
            return from_display_matrix(bytes(data))
    return Orientation()


def seconds(pts: int | None, time_base: Fraction | None) -> Fraction | None:
    """Exact time of a pts, or None where there is none."""
    return None if pts is None or time_base is None else pts * time_base


def what_failed(error: FFmpegError) -> str:
    """An error of FFmpeg in words, without the path that it may name."""
    if error.errno == errno.EINVAL:
        return "Invalid argument (a frame of an impossible size, or above probe.max_megapixels?)"
    return error.strerror or type(error).__name__


def declared_end(
    container: InputContainer, stream: VideoStream, frame_s: Fraction, packets: int
) -> DeclaredEnd | None:
    """Where the stream ends by the container's own account; None where it does not say.

    Trusted in this order: the index's samples that lie behind the end of the file; Matroska's tag
    of the stream's duration, where the container's agrees; the number of frames in the header; the
    container's duration, if it holds nothing else. `packets` is how many were there to read.
    """
    time_base = stream.time_base or Fraction(0)
    origin = seconds(stream.start_time, time_base) or Fraction(0)
    size = container.size
    beyond = [e.timestamp for e in stream.index_entries if e.pos + e.size > size > 0]
    if beyond and "mov" in container.format.name:
        first = next(iter(stream.index_entries)).timestamp
        end = origin + (max(beyond) - first) * time_base + frame_s
        behind = number_of(len(beyond), "frame")
        source = f"the index, which lists {behind} behind the end of the file"
        return DeclaredEnd(end, source, len(beyond), needs_error=False)
    total = None if container.duration is None else Fraction(container.duration, av.time_base)
    tag = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if tag and total:
        hours, minutes, rest = tag.groups()
        end = int(hours) * 3600 + int(minutes) * 60 + Fraction(rest)
        if end <= total + Fraction(1, 10):
            return DeclaredEnd(end, "the stream's duration tag", needs_error=False)
    if stream.frames > packets:
        missing = stream.frames - packets
        end = origin + stream.frames * frame_s
        source = f"the header, which counts {number_of(stream.frames, 'frame')}"
        return DeclaredEnd(end, source, missing)
    if total and len(container.streams) == 1:
        start = 0 if "flv" in container.format.name else origin  # FLV's duration is its end
        return DeclaredEnd(start + total, "the container's duration")
    return None
