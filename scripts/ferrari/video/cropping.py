"""The visible rectangle of a stored frame, as container and codec define it.

The codec's part (H.264 and HEVC's conformance window and the like) is applied by FFmpeg's decoders,
to the pixel with `Flags.unaligned`. The container's part (QuickTime's clean aperture `clap`,
Matroska's PixelCrop) FFmpeg reads, but leaves to its caller; PyAV does not show it. So FFmpeg is
asked to write the header of a file of the same kind for the stream, and what it writes is read:
that is FFmpeg's own reading of the clip, and none of its hostile bytes is parsed here.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av import VideoStream
from av.error import FFmpegError
from av.video.format import VideoFormat

from ferrari.video.containers import container_of

#: Matroska's elements (RFC 9559, section 5.1): those that hold others, on the way to the four.
_SEGMENT, _TRACKS, _TRACK_ENTRY, _VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0xE0
_BOTTOM, _TOP, _LEFT, _RIGHT = 0x54AA, 0x54BB, 0x54CC, 0x54DD
#: QuickTime's boxes on the way to the clean aperture, with the bytes before the boxes in each.
_BOXES = {b"moov": 0, b"trak": 0, b"mdia": 0, b"minf": 0, b"stbl": 0, b"stsd": 8}
_SAMPLE_ENTRY = 78  # bytes of a video track's entry before its boxes
_GRID = 16  # px; no format of FFmpeg has chroma samples that are farther apart


@dataclass(frozen=True)
class Cropping:
    """Pixels that are not shown at each edge of a stored frame, before aspect and rotation."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def __str__(self) -> str:
        """`top:bottom:left:right`, or "" where nothing is left out: the column `cropped`."""
        edges = (self.top, self.bottom, self.left, self.right)
        return ":".join(map(str, edges)) if any(edges) else ""

    def within(self, width: int, height: int, pixels: VideoFormat) -> Cropping:
        """This cropping of a frame, in whole samples of chroma (as FFmpeg's filter `crop` does it).

        One that leaves nothing of the frame is none.
        """
        wide = _step(pixels.chroma_width(_GRID))
        high = _step(pixels.chroma_height(_GRID))
        left, top = self.left // wide * wide, self.top // high * high
        shown_width = (width - self.left - self.right) // wide * wide
        shown_height = (height - self.top - self.bottom) // high * high
        if not str(self) or shown_width <= 0 or shown_height <= 0:
            return Cropping()
        return Cropping(top, height - top - shown_height, left, width - left - shown_width)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of what is shown of a frame of that size."""
        return width - self.left - self.right, height - self.top - self.bottom

    def of(self, image: np.ndarray, shrunk: int = 1) -> np.ndarray:
        """The part of HxW or HxWxC that is shown, as a view; of a plane `shrunk` times as small."""
        height, width = image.shape[:2]
        top, bottom = self.top // shrunk, height - self.bottom // shrunk
        return image[top:bottom, self.left // shrunk : width - self.right // shrunk]


def of_container(stream: VideoStream) -> Cropping:
    """The container's cropping of a stream, in stored pixels; none where it tells of none."""
    kind = container_of(stream).format.name
    if "mov" in kind:
        header = _header(stream, "mov", {"movflags": "empty_moov"})
        if header:
            context = stream.codec_context
            return _from_aperture(_aperture(header), context.width, context.height)
    elif "matroska" not in kind:
        return Cropping()
    found = dict(_elements(_header(stream, "matroska", {})))
    edges = (found.get(edge, b"") for edge in (_TOP, _BOTTOM, _LEFT, _RIGHT))
    return Cropping(*(int.from_bytes(edge, "big") for edge in edges))


def _header(stream: VideoStream, kind: str, options: dict[str, str]) -> bytes:
    """The header of a file of the stream alone; empty if that kind cannot hold it as it is."""
    written = io.BytesIO()
    try:
        with av.open(written, "w", format=kind, options=options) as copy:
            copy.add_stream_from_template(stream, opaque=True)
            copy.start_encoding()
            return written.getvalue()
    except (FFmpegError, ValueError):
        return b""


def _step(samples: int) -> int:
    return _GRID // samples if samples else 1


def _aperture(data: bytes) -> tuple[int, ...]:
    """The eight numbers of the first `clap` within boxes of a .mov; empty where there is none."""
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + max(8, size)]
        if name == b"clap":
            return struct.unpack(">8i", content)
        if name in _BOXES:
            inside = content[_BOXES[name] :]
            return _aperture(inside[8 + _SAMPLE_ENTRY :] if name == b"stsd" else inside)
        at += max(8, size)
    return ()


def _from_aperture(numbers: tuple[int, ...], width: int, height: int) -> Cropping:
    """The edges of width x height px that a clean aperture leaves out (ISO/IEC 14496-12, 12.1.4).

    FFmpeg has written whole numbers of pixels, and offsets of the middle in halves.
    """
    if not numbers:
        return Cropping()
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    wide, high, right_of_middle, below_middle = (Fraction(*pair) for pair in pairs)
    left = int((width - wide) / 2 + right_of_middle)
    top = int((height - high) / 2 + below_middle)
    return Cropping(top, int(height - high) - top, left, int(width - wide) - left)


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(id, content) of the elements of EBML `data`, those within tracks in place of these."""
    at = 0
    while at + 2 <= len(data):
        name, at, _ = _number(data, at, keep_mark=True)
        size, at, unknown = _number(data, at)
        content = data[at:] if unknown else data[at : at + size]
        if name in (_SEGMENT, _TRACKS, _TRACK_ENTRY, _VIDEO):
            yield from _elements(content)
        else:
            yield name, content
        at += len(content)


def _number(data: bytes, at: int, keep_mark: bool = False) -> tuple[int, int, bool]:
    """An EBML number of 1 to 8 bytes (RFC 8794, section 4), where the next begins, and whether all
    its bits are set, which stands for an unknown size.
    """
    length = 9 - data[at].bit_length() if at < len(data) else 1
    value = int.from_bytes(data[at : at + length], "big")
    mark = 1 << (7 * length)
    return value if keep_mark else value & (mark - 1), at + length, (value & (mark - 1)) == mark - 1
