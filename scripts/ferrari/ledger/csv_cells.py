"""CSV cells that no spreadsheet runs as a formula.

File names, container messages and captions come from outside: a clip named `=HYPERLINK(...)` would
be run by the program that opens the table. `guard` puts a `'` in front of such text and `unguard`
removes it again, so a table that is read back holds what was written.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from typing import TextIO

_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "'")


def guard(value: object) -> str:
    """A CSV cell: text that begins like a formula (`= + - @`) gets a `'` in front.

    Text that begins with `'` gets one more, so that `unguard` gives back what was there. Numbers,
    negative ones too, stay as they are; None and NaN are empty, booleans 0 and 1.
    """
    if isinstance(value, str):
        text = value
    elif value is None or value != value:  # NaN is the one value unlike itself
        return ""
    else:
        text = str(int(value)) if isinstance(value, bool) else str(value)
    if text.startswith(_FORMULA_START) and not _is_number(text):
        return "'" + text
    return text


def unguard(cell: str) -> str:
    """What `guard` was given, as text."""
    return cell[1:] if cell.startswith("'") else cell


def read(path: str | os.PathLike, errors: str = "surrogateescape") -> Iterator[list[str]]:
    """The lines of a CSV table as lists of text, the header first, guards taken off.

    `errors` says what becomes of bytes that are no UTF-8 (see `open`).
    """
    with open(path, encoding="utf-8", errors=errors, newline="") as stream:
        for line in csv.reader(stream):
            # Hardly a line holds a `'`: one look at the whole line spares a look at each cell.
            yield [unguard(cell) for cell in line] if "'" in "".join(line) else line


class Writer:
    """Writes lines of a CSV table to an open text stream, guarded; `\\n` ends a line."""

    def __init__(self, stream: TextIO) -> None:
        self._plain = csv.writer(stream, lineterminator="\n")
        self._quoted = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)

    def write(self, line: Iterable[object]) -> None:
        """Write one line; a carriage return, which Python 3.11 leaves bare, is quoted as well."""
        guarded = [guard(value) for value in line]
        writer = self._quoted if "\r" in "".join(guarded) else self._plain
        writer.writerow(guarded)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip() == text
