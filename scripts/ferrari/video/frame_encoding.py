"""Threads that turn kept frames into files while others are decoded."""

from __future__ import annotations

import contextlib
import mmap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.WebPImagePlugin  # noqa: F401 - else Pillow loads it in the child, short of memory

from ferrari.images import image_files
from ferrari.ledger import tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import OK
from ferrari.video import frame_encoding
from ferrari.video.decoding.base import Picture
from ferrari.video.frame_metrics import sharpness

_METHOD = 0  # takes 0.65 times as long as 2, is as close and 3 % larger


def encode_webp_yuv(i420: np.ndarray, quality: int) -> bytes:
    """Lossy WebP, quality 1..100, of H*3/2 x W uint8: the planes that it holds (`ycbcr.i420`).

    Nothing is lost on the way over RGB: the picture comes out 1.5 to 3 dB closer to the video's
    own at the same size.
    """
    import av  # stage 1 has it loaded; for others it would be 60 ms

    encoder = av.CodecContext.create("libwebp", "w")
    encoder.width, encoder.height = i420.shape[1], i420.shape[0] * 2 // 3
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1)
    encoder.options = {"quality": str(quality), "compression_level": str(_METHOD)}
    return b"".join(map(bytes, encoder.encode(av.VideoFrame.from_ndarray(i420, "yuv420p"))))


_THREAD_MB = 32  # room that must be there for each thread: its stack and what it allocates


def encoded(picture: Picture, quality: int) -> tuple[bytes, tuple[int, int, int]]:
    """The WebP of a picture and its shape; `quality` 1..100, or 101 for lossless."""
    i420 = picture.yuv() if quality <= 100 else None
    if i420 is None:
        frame_rgb = picture.rgb()
        return image_files.encode_webp(frame_rgb, quality), frame_rgb.shape
    data = frame_encoding.encode_webp_yuv(i420, quality)
    return data, (i420.shape[0] * 2 // 3, i420.shape[1], 3)


def write_frame(
    item: str, picture: Picture, luma: np.ndarray, folder: Path, quality: int
) -> tables.Row:
    """Encode, write and read back one frame: its cells."""
    data, shape = encoded(picture, quality)
    name = f"{item}.webp"
    digest = image_files.write_checked(folder / name, data, shape)
    height, width = shape[:2]
    return {
        **{"outcome": KEPT, "reason": OK, "path": name, "sha256": digest},
        **{"width": width, "height": height, "sharpness": round(sharpness(luma), 3)},
    }


@contextlib.contextmanager
def started(count: int) -> Iterator[ThreadPoolExecutor]:
    """`count` threads, all running, or MemoryError.

    CPython waits for ever for a thread that gets no memory while it starts. So the threads start
    before a decoder has taken the memory that the limit leaves, and only if there is room.
    """
    try:
        mmap.mmap(-1, (_THREAD_MB * (count + 2)) << 20).close()  # asked for, never touched
    except OSError as error:
        raise MemoryError(str(error)) from error
    gate = threading.Barrier(count + 1)
    with ThreadPoolExecutor(count) as pool:
        try:
            for _ in range(count):
                pool.submit(gate.wait)
        except RuntimeError as error:
            gate.abort()
            raise MemoryError(str(error)) from error
        gate.wait()
        yield pool
