"""All tables of a stage as one frame for a report, and the figures that every report shows.

Tables are read as pandas frames (text cells `str`, figures float), with a column `video`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from operator import itemgetter
from pathlib import Path

import pandas as pd

from ferrari.ledger.balance import Balance, summed
from ferrari.ledger.columns import (
    COLUMNS,
    DROPPED,
    KEPT,
    KINDS,
    MEASURE,
    OUTCOMES,
    QUARANTINED,
    REAL,
    WHOLE,
)
from ferrari.ledger.reasons import DROPPED_BY_REVIEW
from ferrari.ledger.tables import iter_lines
from ferrari.provenance.job import listed

#: Columns that are read as figures; all others are text.
NUMERIC = frozenset(name for name, kind in KINDS.items() if kind in (WHOLE, REAL, MEASURE))

_FLUSH_ROWS = 50_000


def load(paths: Iterable[str] | str, stage: str, text: Collection[str] = ()) -> pd.DataFrame:
    """All rows of a stage's tables; `video` is the table's stem unless the table has the column.

    Columns of `text` are text in this stage, though they are NUMERIC elsewhere. Undecodable bytes
    in a name read as `\\xff` text. Raises LedgerError where a column is missing.
    """
    wanted = COLUMNS[stage]
    parts: list[pd.DataFrame] = []
    cells: list[tuple[str, ...]] = []
    for path in listed(paths):
        cells.extend(_cells(path, stage))
        if len(cells) >= _FLUSH_ROWS:
            parts.append(_frame(cells, wanted, text))
            cells = []
    parts.append(_frame(cells, wanted, text))
    return pd.concat([part for part in parts if len(part)] or parts[-1:], ignore_index=True)


def _cells(path: str, stage: str) -> Iterator[tuple[str, ...]]:
    video = Path(path).stem
    lines = iter_lines(path, COLUMNS[stage], errors="backslashreplace")
    header = next(lines)
    in_order = itemgetter(*map(header.index, COLUMNS[stage]))
    for line in lines:
        yield (video, *in_order(line))


def _frame(
    cells: Sequence[tuple[str, ...]], wanted: Sequence[str], text: Collection[str]
) -> pd.DataFrame:
    columns = list(zip(*cells, strict=True)) or [()] * (len(wanted) + 1)
    named = dict(zip(wanted, columns[1:], strict=True))
    named.setdefault("video", columns[0])
    return pd.DataFrame(
        {
            name: (
                pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").astype(float)
                if name in NUMERIC and name not in text
                else pd.Series(values, dtype="str")
            )
            for name, values in named.items()
        }
    )


def kept(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows whose outcome is kept."""
    return rows[rows["outcome"] == KEPT]


def with_files(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows whose file is in the stage's folder: kept, or dropped by a person."""
    return rows[(rows["outcome"] == KEPT) | (rows["reason"] == DROPPED_BY_REVIEW)]


def refused(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows whose outcome is not kept."""
    return rows[rows["outcome"] != KEPT]


def videos_of(tables: Iterable[str] | str) -> list[str]:
    """The ids of the videos whose tables these are, sorted."""
    return sorted(Path(path).stem for path in listed(tables))


def per_video(rows: pd.DataFrame, videos: Sequence[str]) -> pd.DataFrame:
    """Columns video, considered, kept, dropped, quarantined: one row for each of `videos`."""
    counts = (
        pd.crosstab(rows["video"], rows["outcome"])
        .reindex(index=list(videos), columns=list(OUTCOMES), fill_value=0)
        .fillna(0)
        .astype(int)
    )
    counts.insert(0, "considered", counts.sum(axis=1))
    return counts.rename_axis(index="video", columns=None).reset_index()


def balance(stage: str, rows: pd.DataFrame, before: pd.DataFrame) -> Balance:
    """`balance.balance` for frames of millions of rows."""
    outcomes = {str(name): int(n) for name, n in rows["outcome"].value_counts().items()}
    parents, offered = set(rows["parent"]), set(kept(before)["item"])
    return summed(stage, outcomes, offered - parents, parents - offered)


def reasons(rows: pd.DataFrame) -> pd.Series:
    """How many rows ended how: 'kept', or the reason."""
    return rows["reason"].where(rows["outcome"] != KEPT, KEPT).value_counts()


def counts(rows: pd.DataFrame, videos: Sequence[str], kept_title: str) -> dict[str, object]:
    """The figures at the top of a stage's page."""
    sums = rows["outcome"].value_counts()
    return {
        "Videos": len(videos),
        "Considered": len(rows),
        kept_title: int(sums.get(KEPT, 0)),
        "Dropped": int(sums.get(DROPPED, 0)),
        "Quarantined": int(sums.get(QUARANTINED, 0)),
    }


def paths_of(rows: pd.DataFrame, items: Iterable[str]) -> dict[str, str]:
    """The paths of the files of `items`, for those that have one."""
    some = rows[rows["item"].isin(set(items)) & (rows["path"] != "")]
    return dict(zip(some["item"], some["path"], strict=True))
