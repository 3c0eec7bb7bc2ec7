"""Teaches the fake video engine what it shall give of a clip: what the CPU's decoder makes of it.

FFmpeg is what calls the engine, with a picture's coded data. So each packet is given to FFmpeg on
the engine, which notes the keys that come of it, and on the CPU, whose frame goes into the files
of those keys, as the surface of a card would hold it.
"""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.codec.hwaccel import HWAccel
from av.error import FFmpegError

_SURFACES = {
    **{"yuv420p": "nv12", "yuvj420p": "nv12", "yuv420p10le": "p010le", "yuv420p12le": "p012le"},
    **{"yuv444p": "yuv444p", "yuvj444p": "yuv444p"},
    **{"yuv444p10le": "yuv444p10msble", "yuv444p12le": "yuv444p12msble"},
}


def teach(folder: str, *clips: str) -> dict[str, int]:
    """Write the pictures of each clip; how many there are of it."""
    return {Path(clip).name: _teach(Path(folder), clip) for clip in clips}


def _teach(folder: Path, clip: str) -> int:
    keys = list(_keys(clip))
    frames = dict(_frames(clip))
    taught = 0
    hidden: list[str] = []  # keys of pictures that a later packet shows
    for number, frame in frames.items():
        mine = keys[number] if number < len(keys) else []
        if frame.interlaced_frame and number + 1 not in frames:  # a packet for each field
            mine = mine + (keys[number + 1] if number + 1 < len(keys) else [])
        elif len(mine) > 1:
            hidden, mine = mine[:-1], mine[-1:]
        elif not mine:
            hidden, mine = [], hidden
        for key in mine:
            _write(folder / key, frame)
            taught += 1
    return taught


def _keys(clip: str) -> Iterator[list[str]]:
    """The keys of the pictures that each packet asks the engine for."""
    noted = Path(os.environ["FAKE_NVDEC_KEYS"])
    try:
        container = av.open(clip, hwaccel=HWAccel("cuda", allow_software_fallback=False))
    except (FFmpegError, RuntimeError):
        return
    with container:
        for packet in container.demux(video=0):
            noted.write_text("")
            with contextlib.suppress(FFmpegError):
                packet.decode()
            yield noted.read_text().split()


def _frames(clip: str) -> Iterator[tuple[int, av.VideoFrame]]:
    """What the CPU's decoder gives, each with the number of its packet."""
    with av.open(clip) as container:
        context = container.streams.video[0].codec_context
        context.copy_opaque, context.thread_type = True, "NONE"
        for number, packet in enumerate(container.demux(video=0)):
            packet.opaque = number
            with contextlib.suppress(FFmpegError):
                yield from ((frame.opaque, frame) for frame in packet.decode())


def _write(path: Path, frame: av.VideoFrame) -> None:
    surface = frame.reformat(format=_SURFACES[frame.format.name])
    bytes_of_level = 2 if surface.format.components[0].bits > 8 else 1
    planes = []
    for plane in surface.planes:
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        width = plane.width * bytes_of_level * (2 if plane.width < frame.width else 1)
        planes.append(rows[: plane.height, :width])
    shape = (planes[0].shape[1], planes[0].shape[0], planes[-1].shape[0], len(planes) - 1)
    path.write_bytes(struct.pack("<4I", *shape) + b"".join(plane.tobytes() for plane in planes))
