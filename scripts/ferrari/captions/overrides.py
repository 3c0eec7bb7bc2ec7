"""Captions that a person wrote: `captions/overrides.csv`, a line for an image or for a cut-out.

The file is read once while the graph is built. A clip's caption job depends on the digest of that
clip's lines, so an edit reruns only the jobs of the clips whose lines changed. No line is ignored
in silence: one that cannot be parsed raises OverridesError with its number, one that breaks the
rules of captions is refused with a row, and one that names no image is listed by QC7.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.errors import FerrariError
from ferrari.ledger.csv_cells import unguard
from ferrari.ledger.item_ids import VIDEO_ID

PLACE = "captions/overrides.csv"
REQUIRED = ("item", "caption")
COLUMNS = (*REQUIRED, "allow", "note")
#: Problems of `caption_rules.check_caption` that a person may know better about than a list of
#: words.
ALLOWABLE = ("CONTEXT_WORD", "BACKGROUND_COLOUR")

_ITEM = re.compile(rf"({VIDEO_ID})-f\d+-p\d+(?:-v\d+)?")
_ALLOWED = re.compile(rf"(?:{'|'.join(ALLOWABLE)}):[a-z0-9'-]+")
_DELIMITERS = (",", ";", "\t")  # which one a spreadsheet writes depends on its country


class OverridesError(FerrariError, ValueError):
    """The table of overrides cannot be used as it is; names the file, the line and the remedy."""


class Override(NamedTuple):
    """A caption for `item`; `allow` are problems (CONTEXT_WORD:chair) that its author accepts."""

    item: str
    caption: str
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class Digests:
    """What the jobs depend on: the digest of all lines, and of each clip's own."""

    whole: str
    by_video: Mapping[str, str]

    def of(self, video: str) -> str:
        """The digest of a clip's lines; empty where it has none."""
        return self.by_video.get(video, "")


def place(config: Mapping) -> Path:
    """Where the table of a configuration lies, whether it is there or not."""
    return Path(config["caption"]["overrides"] or os.path.join(config["dataset"], PLACE))


def load(config: Mapping, video: str = "") -> dict[str, Override]:
    """All lines by item, or a clip's; none where there is no file and the setting names none."""
    path = place(config)
    if not path.exists() and not config["caption"]["overrides"]:
        return {}
    return read(path, video)


def read(path: str | os.PathLike, video: str = "") -> dict[str, Override]:
    """The lines of a table by item, notes left out; only a clip's if `video` is given.

    Raises OverridesError.
    """
    found: dict[str, Override] = {}
    for number, cells in _lines(path, video):
        item, allow = cells["item"], tuple(re.split(r"[\s;,]+", cells["allow"].strip()))
        for name in REQUIRED:
            if not cells[name]:
                raise OverridesError(
                    f"{path}, line {number}: no {name}; fill it in or take the line out"
                )
        if item in found:
            raise OverridesError(
                f"{path}, line {number}: {item} has a line already; leave the one that counts"
            )
        wrong = [name for name in allow if name and not _ALLOWED.fullmatch(name)]
        if wrong:
            raise OverridesError(
                f"{path}, line {number}: allow holds {wrong[0]!r}; it takes problems such as "
                f"CONTEXT_WORD:chair, parted by spaces, of the kinds {' and '.join(ALLOWABLE)}"
            )
        found[item] = Override(item, cells["caption"], tuple(filter(None, allow)))
    return found


def digests(config: Mapping) -> Digests:
    """The digests of a configuration's overrides, read once."""
    every = load(config).values()
    clips: dict[str, list[Override]] = defaultdict(list)
    for line in every:
        clips[video_of(line.item)].append(line)
    return Digests(digest(every), {video: digest(lines) for video, lines in clips.items()})


def of_clip(config: Mapping, video: str, expected: str) -> dict[str, Override]:
    """A clip's lines by item; the file is not opened where `expected`, their digest, is empty."""
    if not expected:
        return {}
    mine = {i: line for i, line in load(config, video).items() if video_of(i) == video}
    _require(config, digest(mine.values()), expected)
    return mine


def all_of(config: Mapping, expected: str) -> dict[str, Override]:
    """All lines by item, which must have the digest that the graph was built with."""
    every = load(config)
    _require(config, digest(every.values()), expected)
    return every


def _require(config: Mapping, found: str, expected: str) -> None:
    if found != expected:
        raise OverridesError(
            f"{place(config)} was changed while this run was under way; run again, and what the "
            "change asks for is made"
        )


def digest(lines: Iterable[Override]) -> str:
    """16 hex digits over lines in any order; empty for none."""
    texts = sorted("\0".join((line.item, line.caption, *line.allow)) for line in lines)
    text = "\n\0".join(texts)
    return sha256_bytes(text.encode("utf-8", "surrogatepass"))[:16] if texts else ""


def video_of(item: str) -> str:
    """The clip that an image or a cut-out with this id would be of; empty if it can be none's."""
    match = _ITEM.fullmatch(item)
    return match[1] if match else ""


def _lines(path: str | os.PathLike, start: str) -> Iterator[tuple[int, dict[str, str]]]:
    """(line's number, its cells by column) of each line that is not blank.

    With `start`, only lines in which a cell begins so: each job of many would else look at all.
    """
    text = _text(path)
    first = text.strip().splitlines()[0] if text.strip() else ""
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    try:
        for line in reader:
            if header and start and not any(c.lstrip(" \t'").startswith(start) for c in line):
                continue
            cells = [unguard(cell).strip(" \t") for cell in line]
            if not any(cells):
                continue
            if not header:
                header = _header(path, cells)
                continue
            if any(cells[len(header) :]):
                raise OverridesError(
                    f"{path}, line {reader.line_num}: more cells than the header has; a caption "
                    f'that holds a {delimiter!r} stands in double quotes ("...")'
                )
            named = dict(zip(header, cells, strict=False))
            yield reader.line_num, {name: named.get(name, "") for name in COLUMNS}
    except csv.Error as error:
        raise OverridesError(f"{path}, line {reader.line_num}: {error}") from error
    if not header:
        raise OverridesError(f"{path} is empty; its first line is {','.join(COLUMNS)}")


def _text(path: str | os.PathLike) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise OverridesError(
            f"caption.overrides: {path} cannot be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError as error:
        raise OverridesError(
            f"{path} is not UTF-8 (byte {error.start}); save it as 'CSV UTF-8'"
        ) from error


def _header(path: str | os.PathLike, cells: list[str]) -> list[str]:
    while cells and not cells[-1]:
        cells = cells[:-1]
    lacking = [name for name in REQUIRED if name not in cells]
    unknown = [name for name in cells if name not in COLUMNS]
    if lacking or unknown or len(set(cells)) < len(cells):
        raise OverridesError(
            f"{path}: the first line is {', '.join(cells)!r}; it names the columns item and "
            "caption, and if needed allow and note, each once"
        )
    return cells
