"""FFmpeg's messages about lost data, which raise no error and leave no mark on the frame.

A decoder that patches up a picture, or a demuxer that skips to the next thing that it knows, only
writes a line. Those lines are read here, off the process's own standard error: PyAV's callback
would need the GIL in decoder threads (see `containers`).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from types import TracebackType

import av

from ferrari.video.decoding.base import DecoderUnavailableError

#: The picture that is being decoded is not whole.
_PICTURE = re.compile(
    r"error while decoding|concealing \d+|block unavailable for requested|damaged at|bad vlc"
    r"|error y=|invalid mb type|cbp too large|invalid cbp|corrupted macroblock|LZW decode failed"
    r"|Invalid NAL unit size|missing picture in access unit|Error splitting the input"
    r"|co located POCs unavailable|Missing reference picture|Could not find ref with POC"
    r"|slice (mismatch|below image)|negative number of (zero|total) coeff|ac-tex damaged"
    r"|Error at MB|qscale diff failed|Reference \d+ >= \d|huffman table decode error"
    r"|decode_slice_header error|Truncating packet|Packet mismatch",
    re.IGNORECASE,
)
#: The container's thread was lost: what was read before it ran into something else.
_CONTAINER = re.compile(
    r"exceeds containing master element|invalid as first byte of an EBML number"
    r"|indicated by an EBML number's first byte|partial file",
    re.IGNORECASE,
)
_ORIGIN = re.compile(r"\[[^\]]*? @ 0x[0-9a-f]+\] ?")
_ROOM = 1 << 20  # bytes of lines that are kept before room is made
_TOLD = 20  # lines that go on to the job's log


class Complaints:
    """Within the block FFmpeg's lines are read, not shown; the first ones are shown at its end.

    One at a time in a process. Python's logging goes where it went before.
    """

    def __enter__(self) -> Complaints:
        self._lines = os.memfd_create("complaints")
        fcntl.fcntl(self._lines, fcntl.F_SETFL, os.O_APPEND)
        self._read = 0
        self._told: list[bytes] = []
        self._terminal = os.dup(2)
        self._stream = open(self._terminal, "w", buffering=1, closefd=False)
        self._handlers = [
            (handler, handler.setStream(self._stream))
            for handler in logging.getLogger().handlers
            if type(handler) is logging.StreamHandler
        ]
        os.dup2(self._lines, 2)
        av.logging.set_libav_level(av.logging.ERROR)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        av.logging.set_libav_level(av.logging.FATAL)
        os.dup2(self._terminal, 2)
        for handler, stream in self._handlers:
            if stream is not None:
                handler.setStream(stream)
        self._stream.close()
        os.close(self._terminal)
        os.close(self._lines)
        if self._told:
            os.write(2, b"\n".join(self._told) + b"\n")

    @property
    def first(self) -> str:
        """The first of the lines that `fresh` has seen, whatever it is about; "" without any."""
        return _plain(self._told[0]) if self._told else ""

    def fresh(self) -> tuple[str, str]:
        """New lines since the last call: the first about a picture and about the container."""
        size = os.fstat(self._lines).st_size
        if size == self._read:
            return "", ""
        text = os.pread(self._lines, size - self._read, self._read)
        self._read = size
        if size > _ROOM:
            os.ftruncate(self._lines, 0)
            self._read = 0
        lines = text.splitlines()
        self._told += lines[: max(0, _TOLD - len(self._told))]
        said = [_plain(line) for line in lines]
        picture = next((line for line in said if _PICTURE.search(line)), "")
        container = next((line for line in said if _CONTAINER.search(line)), "")
        return picture, container


@contextlib.contextmanager
def unheard() -> Iterator[None]:
    """Within `Complaints`: what FFmpeg says in this block is no complaint about the clip."""
    av.logging.set_libav_level(av.logging.FATAL)
    try:
        yield
    finally:
        av.logging.set_libav_level(av.logging.ERROR)


def _plain(line: bytes) -> str:
    return _ORIGIN.sub("", line.decode(errors="replace")).strip()


def require_silence(complaints: Complaints) -> None:
    """Raise DecoderUnavailableError if FFmpeg said anything of a clip that the card decodes.

    What a line means for the pixels is known of FFmpeg's own decoders only.
    """
    complaints.fresh()
    if complaints.first:
        raise DecoderUnavailableError(f"FFmpeg complains of the clip: {complaints.first}")
