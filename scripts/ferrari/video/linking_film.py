"""The linking film of a clip: small pictures, by which people are followed from sample to sample.

Matroska with one track of Motion JPEG, which players show. Of each slot of 1/`extract.linking_fps`
seconds it holds one frame that can be trusted, but for frames that are kept as samples: their
pictures are at hand. A film without a picture is a file of zero bytes.

Which frame a picture shows is told by the picture itself, in a JPEG comment such as `{"picture": 7,
"frame": 45, "time_s": 1.501}`: the picture's number in the film, and the frame's number and time as
in the table of frames. The track's own times are for players, and only rise.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
import cv2
import numpy as np
from av.error import FFmpegError

from ferrari.images.image_files import ImageReadError
from ferrari.processes.beside import Behind
from ferrari.video.containers import packets_of
from ferrari.video.decoding.base import Frame, Picture
from ferrari.video.timestamps import Sampler

SIDE = 640  # px, the longer one; smaller pictures are not enlarged
_JPEG = [
    *(cv2.IMWRITE_JPEG_QUALITY, 85),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420),
]
_HEAD, _COMMENT = 20, b"\xff\xfe"  # bytes of SOI and of JFIF's APP0; the marker behind them
_START, _END = b"\xff\xd8", b"\xff\xd9"  # SOI, EOI
_MS = Fraction(1, 1000)
_LONGEST_STEP_S = 24 * 3600  # a longer one is a damaged clock, and not what players should wait
_PENDING = 4  # pictures being encoded at a time, each of which holds its whole frame
_KIND = "matroska"
_BIT_EXACT = {"fflags": "+bitexact"}  # no dates, random ids or versions in the file


@dataclass(frozen=True)
class LinkingPicture:
    """A picture of the film, HxWx3 uint8 RGB, upright, with square pixels.

    `frame` and `time_s` (seconds) are those that a sample of that moment would have in its row. By
    `frame` both are in the order shown, also where the clip's clock runs back.
    """

    frame: int
    time_s: float
    picture_rgb: np.ndarray


def path_of(table: str | os.PathLike) -> Path:
    """Where the film of a clip lies, whose table of frames is `table`."""
    return Path(table).with_suffix(".linking.mkv")


def encoded(picture: LinkingPicture, number: int) -> bytes:
    """A picture of the film as JPEG; `number` counts them from 0.

    OpenCV writes the bytes that Pillow does in three quarters of the time, without a comment.
    """
    told = {"picture": number, "frame": picture.frame, "time_s": picture.time_s}
    note = json.dumps(told).encode("ascii")
    picture_bgr = cv2.cvtColor(picture.picture_rgb, cv2.COLOR_RGB2BGR)
    jpeg = cv2.imencode(".jpg", picture_bgr, _JPEG)[1].tobytes()
    return b"".join((jpeg[:_HEAD], _COMMENT, struct.pack(">H", len(note) + 2), note, jpeg[_HEAD:]))


class Writer:
    """A film that is being written, picture by picture: none of them stays in memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._container: av.container.OutputContainer | None = None
        self._last_s = self._shown_s = Fraction(0)
        self._pts = -1

    def add(self, jpeg: bytes, size: tuple[int, int], time_s: Fraction) -> None:
        """Append an encoded picture of (width, height) px, in the order shown."""
        container = self._container or self._started(size, time_s)
        step = time_s - self._last_s
        self._shown_s += step if 0 < step <= _LONGEST_STEP_S else 0
        self._last_s = time_s
        self._pts = max(round(self._shown_s / _MS), self._pts + 1)
        packet = av.Packet(jpeg)
        packet.stream, packet.time_base = container.streams[0], _MS
        packet.pts = packet.dts = self._pts
        packet.duration, packet.is_keyframe = 1, True
        container.mux(packet)

    def _started(self, size: tuple[int, int], time_s: Fraction) -> av.container.OutputContainer:
        self._container = av.open(self._stream, "w", format=_KIND, options=_BIT_EXACT)
        track = self._container.add_mux_stream("mjpeg", width=size[0], height=size[1])
        track.time_base, self._last_s = _MS, time_s
        # Else PyAV tries a filter first, of which FFmpeg complains, as if it were of the clip.
        self._container.start_encoding()
        return self._container

    def close(self) -> None:
        """Write the film's end."""
        if self._container is not None:
            self._container.close()


