"""Small pictures of a clip, side by side in a few WebP files: what a page of 10,000 images loads.

A file's name holds a digest of the pictures that it was made from, so that one is made again only
where they are others, and no browser shows an old one. Cells are CELL px wide and high, COLUMNS a
row, at most CELLS a file; what of a cell a picture does not fill is transparent.
"""

from __future__ import annotations

import io
import json
import math
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ferrari.common.atomic_files import sha256_bytes, sha256_file, write_bytes
from ferrari.images import image_files
from ferrari.images.image_files import ImageReadError
from ferrari.review_page.entries import Picture

CELL, COLUMNS, CELLS = 128, 8, 64
_QUALITY, _METHOD = 70, 2
#: In each name's digest: another number makes all files anew, as other figures above do.
_VERSION = 1
#: The pixels of a file, HxWx3 or HxWx4 uint8; raises ImageReadError or OSError.
Reader = Callable[[Path], np.ndarray]


@dataclass(frozen=True)
class Sprite:
    """A file of small pictures: its name, how many cells it has, its size in bytes, and its digest;
    that is empty where a picture could not be read.
    """

    file: str
    cells: int
    size: int
    sha256: str


def names(stem: str, pictures: Sequence[Picture]) -> list[str]:
    """The names of the files of these pictures, CELLS a file, in their order."""
    parts = _parts(pictures)
    return [f"{stem}-{number}-{_digest(part)}.webp" for number, part in enumerate(parts)]


def make(
    folder: Path,
    stem: str,
    pictures: Sequence[Picture],
    root: Path,
    known: dict[str, str],
    read: Reader = image_files.read,
) -> list[Sprite]:
    """The files of `names`, in `folder`, made of pictures below `root` where they are not there.

    `known` are digests by name of what an earlier run wrote: a file that still has its own stays. A
    picture that cannot be read leaves its cell empty; its row says why elsewhere. The file has no
    digest then, so that the next run makes it again.
    """
    found = []
    parts = _parts(pictures)
    for name, part in zip(names(stem, pictures), parts, strict=True):
        path, whole = folder / name, True
        if not (known.get(name) and path.is_file() and sha256_file(path) == known[name]):
            sheet, whole = _sheet(part, root, read)
            write_bytes(path, _encoded(sheet), durable=False)
        digest = sha256_file(path) if whole else ""
        found.append(Sprite(name, len(part), path.stat().st_size, digest))
    return found


def clear(folder: Path, kept: Sequence[Sprite]) -> None:
    """Remove the sprites of `folder` that are not among `kept`."""
    names_kept = {sprite.file for sprite in kept}
    for path in folder.glob("*.webp"):
        if path.name not in names_kept:
            path.unlink()


def _parts(pictures: Sequence[Picture]) -> list[Sequence[Picture]]:
    return [pictures[first : first + CELLS] for first in range(0, len(pictures), CELLS)]


def _digest(pictures: Sequence[Picture]) -> str:
    made_from = [[picture.path, picture.sha256, picture.box] for picture in pictures]
    how = [_VERSION, CELL, COLUMNS, _QUALITY, _METHOD]
    return sha256_bytes(json.dumps([how, made_from]).encode("utf-8", "surrogatepass"))[:16]


def _sheet(pictures: Sequence[Picture], root: Path, read: Reader) -> tuple[Image.Image, bool]:
    """The cells of one file, and whether all pictures could be read. Each picture's file is read
    once, however many cells it has.
    """
    columns = min(COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / COLUMNS)
    sheet = Image.new("RGBA", (columns * CELL, rows * CELL))
    all_read = True
    places: dict[str, list[int]] = defaultdict(list)
    for place, picture in enumerate(pictures):
        places[picture.path].append(place)
    for path, wanted in places.items():
        whole = _opened(root / os.fspath(path), read)
        if whole is None:
            all_read = False
            continue
        for place in wanted:
            small = _small(whole, pictures[place])
            left = place % COLUMNS * CELL + (CELL - small.width) // 2
            top = place // COLUMNS * CELL + (CELL - small.height) // 2
            sheet.paste(small, (left, top))
    return sheet, all_read


def _opened(path: Path, read: Reader) -> Image.Image | None:
    try:
        return Image.fromarray(read(path))
    except (OSError, ImageReadError):
        return None


def _small(whole: Image.Image, picture: Picture) -> Image.Image:
    part = whole.crop(picture.box) if picture.box else whole.copy()
    part.thumbnail((CELL, CELL), Image.Resampling.BOX)
    return part.convert("RGBA")


def _encoded(sheet: Image.Image) -> bytes:
    stream = io.BytesIO()
    sheet.save(stream, "WEBP", quality=_QUALITY, method=_METHOD)
    return stream.getvalue()
