"""Images, captions and masks of a folder, with the rules that loaders share."""

from __future__ import annotations

import json
import os
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ferrari.common import text_files
from ferrari.common.errors import FerrariError

#: What at least one of the trainers takes for an image.
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl", ".tif", ".tiff"})
_LEAST_TRANSPARENT = 0.001  # share of an image's pixels
_UNIFORM = 2  # of 255: what is painted under alpha 0 may differ by so much and be one colour


class UnreadableTextError(FerrariError, ValueError):
    """A file of a training folder is no text in UTF-8, or a line of it no JSON; `why` says it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"{self.path}{self.why}"


def text_of(path: Path) -> str:
    """A file's text; raises UnreadableTextError."""
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableTextError(path, text_files.not_utf_8(error)) from error


def json_lines(path: Path) -> list:
    """What each line of a JSONL file says, blank ones left out; raises UnreadableTextError."""
    found = []
    for number, line in enumerate(text_of(path).split("\n"), start=1):
        try:
            found += [json.loads(line)] if line.strip() else []
        except ValueError as error:
            raise UnreadableTextError(path, f", line {number}, is no JSON ({error})") from error
    return found


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
