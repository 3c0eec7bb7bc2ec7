"""Whether a file is two that `cat` joined, of which FFmpeg and players read the first alone.

In a transport stream, a program stream or Matroska the second goes on where the first ends. An MP4
or MOV has one index at its top level: what a second index lists is never read. Where both are
written in fragments, FFmpeg reads those of the second too, but with times that begin anew: it is no
film that goes on. In FLV and ASF (WMV) a second head is skipped, with all behind it, and behind an
MP4 a file of another kind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import BinaryIO

from ferrari.video.clip_verdicts import OTHER_FILM

#: Boxes that are walked: a fragmented recording has two for each fragment.
_MOST = 200_000
#: The heads of FLV, to the size of the tag that is none before the first, and of ASF.
_HEADS = (
    re.compile(rb"FLV\x01[\x01\x04\x05]\0\0\0\x09\0\0\0\0"),
    re.compile(re.escape(bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))),
)
#: The heads of Matroska, AVI, FLV and ASF, where the boxes of an MP4 end.
_OTHER_HEADS = re.compile(
    rb"\x1aE\xdf\xa3|RIFF.{4}AVI |" + b"|".join(head.pattern for head in _HEADS), re.DOTALL
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
        kinds, end = _boxes(stream, os.path.getsize(path))
        stream.seek(end)
        other = b"moov" in kinds and _OTHER_HEADS.match(stream.read(_HEAD_BYTES))
    return _TOLD if other or _two_films(kinds) else ""


def _two_films(kinds: Sequence[bytes]) -> bool:
    """Whether an ISO file's boxes at its top level are those of two films.

    Old QuickTime has no box `ftyp` where a film begins. Of one that is not in fragments each index
    has data of its own.
    """
    if kinds[:1] == [b"ftyp"] and kinds.count(b"ftyp") > 1:
        second = kinds[kinds.index(b"ftyp", 1) :]
        return b"moov" in kinds[: -len(second)] and {b"moov", b"mdat"} <= set(second)
    whole = b"moof" not in kinds
    return whole and kinds.count(b"moov") > 1 and kinds.count(b"mdat") > 1


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


def _boxes(stream: BinaryIO, size: int) -> tuple[list[bytes], int]:
    """The kinds of an ISO file's boxes at its top level, and where they end: at the first that
    cannot be one, or with the file.
    """
    kinds: list[bytes] = []
    place = 0
    while len(kinds) < _MOST and place < size:
        stream.seek(place)
        head = stream.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if _OTHER_HEADS.match(head) or not _may_be_a_box(head, length):
            break
        kinds.append(head[4:8])
        place = place + length if length else size
    return kinds, place


def _may_be_a_box(head: bytes, length: int) -> bool:
    """Whether a box may begin so; a length of 0 goes to the end of the file."""
    return len(head) >= 8 and head[4:8].isalnum() and (length >= 8 or not length)
