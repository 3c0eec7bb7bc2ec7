"""Rows on their way from the process that makes them to the one that writes the table.

A clip of two hours has 14,000 rows. As Python objects in both processes, pickled in between, they
would take most of a job's memory; so they wait in a file.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ferrari.common.atomic_files import naming
from ferrari.ledger.tables import Row


class Spool:
    """Rows in an unnamed file in `folder`, which disappears when no process has it open any more.

    Make it before a fork: the child fills it, and the parent reads it when the child has ended.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = folder
        with naming(folder):
            file = tempfile.TemporaryFile("w+", dir=folder, encoding="ascii")  # noqa: SIM115
        self._file = file  # `__exit__` closes it

    def clear(self) -> None:
        """Forget all rows."""
        self._file.seek(0)
        self._file.truncate()

    def add(self, row: Row) -> None:
        """Append a row; its values are text, numbers, booleans or None."""
        with naming(self._folder):
            self._file.write(json.dumps(row) + "\n")

    def close_writing(self) -> None:
        """Flush the rows for the reader; the last call of the process that fills the spool."""
        with naming(self._folder):
            self._file.flush()

    def __iter__(self) -> Iterator[Row]:
        self._file.seek(0)
        return map(json.loads, self._file)

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