@contextlib.contextmanager
def written(path: str | os.PathLike) -> Iterator[Writer]:
    """A new film at `path`, whole when the block has ended. Raises OSError where it cannot be."""
    with open(path, "wb") as stream:
        film = Writer(stream)
        try:
            yield film
        except BaseException:
            with contextlib.suppress(FFmpegError, OSError):  # of a full disk it knows no more
                film.close()
            raise
        film.close()


class Recorder:
    """Takes a clip's frames in the order shown, and films one of each slot, in threads of `pool`.

    `side` is the most px of a picture's longer side; `fps` of 0 films nothing.
    """

    def __init__(
        self, writer: Writer, fps: float, frame_s: Fraction, side: int, pool: Executor
    ) -> None:
        self._sampler = Sampler(fps, frame_s) if fps else None
        self._writer, self._side = writer, side
        self._number = 0
        self._behind = Behind(pool, _PENDING)

    def wants(self, time_s: Fraction) -> bool:
        """True if a frame is the first of its slot; call it for each frame that can be trusted."""
        return self._sampler is not None and self._sampler.wants(time_s)

    def add(self, frame: Frame, time_s: Fraction) -> None:
        """Film a frame; of a card it is fetched here, shrunk and encoded it is in a thread."""
        told = (frame.picture, self._side, frame.ordinal, round(float(time_s), 6), self._number)
        self._behind.add(
            partial(_filmed, *told), lambda encoded: self._writer.add(*encoded, time_s)
        )
        self._number += 1

    def finish(self) -> None:
        """Write the pictures that are still being encoded."""
        self._behind.finish()


def _filmed(
    picture: Picture, side: int, frame: int, time_s: float, number: int
) -> tuple[bytes, tuple[int, int]]:
    """A frame's picture of the film, encoded, and its (width, height)."""
    small = picture.small(side)
    height, width = small.shape[:2]
    return encoded(LinkingPicture(frame, time_s, small), number), (width, height)


def read(path: str | os.PathLike) -> Iterator[LinkingPicture]:
    """The pictures of a film, one by one, in the order shown.

    Raises ImageReadError if one is damaged or missing, or the film ends before its end.
    """
    if not os.path.getsize(path):
        return
    try:
        with av.open(os.fspath(path), format=_KIND, metadata_errors="replace") as container:
            end_ms = 0
            tracks = container.streams.video[:1]  # a damaged head may lose it
            packets = chain.from_iterable(map(packets_of, tracks))
            for number, packet in enumerate(packets):
                yield _decoded(bytes(packet), number, path)
                end_ms = (packet.pts or 0) + 1
            whole = container.duration == end_ms * 1000
    except FFmpegError as error:
        raise ImageReadError(f"{_named(path)} cannot be read: {error.strerror}") from error
    if not whole:
        raise ImageReadError(f"{_named(path)} is cut off")


def _decoded(jpeg: bytes, number: int, path: str | os.PathLike) -> LinkingPicture:
    """A picture as `encoded` made it. OpenCV takes a third of Pillow's time for the same pixels."""
    try:
        note = json.loads(_comment(jpeg))
        frame, time_s, found = note["frame"], note["time_s"], note["picture"]
    except (ValueError, KeyError, TypeError) as error:
        raise ImageReadError(f"picture {number} of {_named(path)} is damaged: {error}") from error
    if found != number:
        raise ImageReadError(f"{_named(path)} lacks picture {number}")
    picture = _pixels(jpeg)
    if picture is None:
        raise ImageReadError(f"picture {number} of {_named(path)} is damaged: it is no whole JPEG")
    return LinkingPicture(frame, time_s, picture)


def _pixels(jpeg: bytes) -> np.ndarray | None:
    """HxWx3 uint8 RGB of a whole JPEG; None of any other."""
    if not jpeg.endswith(_END):  # OpenCV would make the rest of the picture grey
        return None
    try:
        return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:  # a size that no picture has
        return None


def _comment(jpeg: bytes) -> bytes:
    """The comment behind a JPEG's head; ValueError where there is none."""
    start = _HEAD + len(_COMMENT) + 2
    if not jpeg.startswith(_START) or jpeg[_HEAD : start - 2] != _COMMENT:
        raise ValueError("it is no JPEG with a comment")
    return jpeg[start : start - 2 + int.from_bytes(jpeg[start - 2 : start], "big")]


def _named(path: str | os.PathLike) -> str:
    table = Path(path).name.replace(".linking.mkv", ".csv")
    return f"{path} (delete {table} beside it, and the next run makes both anew)"
