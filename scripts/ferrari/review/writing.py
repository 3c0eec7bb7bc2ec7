"""Appending to the table of decisions: a row is one write, and is on the disk when the call
returns.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import io
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ferrari.ledger.csv_cells import Writer
from ferrari.review import mended
from ferrari.review.contract import COLUMNS, MASK, UNDO, Decision, fault_of, now
from ferrari.review.decision_table import (
    PLACE,
    DecisionsError,
    is_whole,
    not_utf_8,
    place,
    without_blank_end,
)

#: Beside the table: what was left of lines that were cut off.
TORN = "torn_lines.txt"
#: The same, as a path below the dataset.
TORN_PLACE = PLACE.replace(PurePosixPath(PLACE).name, TORN)
_BLANK = (b"\n\n", b"\n\r\n")
#: How a table begins that a spreadsheet saved as "Unicode text".
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class UnfitRowError(DecisionsError):
    """A row that no reader would accept, or whose corrected mask does not exist; says why.

    The row is at fault and not the table: it will never be accepted.
    """


def new_id() -> str:
    """An id that no other row has, whoever wrote it: 12 random hex digits."""
    return secrets.token_hex(6)


def undo(row: Decision, who: str, note: str = "") -> Decision:
    """The row that takes `row` back; of a row `undo`, that is redo."""
    return Decision(
        *(new_id(), now(), who, row.scope, row.target, "", UNDO), undoes=row.id, note=note
    )


def append(dataset: str | os.PathLike, rows: Sequence[Decision]) -> str:
    """Add rows at the table's end, each with one write; the first row also writes the header.

    Writers take turns by a lock. Blank lines at the end are removed, since none may stand between
    rows. A truncated last line is repaired first (see `mend`); the returned message says so, "" if
    there was nothing to repair. Raises UnfitRowError, and nothing was written; DecisionsError.
    """
    path = place(dataset)
    masks = [row for row in rows if row.decision == MASK and not fault_of(row)]
    crops = mended.crops_of(dataset, masks)
    for row in rows:
        fault = fault_of(row)
        if row in masks:
            fault = mended.fault_of(dataset, row, crops.get(row.target, {}))
        if fault:
            raise UnfitRowError(fault)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path, os.O_CREAT) as file:
        said = _mended(file, path)
        for row in rows:
            _write(file, path, row)
        os.fsync(file)
    return said


def mend(dataset: str | os.PathLike) -> str:
    """Repair the table's last line, if its writer was killed; returns what was done, or "".

    Nobody was told that such a row is written. If all its cells are there, only the line's end is
    missing and is added. Otherwise its bytes are moved to TORN beside the table: nothing is thrown
    away. Raises DecisionsError for a table in UTF-16, which stays as it is.
    """
    path = place(dataset)
    if not path.is_file() or _ends_whole(path):  # a sound table may be on a read-only disk
        return ""
    with _locked(path) as file:
        said = _mended(file, path)
        os.fsync(file)
    return said


def _ends_whole(path: Path) -> bool:
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return file.read(1) in (b"", b"\n")


@contextlib.contextmanager
def _locked(path: Path, flags: int = 0) -> Iterator[int]:
    file = os.open(path, os.O_RDWR | os.O_APPEND | flags, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


def _mended(file: int, path: Path) -> str:
    size = os.fstat(file).st_size
    end = os.pread(file, 3, max(0, size - 3))
    if end.endswith(b"\n") and end not in (b"\n", b"\r\n") and not end.endswith(_BLANK):
        return ""
    data = os.pread(file, size, 0)
    if data.startswith(UTF_16):  # its last byte says nothing of its last line
        raise not_utf_8(path, 1)
    if not data or data.endswith(b"\n"):
        os.ftruncate(file, len(without_blank_end(data)))
        return ""
    start = data.rfind(b"\n") + 1
    if start and is_whole(data[start:]):
        _write_all(file, path, b"\n", size)
        return f"{path}: the last line lacked its end, which was added"
    torn = path.with_name(TORN)
    with _locked(torn, os.O_CREAT) as kept:
        _write_all(kept, torn, data[start:] + b"\n", os.fstat(kept).st_size)
        os.fsync(kept)
    os.ftruncate(file, start)
    return f"{path}: the last line was cut off, and is now in {torn}; decide that once more"


def _write(file: int, path: Path, row: Decision) -> None:
    size = os.fstat(file).st_size
    text = io.StringIO()
    writer = Writer(text)
    if not size:
        writer.write(COLUMNS)
    writer.write(row)
    _write_all(file, path, text.getvalue().encode("utf-8"), size)


def _write_all(file: int, path: Path, data: bytes, size: int) -> None:
    """One write at the end of a file of `size` bytes; raises DecisionsError if the disk is full."""
    written = os.write(file, data)
    if written != len(data):  # half a line must not stay
        os.ftruncate(file, size)
        raise DecisionsError(f"{path}: the disk took only a part of the row, which was taken back")
