"""Frames in other formats and sizes, by swscale, and how FFmpeg's filters and converters fail."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from av import VideoFrame
from av.error import FFmpegError

from ferrari.video.containers import what_failed
from ferrari.video.decoding.base import DecoderUnavailableError


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
    width, height = size or (frame.width, frame.height)
    with filter_errors():
        return frame.reformat(width, height, pixels, threads=1, **how)
