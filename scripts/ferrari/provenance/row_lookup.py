"""Single rows out of large tables: by byte offset, without parsing what lies before them.

A CSV record may hold line breaks inside quotes, so a line is not always a record. A line break ends
a record exactly when the number of quotes before it is even (a quote inside a cell is written
twice), and that is what everything here goes by.
"""

from __future__ import annotations

import csv
import hashlib
import mmap
import os
from collections.abc import Iterator

from ferrari.ledger import csv_cells
from ferrari.ledger.tables import LedgerError

_CHUNK = 1 << 16  # larger pieces cost twice the time: their memory is fetched anew each time
_QUOTE = ord('"')


class Table:
    """A table open for look-ups; a context manager.

    Cells come as `ledger.tables` gives them: text, guards taken off, undecodable bytes as
    surrogates.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = os.fspath(path)
        with open(path, "rb") as stream:
            self._size = os.fstat(stream.fileno()).st_size
            if not self._size:
                raise LedgerError(f"{path} is empty: delete it, and the next run makes it anew")
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        self._first = self._end_of_record(0)
        self.header = _cells(self._data[: self._first])

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_) -> None:
        self._data.close()

    def sha256(self) -> str:
        """Hex SHA-256 of the file, in one call: other threads go on meanwhile."""
        return hashlib.sha256(self._data).hexdigest()

    def find(self, item: str) -> dict[str, str] | None:
        """The row of `item` in a table of any order, or None."""
        name = _encoded(item)
        for wanted in (b"\n" + name + b",", b'\n"' + name + b'",'):
            at, counted, quotes = self._data.find(wanted, self._first - 1), 0, 0
            while at >= 0:
                quotes += self._quotes(counted, at)
                counted = at
                if quotes % 2 == 0:
                    return self.row(self._data[at + 1 : self._end_of_record(at + 1)])
                at = self._data.find(wanted, at + 1)
        return None

    def find_sorted(self, item: str) -> dict[str, str] | None:
        """The row of `item` in a table sorted by item, by binary search, or None."""
        wanted = _encoded(item)
        start = self._lower_bound(wanted)
        if start >= self._size or self._item(start) != wanted:
            return None
        return self.row(self._data[start : self._end_of_record(start)])

    def sorted_from(self, prefix: str) -> Iterator[bytes]:
        """The records of a table sorted by item whose item begins with `prefix`."""
        wanted = _encoded(prefix)  # of ASCII, as ids are: \xff comes after all of them
        start = self._lower_bound(wanted)
        return self._records_from(start, self._lower_bound(wanted + b"\xff"))

    def records(self) -> Iterator[bytes]:
        """All records but the header, unparsed, in the order of the file."""
        return self._records_from(self._first)

    def _records_from(self, start: int, stop: int | None = None) -> Iterator[bytes]:
        """The records from `start` to `stop`, offsets where records begin: a trace's hot loop."""
        stop = self._size if stop is None else stop
        rest = b""  # the beginning of a record that goes on in the next piece
        for at in range(start, stop, _CHUNK):
            lines = (rest + self._data[at : min(at + _CHUNK, stop)]).split(b"\n")
            rest = lines.pop()
            whole = iter(lines)
            for line in whole:
                if line.count(b'"') & 1:
                    line, ended = _joined(line, whole)
                    if not ended:
                        rest = line + b"\n" + rest
                        break
                yield line
        if rest:
            if rest.count(b'"') & 1:
                raise LedgerError(f"{self.path} ends inside a quoted cell: the table is damaged")
            yield rest

    def row(self, record: bytes) -> dict[str, str]:
        """A record as a dictionary; LedgerError if it is shorter or longer than the header."""
        values = _cells(record)
        if len(values) != len(self.header):
            raise LedgerError(
                f"{self.path}: the row of {values[0] if values else '?'} has {len(values)} cells, "
                f"the header {len(self.header)}: the table is damaged; run make verify"
            )
        return dict(zip(self.header, values, strict=True))

    def _lower_bound(self, wanted: bytes) -> int:
        """Offset of the first record whose item is `wanted` or comes after it."""
        low, high = self._first, self._size
        while low < high:
            start = self._record_after((low + high) // 2, low)
            if start >= high:  # the last record before `high` is a long one: go on step by step
                break
            if self._item(start) < wanted:
                low = self._end_of_record(start)
            else:
                high = start
        while low < high and self._item(low) < wanted:
            low = self._end_of_record(low)
        return low

    def _record_after(self, offset: int, start: int) -> int:
        """Where the first record behind `offset` begins; `start` is where one before it does."""
        counted, quotes = start, 0
        while True:
            at = self._data.find(b"\n", offset)
            if at < 0:
                return self._size
            quotes += self._quotes(counted, at)
            if quotes % 2 == 0:
                return at + 1
            counted, offset = at, at + 1

    def _end_of_record(self, start: int) -> int:
        return self._record_after(start, start)

    def _item(self, start: int) -> bytes:
        if self._data[start] == _QUOTE:  # items hold no quote and no comma
            return self._data[start + 1 : self._data.find(b'"', start + 1)]
        return self._data[start : self._data.find(b",", start)]

    def _quotes(self, start: int, end: int) -> int:
        pieces = range(start, end, _CHUNK)
        return sum(self._data[at : min(at + _CHUNK, end)].count(b'"') for at in pieces)


def _joined(line: bytes, following: Iterator[bytes]) -> tuple[bytes, bool]:
    """A record that begins with `line` and has line breaks in it; and whether it ends here."""
    parts = [line]
    for part in following:
        parts.append(part)
        if part.count(b'"') & 1:
            return b"\n".join(parts), True
    return b"\n".join(parts), False


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cells(record: bytes) -> list[str]:
    text = record.decode("utf-8", "surrogateescape")
    return [csv_cells.unguard(cell) for cell in next(csv.reader([text]), [])]
