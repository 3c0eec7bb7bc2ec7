"""Whether a file is two that `cat` joined, of which FFmpeg and players read the first alone.

In a transport stream, a program stream or Matroska the second goes on where the first ends. An MP4
or MOV has one index at its top level: what a second index lists is never read. Where both are
written in fragments, FFmpeg reads those of the second too, but with times that begin anew: it is no
film that goes on. In FLV and ASF (WMV) a second head is skipped, with all behind it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from ferrari.video.clip_verdicts import OTHER_FILM

#: Boxes that are walked: a fragmented recording has two for each fragment.
_MOST = 200_000
#: The heads of FLV, to the size of the tag that is none before the first, and of ASF.
_HEADS = (
    re.compile(rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0\0\0\0"),
    re.compile(re.escape(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))),
)
_HEAD_BYTES, _CHUNK = 16, 1 << 20
_TOLD = f"a second file behind the first, as cat joins them: {OTHER_FILM}, which is lost"


def behind_the_first(path: str | os.PathLike) -> str:
    """'a second file behind the first, ...: another film track, ...' as a cell `other_tracks` has
    it; "" where a file is one. Raises OSError.
    """
    with open(path, "rb", buffering=0) as stream:  # of each box 16 bytes, and not a block
        if _has_a_second_head(stream):
            return _TOLD
        kinds = list(_boxes(stream, os.path.getsize(path)))
    if kinds.count(b"ftyp") < 2 or kinds[0] != b"ftyp":
        return ""
    second = kinds[kinds.index(b"ftyp", 1) :]
    if b"moov" not in kinds[: -len(second)] or not {b"moov", b"mdat"} <= set(second):
        return ""
    return _TOLD


def _has_a_second_head(stream: BinaryIO) -> bool:
    """Whether an FLV or ASF file has its head once more on its way."""
    held = stream.read(_HEAD_BYTES)
    head = next((head for head in _HEADS if head.match(held)), None)
    held = held[1:]
    while head and (more := stream.read(_CHUNK)):
        held += more
        if head.search(held):
            return True
        held = held[1 - _HEAD_BYTES :]
    return False


def _boxes(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """The kinds of an ISO file's boxes at its top level, up to the first that cannot be one."""
    place = 0
    for _ in range(_MOST):
        stream.seek(place)
        head = stream.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if len(head) < 8 or not kind.isalnum() or (length and length < 8):
            return
        yield kind
        place += length
        if not length or place >= size:
            return
