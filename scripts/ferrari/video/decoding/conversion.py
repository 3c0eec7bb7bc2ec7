"""Frames in other formats and sizes, by swscale, and how FFmpeg's filters and converters fail."""

from __future__ import annotations

import contextlib
import errno
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from av import VideoFrame
from av.error import FFmpegError
from av.video.reformatter import VideoReformatter

from ferrari.video.containers import what_failed
from ferrari.video.decoding.base import DecoderUnavailableError

#: Conversions that stay set up: those of a few threads, for kept frames and for the linking film.
_SET_UP = 16


@contextlib.contextmanager
def filter_errors() -> Iterator[None]:
    """Errors of filters and converters: the memory limit as what it is, the rest as a refusal.

    They start threads, and say EAGAIN where a thread's stack is more than the limit leaves.
    """
    try:
        yield
    except FFmpegError as error:
        if error.errno in (errno.EAGAIN, errno.ENOMEM):
            raise MemoryError("FFmpeg got no memory for a filter or a converter") from error
        why = f"its frames cannot be converted: {what_failed(error)}"
        raise DecoderUnavailableError(why) from error


def converted(
    frame: VideoFrame, pixels: str, size: tuple[int, int] | None = None, **how: Any
) -> VideoFrame:
    """The frame in the format `pixels`, at (width, height); `how` is as `reformat` takes it.

    On one thread: by itself swscale starts one a core for each frame, and what several of them make
    of 16 bits differs from call to call where a side is odd.
    """
    size = size or (frame.width, frame.height)
    asked = (frame.format.name, frame.width, frame.height, pixels, size, *sorted(how.items()))
    converter = _converter(threading.get_ident(), asked)
    with filter_errors():
        return converter.reformat(frame, *size, pixels, threads=1, **how)


@lru_cache(_SET_UP)
def _converter(thread: int, asked: tuple) -> VideoReformatter:
    """Converts in one thread, and one way: to set swscale up takes as long as a small picture."""
    return VideoReformatter()
