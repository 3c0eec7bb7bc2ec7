"""Appending to the table of decisions: a row is one write, and is on the disk when that returns."""

from __future__ import annotations

import fcntl
import io
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from ferrari.ledger.csv_cells import Writer
from ferrari.review import mended
from ferrari.review.contract import COLUMNS, MASK, UNDO, Decision, fault_of, now
from ferrari.review.decisions import DecisionsError, place


def new_id() -> str:
    """An id that no other row has, whoever wrote it: 12 random hex digits."""
    return secrets.token_hex(6)


def undo(row: Decision, who: str, note: str = "") -> Decision:
    """The row that takes `row` back; of a row `undo`, that is redo."""
    return Decision(
        *(new_id(), now(), who, row.scope, row.target, "", UNDO), undoes=row.id, note=note
    )


def append(dataset: str | os.PathLike, rows: Sequence[Decision]) -> None:
    """Add rows at the table's end, each with one write; the first row brings the header with it.

    Two who write at once take turns. Raises DecisionsError for a row that no reader would take or
    whose mended mask is not there, and where the table's last line is cut off: what is added to it
    would be lost with it.
    """
    path = place(dataset)
    masks = [row for row in rows if row.decision == MASK and not fault_of(row)]
    crops = mended.crops_of(dataset, masks)
    for row in rows:
        fault = fault_of(row)
        if row in masks:
            fault = mended.fault_of(dataset, row, crops.get(row.target, {}))
        if fault:
            raise DecisionsError(f"{path}: a row that would be added: {fault}")
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        for row in rows:
            _write(file, path, row)
        os.fsync(file)
    finally:
        os.close(file)


def _write(file: int, path: Path, row: Decision) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        raise DecisionsError(
            f"{path}: its last line is cut off; take that line out first, nothing before it is lost"
        )
    text = io.StringIO()
    writer = Writer(text)
    if not size:
        writer.write(COLUMNS)
    writer.write(row)
    data = text.getvalue().encode("utf-8")
    written = os.write(file, data)
    if written != len(data):  # the disk is full: half a line must not stay
        os.ftruncate(file, size)
        raise DecisionsError(f"{path}: the disk took only a part of the row, which was taken back")
