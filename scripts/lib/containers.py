"""Opening hostile containers with PyAV: local files only, never a playlist, never a network."""

from __future__ import annotations

import os
from fractions import Fraction
from functools import cache

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from scripts.lib.orientation import Orientation, from_display_matrix

#: Formats that name other files or addresses, or hold one still picture.
PLAYLISTS = {"hls", "concat", "dash", "applehttp", "imf", "sdp", "rtsp", "lavfi"}
STILLS = {"image2", "image2pipe", "ico", "webp_pipe"}
_DISPLAYMATRIX = "DISPLAYMATRIX"


class NotAVideoError(ValueError):
    """The file opens, but as something that is not a video: a picture, a playlist."""


def open_container(path: str | os.PathLike, **kwargs) -> InputContainer:
    """Open a local file; raises av.FFmpegError or NotAVideoError.

    `file:` keeps names such as `-x.mp4` or `http:x.mp4` from being options or addresses; a name
    that is not UTF-8 is reached through its descriptor.
    """
    _quieten()
    name = os.path.abspath(os.fspath(path))
    try:
        name.encode()
    except UnicodeEncodeError:
        name = f"/dev/fd/{os.open(name, os.O_RDONLY)}"  # lives as long as this (child) process
    container = av.open(
        f"file:{name}",
        metadata_errors="replace",
        options={"protocol_whitelist": "file"},
        **kwargs,
    )
    names = set(container.format.name.split(","))
    if names & PLAYLISTS or names & STILLS or container.format.name.endswith("_pipe"):
        container.close()
        raise NotAVideoError(f"the content is {container.format.name}, not a video")
    return container


@cache
def _quieten() -> None:
    """Keep FFmpeg's complaints out of Python: its own callback needs no GIL.

    PyAV's callback takes the GIL in decoder threads, and closing a codec holds the GIL while it
    waits for those threads: a damaged clip left half way would hang for ever.
    """
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.FATAL)


def main_video(container: InputContainer) -> VideoStream | None:
    """The video stream to use: the largest one that is not a cover picture."""
    streams = [s for s in container.streams.video if not _is_cover(s)]
    return max(streams, key=lambda s: (s.width or 0) * (s.height or 0), default=None)


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def orientation(frame: VideoFrame) -> Orientation:
    """The frame's display matrix as an Orientation; upright where there is none."""
    for data in frame.side_data:
        if data.type.name == _DISPLAYMATRIX:
            return from_display_matrix(bytes(data))
    return Orientation()


def seconds(pts: int | None, time_base: Fraction | None) -> Fraction | None:
    """Exact time of a pts, or None where there is none."""
    return None if pts is None or time_base is None else pts * time_base
