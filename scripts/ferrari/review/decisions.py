"""Which decisions of a person count: the table read line by line, and the rows in force.

Nothing in the table is ever rewritten. A row `undo` takes back the row that it names, and may be
taken back itself, which is redo. Of the rows that stand, the last one about a question counts. A
line that cannot be read raises DecisionsError with its number, before the first job of a run; a row
whose target has changed since is stale: it is reported (`effects`) and changes nothing.

Each stage's job of a clip depends on the digest of the rows in force about that clip that concern
this stage. Rows that were taken back are in no digest, so that the first one comes back.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.errors import FerrariError
from ferrari.ledger.csv_cells import unguard
from ferrari.review import mended
from ferrari.review.contract import COLUMNS, MASK, UNDO, Decision, fault_of, fault_of_undo, row_of

#: Below the dataset's folder.
PLACE = "review/decisions.csv"
#: How each digest of decisions begins, so that a param tells that it is one (`planned_jobs`).
DECIDED = "decided:"


class DecisionsError(FerrariError, ValueError):
    """The table of decisions cannot be used as it is; names the file, the line and the remedy."""


@dataclass(frozen=True)
class Line:
    """A row, and the number of its line in the file (the header is line 1)."""

    number: int
    row: Decision


@dataclass(frozen=True)
class Review:
    """The rows in force, in the order of the table."""

    rows: tuple[Decision, ...] = ()

    @cached_property
    def _by_job(self) -> dict[tuple[str, str], list[Decision]]:
        found: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for row in self.rows:
            found[row.stage, row.video].append(row)
        return found

    def of(self, stage: str, video: str = "") -> list[Decision]:
        """The rows that change a stage's table: a clip's, or without `video` all clips'."""
        if video:
            return self._by_job.get((stage, video), [])
        return [row for row in self.rows if row.stage == stage]

    def digest(self, stage: str, video: str = "") -> str:
        """The digest of the rows of `of` (see `digest`); empty for none."""
        return digest(self.of(stage, video))

    @property
    def whole(self) -> str:
        """The digest of all rows in force; empty for none."""
        return digest(self.rows)


def place(dataset: str | os.PathLike) -> Path:
    """Where the table of a dataset lies, whether it is there or not."""
    return Path(dataset) / PLACE


def load(dataset: str | os.PathLike) -> Review:
    """The rows in force; none where there is no table. Raises DecisionsError."""
    path = place(dataset)
    lines = standing(read(path)) if path.exists() else []
    return Review(tuple(line.row for line in lines))


def load_for_run(dataset: str | os.PathLike) -> Review:
    """`load`, before a run's first job: raises DecisionsError too for a row whose mended mask is
    not there or is another now, since no job could carry it out.
    """
    path = place(dataset)
    lines = standing(read(path)) if path.exists() else []
    masks = [line for line in lines if line.row.decision == MASK]
    crops = mended.crops_of(dataset, (line.row for line in masks))
    for line in masks:
        if fault := mended.fault_of(dataset, line.row, crops.get(line.row.target, {})):
            raise DecisionsError(
                f"{path}, line {line.number}: {fault}; put the file back, or take the row back "
                f"(make decide UNDO={line.row.id})"
            )
    return Review(tuple(line.row for line in lines))


def of_job(
    dataset: str | os.PathLike, expected: str, stage: str, video: str = ""
) -> list[Decision]:
    """The rows of a stage's job, which must have the digest that the graph was built with.

    The table is not opened where `expected` is empty.
    """
    review = load(dataset) if expected else Review()
    if review.digest(stage, video) != expected:
        raise DecisionsError(
            f"{place(dataset)} was changed while this run was under way; run again, and what the "
            "new rows ask for is made"
        )
    return review.of(stage, video)


def digest(rows: Iterable[Decision]) -> str:
    """The digest of rows in any order, notes left out; empty for none."""
    return digest_of_texts("\0".join(row._replace(note="")) for row in rows)


def digest_of_texts(texts: Iterable[str]) -> str:
    """DECIDED and 16 hex digits over texts in any order, each of a decision; empty for none."""
    text = "\n\0".join(sorted(texts))
    return DECIDED + sha256_bytes(text.encode("utf-8", "surrogatepass"))[:16] if text else ""


def standing(lines: Sequence[Line]) -> list[Line]:
    """The rows in force, in the table's order: not taken back, the last about their question."""
    gone = taken_back(lines)
    decided = (line for line in lines if line.row.decision != UNDO and line.row.id not in gone)
    last = {line.row.question: line for line in decided}
    return sorted(last.values(), key=lambda line: line.number)


def taken_back(lines: Sequence[Line]) -> set[str]:
    """The ids of rows that were taken back. An undo that was itself taken back takes nothing back,
    and no row takes back a later one: so the last are looked at first.
    """
    gone: set[str] = set()
    for line in reversed(lines):
        if line.row.decision == UNDO and line.row.id not in gone:
            gone.add(line.row.undoes)
    return gone


