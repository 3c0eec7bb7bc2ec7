"""Masks that a person mended: files in `review/masks/`, drawn at a crop's own pixels.

A mask is a PNG of 8 bits and one channel, of the crop's size: 255 is the subject, 0 is not, what
lies between is a soft edge. Its name holds the crop's id and the first 12 digits of its own
SHA-256, so that a row which names it names its content. Files are added and never written over: a
row that was taken back can be taken up again.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ferrari.common.atomic_files import sha256_bytes, write_bytes
from ferrari.common.errors import FerrariError
from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import clip_of
from ferrari.review.contract import MASKS, Decision

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = struct.Struct(">8sI4sIIBBBBB")  # the signature, and the first part of a PNG


class MendedMaskError(FerrariError, ValueError):
    """A mask cannot be taken for a crop's; says why, and what would be right."""


class MendedMask(NamedTuple):
    """A saved mask. `path` (below the dataset) is the `value` of a row `mask`, `target_sha256` the
    digest of the crop's file, which the row needs; `sha256` is that of the mask's own file.
    """

    path: str
    sha256: str
    target_sha256: str


def name_of(crop: str, sha256: str) -> str:
    """Where a mask lies, below the dataset's folder."""
    return f"{MASKS}/{crop}-{sha256[:12]}.png"


def save(dataset: str | os.PathLike, crop: str, png: bytes) -> MendedMask:
    """Put a mask (a PNG, see above) of a kept crop where a decision may name it.

    Raises MendedMaskError for a crop that is not kept, and for what `check` refuses. The same
    bytes twice are one file.
    """
    line = crop_row(dataset, crop)
    check(png, height=_side(line, "y"), width=_side(line, "x"))
    sha256 = sha256_bytes(png)
    path = Path(dataset) / name_of(crop, sha256)
    if not (path.is_file() and path.read_bytes() == png):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, png)
    return MendedMask(name_of(crop, sha256), sha256, line["sha256"])


def crop_row(dataset: str | os.PathLike, crop: str) -> dict[str, str]:
    """The row of a kept crop; raises MendedMaskError where there is none."""
    rows = _crop_rows(dataset, clip_of(crop))
    line = next((row for row in rows if row["item"] == crop), None)
    if line is None or line["outcome"] != KEPT:
        why = line["reason"] if line else "there is none of this id"
        raise MendedMaskError(f"{crop} is no crop that was kept, and has no mask to mend ({why})")
    return line


def check(png: bytes, height: int, width: int) -> None:
    """Raise MendedMaskError unless `png` is a grey PNG of 8 bits and of that size, to its end."""
    if len(png) < _HEAD.size or png[:8] != _SIGNATURE or png[12:16] != b"IHDR":
        raise MendedMaskError("the mask is no PNG")
    *_, wide, high, depth, colour, _, _, interlaced = _HEAD.unpack_from(png)
    if (depth, colour, interlaced) != (8, 0, 0):
        raise MendedMaskError(
            f"the mask has {depth} bits and the colour type {colour}; a mask is a grey PNG of 8 "
            "bits and one channel (colour type 0), not interlaced"
        )
    if (high, wide) != (height, width):
        raise MendedMaskError(f"the mask is {wide}x{high} px, and the crop {width}x{height}")
    _check_pixels(png, height * (1 + width))


def _check_pixels(png: bytes, expected: int) -> None:
    """Each part has its checksum, and the pixels are as many as the header says."""
    packed, at, kind = [], 8, b""
    while kind != b"IEND":
        if at + 12 > len(png):
            raise MendedMaskError("the mask is cut off")
        length, kind = struct.unpack_from(">I4s", png, at)
        body, crc = png[at + 4 : at + 8 + length], png[at + 8 + length : at + 12 + length]
        if len(crc) < 4 or zlib.crc32(body) != int.from_bytes(crc, "big"):
            raise MendedMaskError(f"the mask is damaged, in its part {kind!r}")
        packed += [body[4:]] * (kind == b"IDAT")
        at += 12 + length
    try:
        pixels = zlib.decompressobj().decompress(b"".join(packed), expected + 1)
    except zlib.error as error:
        raise MendedMaskError(f"the mask's pixels cannot be unpacked: {error}") from error
    if len(pixels) != expected:
        raise MendedMaskError("the mask's pixels are not what its header says")


def fault_of(dataset: str | os.PathLike, row: Decision, crop: Mapping[str, str]) -> str:
    """What is wrong with the file of a row `mask`; empty for a sound one.

    `crop` is the row of its crop, or empty where that is not known: its size is asked for where the
    mask was drawn on its pixels.
    """
    try:
        png = (Path(dataset) / row.value).read_bytes()
    except OSError as error:
        return f"its mask {row.value} cannot be read ({error.strerror})"
    if name_of(row.target, sha256_bytes(png)) != row.value:
        return f"its mask {row.value} is another now: its SHA-256 is not that of its name"
    here = crop.get("sha256") == row.target_sha256
    wide, high = struct.unpack_from(">II", png.ljust(_HEAD.size), 16)
    try:
        check(png, _side(crop, "y") if here else high, _side(crop, "x") if here else wide)
    except MendedMaskError as error:
        return f"{row.value}: {error}"
    return ""


def crops_of(dataset: str | os.PathLike, rows: Iterable[Decision]) -> dict[str, dict[str, str]]:
    """The rows of the crops that rows `mask` are about, by item; each table is read once."""
    wanted: dict[str, set[str]] = {}
    for row in rows:
        wanted.setdefault(row.video, set()).add(row.target)
    return {
        line["item"]: line
        for video, crops in wanted.items()
        for line in _crop_rows(dataset, video)
        if line["item"] in crops
    }


def _crop_rows(dataset: str | os.PathLike, video: str) -> Iterable[dict[str, str]]:
    table = Path(dataset) / stages.table("crop", video)
    return tables.iter_if_there(table)


def _side(line: Mapping[str, str], axis: str) -> int:
    return int(line[f"crop_{axis}2"]) - int(line[f"crop_{axis}1"])
