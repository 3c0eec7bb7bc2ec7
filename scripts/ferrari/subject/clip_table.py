"""A table of one clip's tracks: a row for the clip as a whole, then one for each track.

A kind of row is a dataclass, whose fields are the columns. Its rows are no items with a fate, so
such a table is no part of the ledger.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import Field, fields
from typing import Any, ClassVar, Protocol, TypeVar

from ferrari.ledger import tables


class Row(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


R = TypeVar("R", bound=Row)


def columns(kind: type[Row]) -> tuple[str, ...]:
    """Those of a kind of row."""
    return tuple(field.name for field in fields(kind))


def cells(row: Row) -> dict[str, object]:
    """A row as its table has it; figures have six digits behind the point."""
    given = vars(row).items()  # `asdict` copies each of them deeply, for each of a track's rows
    return {name: round(one, 6) if isinstance(one, float) else one for name, one in given}


def write(path: str | os.PathLike, clip: R, tracks: Iterable[R] = ()) -> None:
    """Write the table: the row of the clip, and those of its tracks."""
    tables.write_table(path, columns(type(clip)), map(cells, (clip, *tracks)))


def read(path: str | os.PathLike, wanted: Sequence[str]) -> list[dict[str, str]]:
    """All rows, as text, that of the clip first; LedgerError where a `wanted` column is missing."""
    return list(tables.iter_table(path, wanted))