def read(path: str | os.PathLike) -> list[Line]:
    """All rows of a table, those taken back too. Raises DecisionsError."""
    return Table(path).lines()


class Table:
    """A table that is looked at again and again: each time only what was added is parsed."""

    def __init__(self, path: str | os.PathLike) -> None:
        self._path = path
        self._forget()

    def _forget(self) -> None:
        self._known = b""
        self._lines: list[Line] = []
        self._numbers: dict[str, int] = {}

    def lines(self) -> list[Line]:
        """All rows as they are now, those taken back too; [] where no table is. Raises
        DecisionsError.
        """
        data = without_blank_end(_bytes(self._path))
        if not data.startswith(self._known):  # somebody has edited it
            self._forget()
        if len(data) > len(self._known):
            self._add(data)
        return list(self._lines)

    def row(self, name: str) -> Decision | None:
        """The row of an id, as `lines` saw it last."""
        number = self._numbers.get(name)
        return self._lines[number - 2].row if number else None

    def _add(self, data: bytes) -> None:
        before = self._known.count(b"\n")
        text = _text(self._path, data[len(self._known) :], before)
        if not text.endswith("\n"):
            number = before + text.count("\n") + 1
            raise DecisionsError(
                f"{self._path}, line {number} is cut off: what wrote it was ended before its end. "
                "Take that line out; nothing before it is lost. (The next row that is added takes "
                "it out as well, and keeps it in a file beside the table.)"
            )
        found, numbers = list(self._lines), dict(self._numbers)
        for number, line in enumerate(text[:-1].split("\n"), start=before + 1):
            cells = _cells(self._path, number, line.removesuffix("\r"))
            if number == 1:
                _require_header(self._path, cells)
                continue
            row = _row(self._path, number, cells)
            _require_fits(self._path, number, row, numbers, found)
            numbers[row.id] = number
            found.append(Line(number, row))
        self._known, self._lines, self._numbers = data, found, numbers


def without_blank_end(data: bytes) -> bytes:
    """The bytes of a table without the blank lines at its very end, which editors of text add."""
    rows = data.rstrip(b"\r\n")
    left = data[len(rows) :]
    return rows + left[: left.find(b"\n") + 1] if rows else b""


def is_whole(data: bytes) -> bool:
    """True if the bytes of a line, without its end, are a row with all its cells."""
    try:
        _row("", 2, _cells("", 2, _text("", data, 1).removesuffix("\r")))
    except DecisionsError:
        return False
    return True


def _bytes(path: str | os.PathLike) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise DecisionsError(f"{path} cannot be read: {error.strerror}") from error


def _text(path: str | os.PathLike, data: bytes, before: int) -> str:
    """The text of lines behind the first `before` ones."""
    try:
        return data.decode("utf-8" if before else "utf-8-sig")
    except UnicodeDecodeError as error:
        number = before + error.object[: error.start].count(b"\n") + 1
        raise not_utf_8(path, number) from error


def not_utf_8(path: str | os.PathLike, number: int) -> DecisionsError:
    """What is said of a table whose line `number` is no UTF-8."""
    return DecisionsError(
        f"{path}, line {number} is not UTF-8; save the table as 'CSV UTF-8', or put back the copy "
        "from before it was edited"
    )


def _cells(path: str | os.PathLike, number: int, line: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], strict=True) if line else ([],)
    except csv.Error as error:
        raise DecisionsError(
            f"{path}, line {number} is no line of a CSV table ({error}); each row is one line, "
            f"a cell with a comma in double quotes"
        ) from error
    return [unguard(cell) for cell in cells]


def _require_header(path: str | os.PathLike, cells: Sequence[str]) -> None:
    if tuple(cells) != COLUMNS:
        raise DecisionsError(
            f"{path}, line 1 is {','.join(cells)!r}; the header is {','.join(COLUMNS)}, with "
            "commas between the columns"
        )


def _row(path: str | os.PathLike, number: int, cells: Sequence[str]) -> Decision:
    if len(cells) != len(COLUMNS):
        raise DecisionsError(
            f"{path}, line {number} has {len(cells)} cells, and the table has {len(COLUMNS)} "
            "columns; correct it or take it out"
        )
    row = row_of(dict(zip(COLUMNS, cells, strict=True)))
    if fault := fault_of(row):
        raise DecisionsError(f"{path}, line {number}: {fault}; correct it or take it out")
    return row


def _require_fits(
    path: str | os.PathLike,
    number: int,
    row: Decision,
    numbers: dict[str, int],
    before: Sequence[Line],
) -> None:
    """The row's id is its own, and what it undoes stands before it."""
    if row.id in numbers:
        raise DecisionsError(
            f"{path}, line {number}: line {numbers[row.id]} has the id {row.id} already; "
            "each row has its own"
        )
    place = numbers.get(row.undoes)
    if fault := fault_of_undo(row, before[place - 2].row if place else None):
        raise DecisionsError(f"{path}, line {number}: {fault}; correct it or take it out")
