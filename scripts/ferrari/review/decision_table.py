"""The table of a person's decisions, read line by line. No line of it is ever rewritten.

A line that cannot be read raises DecisionsError with its number, before the first job of a run.
`decisions` says which rows count; `writing` adds rows.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.ledger.csv_cells import unguard
from ferrari.review.contract import COLUMNS, Decision, fault_of, fault_of_undo, row_of

#: Below the dataset's folder.
PLACE = "review/decisions.csv"


class DecisionsError(FerrariError, ValueError):
    """The table of decisions cannot be used; the message names the file, the line and the
    remedy.
    """


@dataclass(frozen=True)
class Line:
    """A row, and the number of its line in the file (the header is line 1)."""

    number: int
    row: Decision


def place(dataset: str | os.PathLike) -> Path:
    """The path of a dataset's table, whether it exists or not."""
    return Path(dataset) / PLACE


def read(path: str | os.PathLike) -> list[Line]:
    """All rows of a table, those taken back too; [] where no table is. Raises DecisionsError."""
    return Table(path).lines()


class Table:
    """A table that is read repeatedly: each time only the new lines are parsed."""

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
