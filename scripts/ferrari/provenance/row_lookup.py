"""Single rows out of large tables: records are compared as bytes, and only those wanted are parsed.

A record of a CSV may hold line breaks inside quotes, so a line is not always a record: it goes on
while the number of its quotes is odd (a quote inside a cell is written twice).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ferrari.ledger import csv_cells
from ferrari.ledger.tables import LedgerError


class Table:
    """A table to look rows up in.

    Cells come as `ledger.tables` gives them: text, guards taken off, undecodable bytes as
    surrogates.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        header = next(self._all_records(), None)
        if header is None:
            raise LedgerError(f"{path} is empty: delete it, and the next run makes it anew")
        self.header = _cells(header)

    def records(self) -> Iterator[bytes]:
        """All records but the header, unparsed, in the order of the file."""
        records = self._all_records()
        next(records)
        return records

    def find(self, item: str) -> dict[str, str] | None:
        """The row of `item`, or None."""
        name = item.encode("utf-8", "surrogateescape")
        wanted = (name + b",", b'"' + name + b'",')
        for record in self.records():
            if record.startswith(wanted):
                return self.row(record)
        return None

    def row(self, record: bytes) -> dict[str, str]:
        """A record as a dictionary; LedgerError if it is shorter or longer than the header."""
        values = _cells(record)
        if len(values) != len(self.header):
            raise LedgerError(
                f"{self.path}: the row of {values[0] if values else '?'} has {len(values)} cells, "
                f"the header {len(self.header)}: the table is damaged; run make verify"
            )
        return dict(zip(self.header, values, strict=True))

    def _all_records(self) -> Iterator[bytes]:
        with open(self.path, "rb") as stream:
            for line in stream:
                goes_on = line.count(b'"') % 2
                yield line + self._rest_of_record(stream) if goes_on else line

    def _rest_of_record(self, stream: BinaryIO) -> bytes:
        """The lines that follow, up to the one that closes the open quote."""
        lines = []
        for line in stream:
            lines.append(line)
            if line.count(b'"') % 2:
                return b"".join(lines)
        raise LedgerError(
            f"{self.path} ends inside a quoted cell: the table is damaged; run make verify"
        )


def _cells(record: bytes) -> list[str]:
    text = record.decode("utf-8", "surrogateescape")
    return [csv_cells.unguard(cell) for cell in next(csv.reader([text]), [])]
