"""The ledger's tables: how a stage's rows are made, written and read.

Each stage writes one table for each video, with one row for each item. Every row ends `kept`,
`dropped` (by a rule, with the value and the threshold) or `quarantined` (with a reason); the `kept`
rows of one stage are the parents of the next stage's rows. Tables are CSV: UTF-8, `\\n`, no
absolute path, no time of day; text that a spreadsheet would run as a formula is guarded (see
`csv_cells`).
"""

from __future__ import annotations

import contextlib
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ferrari.common.atomic_files import write_text, written_beside
from ferrari.common.errors import FerrariError
from ferrari.ledger import csv_cells, reasons
from ferrari.ledger.columns import COLUMNS, FILE_COLUMNS, KEPT, OUTCOMES

Row = dict[str, object]


class LedgerError(FerrariError, ValueError):
    """A table breaks the ledger's rules: a missing column, an unknown outcome, a lost row."""


def row(stage: str, *, item: str, parent: str, outcome: str, **fields: object) -> Row:
    """One row of `stage`'s table; unset columns are empty, an unknown column or outcome raises."""
    if outcome not in OUTCOMES:
        raise LedgerError(f"{stage} row {item}: outcome {outcome!r} is none of {OUTCOMES}")
    unknown = set(fields) - set(COLUMNS[stage])
    if unknown:
        raise LedgerError(f"{stage} row {item}: unknown columns {sorted(unknown)}")
    if outcome != KEPT and not fields.get("reason"):
        raise LedgerError(f"{stage} row {item}: {outcome} without a reason")
    blank = dict.fromkeys(COLUMNS[stage], "")
    return {**blank, "item": item, "parent": parent, "outcome": outcome, **fields}


def check_verdict(stage: str, line: Mapping[str, object]) -> None:
    """Raise LedgerError unless a row's outcome and reason are ones that `stage` may give.

    What is kept gives no reason, or OK; anything else one that the registry has for the stage.
    """
    outcome, reason = str(line["outcome"]), str(line["reason"])
    kept_without = outcome == KEPT and reason in ("", reasons.OK)
    if not kept_without and not reasons.is_known(stage, outcome, reason):
        raise LedgerError(
            f"{stage}: a row is {outcome!r} for {reason!r}, which ferrari.ledger.reasons does not "
            "have for this stage; register the reason there"
        )


def write_table(
    path: str | os.PathLike, columns: Iterable[str], rows: Iterable[Mapping[str, object]]
) -> None:
    """Write rows as CSV, guarded and atomically; None and NaN are empty cells, booleans 0 and 1."""
    columns = list(columns)
    buffer = io.StringIO()
    writer = csv_cells.Writer(buffer)
    writer.write(columns)
    for line in rows:
        writer.write(_in_order(line, columns))
    write_text(path, buffer.getvalue())


def _in_order(line: Mapping[str, object], columns: Sequence[str]) -> list[object]:
    if len(line) != len(columns):
        raise LedgerError(f"a row has the columns {sorted(line)}, the table {sorted(columns)}")
    return [line[name] for name in columns]


def write_stage(path: str | os.PathLike, stage: str, rows: Iterable[Row]) -> None:
    """Write one video's table of `stage`; LedgerError for two rows with one item, and
    for a reason that is not the stage's."""
    rows = list(rows)
    twice = [item for item, n in Counter(str(line["item"]) for line in rows).items() if n > 1]
    if twice:
        raise LedgerError(f"{path}: these items have more than one row: {twice[:5]}")
    for line in rows:
        check_verdict(stage, line)
    write_table(path, COLUMNS[stage], rows)


def read_table(path: str | os.PathLike) -> list[dict[str, str]]:
    """The rows of a CSV table as dictionaries of text, guards taken off."""
    return list(iter_table(path))


def read_stage(path: str | os.PathLike, stage: str) -> list[dict[str, str]]:
    """`read_table`, after checking that the columns are those of `stage`."""
    return list(iter_stage(path, stage))


