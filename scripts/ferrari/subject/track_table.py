"""The table of a clip's tracks: a row of the clip as a whole, then one of each track.

`<dataset>/subject/tracks/<video>.csv` says when each person that a clip shows is there, how the
track ended, how much of the picture it takes, and how steadily it shows one person. Its rows are
no items with a fate, so it is no part of the ledger; the stamp of the detections' table has its
digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, fields

from ferrari.ledger import tables


@dataclass(frozen=True)
class TrackRow:
    """A track, or (`track` is None) the clip: what was searched, and whether people stay.

    `moments` are those in which it was found, kept frames and pictures of the linking film alike;
    `frames` the kept frames among them. `area` is the mean of its box as a share of the picture,
    `off_centre` the mean of how far its box is from the middle (0 to 1, see
    `subject_choice.off_centre`), `consistency` 0 to 1 (see `subject.consistency`). `unsearched`, of
    a clip alone, is how many pictures of its film the detector could not search; `looks_again` and
    `found_again` how many second looks were taken at places where a track lost somebody, and how
    many found them (None: none were asked for).
    """

    track: int | None
    from_s: float | None
    to_s: float | None
    moments: int
    frames: int
    ended_by: str = ""
    area: float | None = None
    off_centre: float | None = None
    confidence: float | None = None
    consistency: float | None = None
    unsearched: int | None = None
    looks_again: int | None = None
    found_again: int | None = None


COLUMNS = tuple(field.name for field in fields(TrackRow))


def cells(row: TrackRow) -> dict[str, object]:
    """A row as its table has it; figures have six digits behind the point."""
    given = vars(row).items()  # `asdict` copies each of them deeply, for each of a track's rows
    return {name: round(one, 6) if isinstance(one, float) else one for name, one in given}


def write(path: str | os.PathLike, clip: TrackRow, tracks: Iterable[TrackRow]) -> None:
    """Write the table."""
    tables.write_table(path, COLUMNS, map(cells, (clip, *tracks)))


def read(path: str | os.PathLike) -> list[dict[str, str]]:
    """All rows, as text, that of the clip first; LedgerError where a column is missing."""
    return list(tables.iter_table(path, COLUMNS))
