"""Masks corrected by a person: files in `review/masks/`, drawn at a crop's own pixels.

A mask is a PNG of 8 bits and one channel, of the crop's size: 255 is the subject, 0 is not, values
between are a soft edge. Its name contains the crop's id and the first 12 digits of its own SHA-256,
so that a row which names it pins its content. Files are added and never overwritten: a row that was
undone can be redone.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ferrari.common.atomic_files import sha256_bytes, write_bytes
from ferrari.common.errors import FerrariError
from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import clip_of
from ferrari.review.contract import MASKS, Decision


class MendedMaskError(FerrariError, ValueError):
    """A mask cannot be used for a crop; says why, and what would be right."""


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


def save(dataset: str | os.PathLike, crop: str, data: bytes) -> MendedMask:
    """Put a mask (`data` is a PNG, see above) of a kept crop where a decision may name it.

    Raises MendedMaskError for a crop that is not kept, and for what `check` refuses. The same
    bytes twice are one file.
    """
    line = crop_row(dataset, crop)
    check(data, height=_side(line, "y"), width=_side(line, "x"))
    sha256 = sha256_bytes(data)
    path = Path(dataset) / name_of(crop, sha256)
    if not (path.is_file() and path.read_bytes() == data):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
    return MendedMask(name_of(crop, sha256), sha256, line["sha256"])


def crop_row(dataset: str | os.PathLike, crop: str) -> dict[str, str]:
    """The row of a kept crop; raises MendedMaskError where there is none."""
    rows = _crop_rows(dataset, clip_of(crop))
    line = next((row for row in rows if row["item"] == crop), None)
    if line is None or line["outcome"] != KEPT:
        why = line["reason"] if line else "there is none of this id"
        raise MendedMaskError(f"{crop} is no crop that was kept, and has no mask to mend ({why})")
    return line


def check(data: bytes, height: int, width: int) -> None:
    """Raise MendedMaskError unless `data` is a grey PNG of 8 bits and of that size, to its end."""
    from ferrari.images import png  # loads NumPy, which reading decisions does not need

    size = png.size_of(data)  # before its pixels are unpacked: a header may promise any number
    if size is None:
        raise MendedMaskError("the mask is no PNG")
    if size != (height, width):
        raise MendedMaskError(f"the mask is {size[1]}x{size[0]} px, and the crop {width}x{height}")
    try:
        shape = png.shape_of(data)
    except png.PngError as error:
        raise MendedMaskError(f"the mask {error}") from error
    if shape != size:
        raise MendedMaskError(
            "the mask is another kind of PNG: a mask is grey, of 8 bits and one channel, and not "
            "interlaced"
        )


def fault_of(dataset: str | os.PathLike, row: Decision, crop: Mapping[str, str]) -> str:
    """What is wrong with the file of a row `mask`; empty for a sound one.

    `crop` is the row of its crop, or empty where that is not known: its size is asked for where the
    mask was drawn on its pixels.
    """
    try:
        data = (Path(dataset) / row.value).read_bytes()
    except OSError as error:
        return f"its mask {row.value} cannot be read ({error.strerror})"
    if name_of(row.target, sha256_bytes(data)) != row.value:
        return f"its mask {row.value} is another now: its SHA-256 is not that of its name"
    if crop.get("sha256") != row.target_sha256:
        return ""  # drawn on other pixels: it is stale, and never opened
    try:
        check(data, _side(crop, "y"), _side(crop, "x"))
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