def iter_stage(path: str | os.PathLike, stage: str) -> Iterator[dict[str, str]]:
    """`read_stage` row by row, for the tables over the whole set (a million rows)."""
    return iter_table(path, COLUMNS[stage])


def iter_table(path: str | os.PathLike, wanted: Sequence[str] = ()) -> Iterator[dict[str, str]]:
    """`read_table` row by row; a column of `wanted` that is missing raises LedgerError."""
    lines = iter_lines(path, wanted)
    header = next(lines)
    for line in lines:
        yield dict(zip(header, line, strict=False))  # `iter_lines` has checked the length


def iter_if_there(path: str | os.PathLike) -> Iterator[dict[str, str]]:
    """`iter_table` of a table that may not exist yet; then no rows."""
    if os.path.isfile(path):
        yield from iter_table(path)


def may_have_rows(path: str | os.PathLike, stage: str) -> bool:
    """Whether a stage's table is longer than its header, so that no empty one is opened; False
    where it is not there. True of an empty one that another version wrote with other columns.
    """
    try:
        return os.path.getsize(path) != len(",".join(COLUMNS[stage])) + 1
    except FileNotFoundError:
        return False


def iter_lines(
    path: str | os.PathLike, wanted: Sequence[str] = (), errors: str = "surrogateescape"
) -> Iterator[list[str]]:
    """The header of a table and then its rows, as lists of text, guards taken off.

    Raises LedgerError where a column of `wanted` is missing, or a row is longer or shorter than the
    header. `errors` says what becomes of bytes that are no UTF-8 (see `open`).
    """
    lines = csv_cells.read(path, errors)
    header = next(lines, [])
    missing = set(wanted) - set(header)
    if missing:
        raise LedgerError(
            f"{path} lacks the columns {sorted(missing)}: it was written by another version; "
            "delete it, and the next run makes it anew"
        )
    yield header
    for number, line in enumerate(lines, start=1):
        if len(line) != len(header):
            raise LedgerError(
                f"{path}: row {number} has {len(line)} cells, the header {len(header)}: the table "
                "is damaged; delete it, and the next run makes it anew"
            )
        yield line


def files_of(line: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(path, sha256) of each file that a row lists with its digest."""
    for path, digest in FILE_COLUMNS:
        if line.get(path) and line.get(digest):
            yield line[path], line[digest]


@contextlib.contextmanager
def streamed_table(path: str | os.PathLike, stage: str) -> Iterator[Callable[[Row], None]]:
    """A function that takes the rows of a table one by one; for tables that are too large to hold
    in memory.

    The table appears only if the block ends without an error. Raises LedgerError for a reason that
    is not the stage's.
    """
    with (
        written_beside(path) as temporary,
        open(temporary, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
    ):
        writer = csv_cells.Writer(stream)
        writer.write(COLUMNS[stage])

        def write(line: Row) -> None:
            check_verdict(stage, line)
            writer.write(_in_order(line, COLUMNS[stage]))

        yield write
        stream.flush()
        os.fsync(stream.fileno())


@contextlib.contextmanager
def sorted_table(path: str | os.PathLike, stage: str) -> Iterator[Callable[[Row], None]]:
    """`streamed_table` for the rows of a whole-set table, in the order of their items.

    An item that does not come after the one before it (out of order, or twice) raises LedgerError.
    """
    last = ""
    with streamed_table(path, stage) as write_any:

        def write(line: Row) -> None:
            nonlocal last
            if str(line["item"]) <= last:
                raise LedgerError(f"{path}: item {line['item']} comes after {last}")
            last = str(line["item"])
            write_any(line)

        yield write


def narrowed(row: Mapping[str, str], columns: Iterable[str]) -> dict[str, str]:
    """The part of a row that a stage may use: columns that are in no digest must be out of
    reach.
    """
    return {name: row[name] for name in columns}


def kept(rows: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """The rows whose outcome is kept."""
    return [line for line in rows if line["outcome"] == KEPT]
