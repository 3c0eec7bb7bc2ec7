"""All rows of all stages' tables in one Parquet file, with typed columns for text and numbers.

The same tables give the same bytes: rows are ordered by stage, then by clip, then as in their
table; row groups have one size, and nothing in the file depends on the clock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ferrari.common.atomic_files import written_beside
from ferrari.ledger import tables
from ferrari.ledger.columns import CORE, EXACT, FLAG, KINDS, REAL, TEXT, WHOLE
from ferrari.ledger.item_ids import clip_of

ROWS = 1 << 16  # a row group
#: How cells of a kind are read, and their type in the file; other kinds are text.
_NUMBERS = {
    **dict.fromkeys((WHOLE, EXACT, FLAG), (int, pa.int64())),
    REAL: (float, pa.float64()),
}
Source = tuple[str, str, str]  # stage, video (empty for a table over the whole set), path


def write_parquet(path: str | os.PathLike, sources: Iterable[Source]) -> int:
    """Write the rows of all `sources`, in their order, and return how many there are.

    Columns: stage, table (its name, which tells packages apart), video (empty for a scene that is
    the user's own picture), then all columns of the tables. Bytes of a file name that are not UTF-8
    are spelled out (`\\udcff`). Raises LedgerError where a column of numbers holds something else.
    """
    sources = list(sources)
    columns = _columns(sources)
    schema = pa.schema([(name, _type(name)) for name in columns])
    count = 0
    with (
        written_beside(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for rows in _groups(_rows(sources)):
            arrays = [_array(name, rows) for name in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=ROWS)
            count += len(rows)
    return count


def _columns(sources: Iterable[Source]) -> list[str]:
    """The columns of the file, in the order in which the tables bring them; each name once."""
    names = dict.fromkeys(("stage", "table", "video", *CORE))
    for header in dict.fromkeys(tuple(next(tables.iter_lines(path))) for _, _, path in sources):
        names |= dict.fromkeys(header)
    return list(names)


def _type(column: str) -> pa.DataType:
    return _NUMBERS.get(KINDS.get(column, TEXT), (str, pa.string()))[1]


def _rows(sources: Iterable[Source]) -> Iterator[dict[str, str]]:
    for stage, video, path in sources:
        name = {"stage": stage, "table": Path(path).stem}
        for row in tables.iter_table(path):
            own = video or row.get("video") or clip_of(row.get("item", ""))
            yield {**row, **name, "video": own}


def _groups(rows: Iterator[dict[str, str]]) -> Iterator[list[dict[str, str]]]:
    group: list[dict[str, str]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROWS:
            yield group
            group = []
    if group:
        yield group


def _array(column: str, rows: list[dict[str, str]]) -> pa.Array:
    cells = [row.get(column) or None for row in rows]
    if number := _NUMBERS.get(KINDS.get(column, TEXT)):
        kind, type_ = number
        return pa.array(_numbers(column, cells, kind, rows), type_)
    texts = (cell and cell.encode("utf-8", "backslashreplace").decode() for cell in cells)
    return pa.array(texts, pa.string())


def _numbers(column: str, cells: list, kind: Callable, rows: list[dict[str, str]]) -> list:
    numbers = []
    for cell, row in zip(cells, rows, strict=True):
        try:
            numbers.append(None if cell is None else kind(cell))
        except ValueError as error:
            raise tables.LedgerError(
                f"{row['stage']} row {row.get('item')}: {column} is {cell!r}, which is no number: "
                f"the table {row['table']} is damaged; delete it, and the next run makes it anew"
            ) from error
    return numbers
