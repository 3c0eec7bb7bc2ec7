"""Images, captions and masks of a folder, by the rules that loaders share."""

from __future__ import annotations

import codecs
import json
import os
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ferrari.linting.findings import Trap

#: What at least one of the trainers takes for an image.
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl", ".tif", ".tiff"})
_LEAST_TRANSPARENT = 0.001  # share of an image's pixels
_UNIFORM = 2  # of 255: what is painted under alpha 0 may differ by so much and be one colour


def unreadable(trainer: str) -> Trap:
    """The trap of a text that a trainer stops at; `why` is what `fault_of` says of it."""
    return Trap(
        f"{trainer}/unreadable",
        "{why}: the trainer stops at it, and nothing in it was looked at",
        "save it as UTF-8, and correct the line that is named",
    )


def fault_of(path: Path) -> str:
    """Why a file is no text in UTF-8, or, of a JSONL file, which line is no JSON; "" if sound."""
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "it is UTF-16, not UTF-8"
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        return f"line {data.count(10, 0, error.start) + 1} is not UTF-8"
    for number, line in enumerate(lines if path.suffix == ".jsonl" else (), start=1):
        try:
            json.loads(line if line.strip() else "0")
        except ValueError as error:
            return f"line {number} is no JSON ({error})"
    return ""


def json_lines(path: Path) -> list:
    """What each line of a sound JSONL file says, blank ones left out."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def from_folder(folder: Path, path: Path) -> Path:
    """`path` as seen from `folder`; a trainer's own file may name places outside of it."""
    return Path(os.path.relpath(path, folder))


def images_in(folder: Path, suffixes: frozenset[str] = IMAGES) -> list[Path]:
    """Images lying directly in a folder, sorted by name; none if it is not there."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes and p.is_file())


def images_below(folder: Path, suffixes: frozenset[str] = IMAGES) -> Iterator[Path]:
    """Images in a folder and below it, hidden folders left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if Path(name).suffix.lower() in suffixes:
                yield Path(place, name)


def toml_files(folder: Path) -> Iterator[tuple[Path, dict]]:
    """TOML files lying directly in a folder and what they say, those left out that are none."""
    for path in sorted(folder.glob("*.toml")):
        try:
            yield path, tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError):
            continue


def json_files(folder: Path) -> Iterator[tuple[Path, object]]:
    """JSON files lying directly in a folder and what they say, those left out that are none."""
    for path in sorted(folder.glob("*.json")):
        try:
            yield path, json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            continue


def mappings(value: object) -> list[Mapping]:
    """The mappings of a list, where a trainer's file has one; none where anything else stands: that
    is another program's file, or one that the trainer refuses by itself.
    """
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def mapping(value: object) -> Mapping:
    """The mapping that a trainer's file has there; an empty one where anything else stands."""
    return value if isinstance(value, Mapping) else {}


def twins(images: Sequence[Path]) -> Iterator[list[Path]]:
    """Images of one folder that share a stem."""
    by_stem = defaultdict(list)
    for image in images:
        by_stem[image.with_suffix("")].append(image)
    yield from (each for each in by_stem.values() if len(each) > 1)


def caption_text(path: Path) -> str | None:
    """A caption file's text; None if it is no UTF-8."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None


def size_of(path: Path) -> tuple[int, int] | None:
    """Width and height of an image in pixels; None if it cannot be opened."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None


def unequal_sizes(first: Path, second: Path) -> tuple[str, str] | None:
    """Both images' sizes as `WxH`; None if they are equal, or if one cannot be opened."""
    sizes = size_of(first), size_of(second)
    if sizes[0] is None or sizes[1] is None or sizes[0] == sizes[1]:
        return None
    return "x".join(map(str, sizes[0])), "x".join(map(str, sizes[1]))


def hidden_colours(path: Path) -> bool:
    """True if an image has transparent pixels with more than one colour under them."""
    try:
        with Image.open(path) as image:
            if "A" not in image.getbands() and "transparency" not in image.info:
                return False
            rgba = np.asarray(image.convert("RGBA"))
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
    clear = rgba[rgba[..., 3] == 0][:, :3]
    if len(clear) < _LEAST_TRANSPARENT * rgba[..., 3].size:
        return False
    return bool((np.ptp(clear.astype(np.int16), axis=0) > _UNIFORM).any())


def is_blank_mask(path: Path) -> str:
    """`black` or `white` for a mask that is nothing else, else an empty string."""
    try:
        with Image.open(path) as image:
            low, high = image.convert("L").getextrema()
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    if high == 0:
        return "black"
    return "white" if low == 255 else ""
