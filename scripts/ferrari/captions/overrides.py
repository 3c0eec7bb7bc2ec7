"""Captions written by hand, for an image or for a cut-out.

They come from the rows `caption` in force of `review/decisions.csv`, and from the lines of
`captions/overrides.csv`, which is the user's own file. From here on both are one thing, an
Override. If both name the same item, nobody could say which counts: OverridesError names both
lines.

The files are read once, while the graph is built. A clip's caption job depends on the digest of
that clip's captions, so an edit reruns only the jobs of the clips whose captions changed. None is
ignored silently: a line that cannot be parsed raises OverridesError with its number, one that
breaks the rules of captions is refused with a row, and QC7 lists those that name no image, or were
written about another version of it.
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

from ferrari.common import near_paths, text_files
from ferrari.common.errors import FerrariError
from ferrari.ledger.csv_cells import unguard
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.review import decision_table, decisions
from ferrari.review.contract import CAPTION, Decision

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
    """The table of overrides cannot be used; the message names the file, the line and the
    remedy.
    """


class Override(NamedTuple):
    """A caption for `item`; `allow` are problems (CONTEXT_WORD:chair) that its author accepts.

    `decision` is the id of its row, `sha256` the digest of the file that it was written about; both
    are empty for a line of the user's own file.
    """

    item: str
    caption: str
    allow: tuple[str, ...] = ()
    decision: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class Digests:
    """What the jobs depend on: the digest of all lines, and of each clip's own."""

    whole: str
    by_video: Mapping[str, str]

    def of(self, video: str) -> str:
        """The digest of a clip's lines; empty if it has none."""
        return self.by_video.get(video, "")


def place(config: Mapping) -> Path:
    """Where the table of a configuration lies, whether it is there or not."""
    return Path(config["caption"]["overrides"] or os.path.join(config["dataset"], PLACE))


def load(config: Mapping, video: str = "") -> dict[str, Override]:
    """All captions by item, or a clip's; no lines of a file that is not there, unless the setting
    names it. Raises OverridesError, DecisionsError.
    """
    path, review = place(config), decisions.load(config["dataset"])
    known = path.exists() or config["caption"]["overrides"]
    lines = read(path, video) if known else {}
    said = {row.target: _of(config, row) for row in review.of(CAPTION, video)}
    for item in sorted(lines.keys() & said.keys()):
        raise _twice(config, item, said[item].decision)
    return lines | said


def _of(config: Mapping, row: Decision) -> Override:
    """A row `caption` as an Override; its `reason` holds what `allow` does in the other file."""
    if wrong := not_allowable(row.allowed):
        raise OverridesError(
            f"{_place_of(config, row.id)}: its reason holds {wrong!r}; a caption's reason takes "
            f"problems that it may have, such as CONTEXT_WORD:chair, of the kinds "
            f"{' and '.join(ALLOWABLE)}. Take the row back: make decide UNDO={row.id}"
        )
    return Override(row.target, row.value, row.allowed, row.id, row.target_sha256)


def not_allowable(names: Iterable[str]) -> str:
    """The first of some names that is not a problem which an author may accept; empty if there is
    none.
    """
    return next((name for name in names if not _ALLOWED.fullmatch(name)), "")


def _twice(config: Mapping, item: str, decision: str) -> OverridesError:
    path = place(config)
    number = next(number for number, cells in _lines(path, item) if cells["item"] == item)
    return OverridesError(
        f"{item} has two captions: {path}, line {number}, and {_place_of(config, decision)}; take "
        f"the line out, or take the row back (make decide UNDO={decision})"
    )


def _place_of(config: Mapping, decision: str) -> str:
    """The file and the line of a row of the decisions."""
    path = decision_table.place(config["dataset"])
    number = next(line.number for line in decision_table.read(path) if line.row.id == decision)
    return f"{path}, line {number}"


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
            f"{place(config)} or {decision_table.place(config['dataset'])} was changed while this "
            "run was under way; run again, and what the change asks for is made"
        )


def digest(lines: Iterable[Override]) -> str:
    """The digest of lines in any order; empty for none. A caption by hand is a decision."""
    return decisions.digest_of_texts(
        "\0".join((line.item, line.caption, *line.allow, line.decision, line.sha256))
        for line in lines
    )


def video_of(item: str) -> str:
    """The id of the clip of an image or a cut-out with this id; empty if the id is not one of
    those.
    """
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
            f"caption.overrides: {near_paths.told(path)} cannot be read: {error.strerror}."
            f"{near_paths.hint(path)}"
        ) from error
    except UnicodeDecodeError as error:
        raise OverridesError(
            f"{path}{text_files.not_utf_8(error)}; save it as 'CSV UTF-8'"
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
