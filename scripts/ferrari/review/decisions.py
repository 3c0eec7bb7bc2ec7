"""Which of a person's decisions count: the rows in force.

A row `undo` cancels the row that it names, and may be cancelled itself, which is redo. Of the
remaining rows, the last one about a question counts. A row whose target has changed since is stale:
it is reported (`effects`) and changes nothing.

Each stage's job of a clip depends on the digest of the rows in force about that clip for this
stage. Cancelled rows are in no digest, so after an undo the earlier digest is back.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ferrari.common.atomic_files import sha256_bytes
from ferrari.review import mended
from ferrari.review.contract import MASK, UNDO, Decision
from ferrari.review.decision_table import DecisionsError, Line, place, read

#: How each digest of decisions begins, so that a param tells that it is one (`planned_jobs`).
DECIDED = "decided:"


@dataclass(frozen=True)
class Review:
    """The rows in force, in the order of the table."""

    rows: tuple[Decision, ...] = ()

    @cached_property
    def _by_job(self) -> dict[tuple[str, str], list[Decision]]:
        found: dict[tuple[str, str], list[Decision]] = defaultdict(list)
        for row in self.rows:
            found[row.stage, row.video].append(row)
        return found

    def of(self, stage: str, video: str = "") -> list[Decision]:
        """The rows that change a stage's table: a clip's, or without `video` all clips'."""
        if video:
            return self._by_job.get((stage, video), [])
        return [row for row in self.rows if row.stage == stage]

    def digest(self, stage: str, video: str = "") -> str:
        """The digest of the rows of `of` (see `digest`); empty for none."""
        return digest(self.of(stage, video))

    @property
    def whole(self) -> str:
        """The digest of all rows in force; empty for none."""
        return digest(self.rows)


def load(dataset: str | os.PathLike) -> Review:
    """The rows in force; none where there is no table. Raises DecisionsError."""
    return Review(tuple(line.row for line in standing(read(place(dataset)))))


def load_for_run(dataset: str | os.PathLike) -> Review:
    """`load`, before a run's first job: also raises DecisionsError for a row whose corrected mask
    is missing or has changed, since no job could apply it.
    """
    path = place(dataset)
    lines = standing(read(path))
    masks = [line for line in lines if line.row.decision == MASK]
    crops = mended.crops_of(dataset, (line.row for line in masks))
    for line in masks:
        if fault := mended.fault_of(dataset, line.row, crops.get(line.row.target, {})):
            raise DecisionsError(
                f"{path}, line {line.number}: {fault}; put the file back, or take the row back "
                f"(make decide UNDO={line.row.id})"
            )
    return Review(tuple(line.row for line in lines))


def of_job(
    dataset: str | os.PathLike, expected: str, stage: str, video: str = ""
) -> list[Decision]:
    """The rows of a stage's job, which must have the digest that the graph was built with.

    The table is not opened where `expected` is empty.
    """
    review = load(dataset) if expected else Review()
    if review.digest(stage, video) != expected:
        raise DecisionsError(
            f"{place(dataset)} was changed while this run was under way; run again, and what the "
            "new rows ask for is made"
        )
    return review.of(stage, video)


def digest(rows: Iterable[Decision]) -> str:
    """The digest of rows in any order, notes left out; empty for none."""
    return digest_of_texts("\0".join(row._replace(note="")) for row in rows)


def digest_of_texts(texts: Iterable[str]) -> str:
    """DECIDED and 16 hex digits over texts in any order, one for each decision; empty for none."""
    text = "\n\0".join(sorted(texts))
    return DECIDED + sha256_bytes(text.encode("utf-8", "surrogatepass"))[:16] if text else ""


def standing(lines: Sequence[Line]) -> list[Line]:
    """The rows in force, in the table's order: not undone, and the last about their question."""
    gone = taken_back(lines)
    decided = (line for line in lines if line.row.decision != UNDO and line.row.id not in gone)
    last = {line.row.question: line for line in decided}
    return sorted(last.values(), key=lambda line: line.number)


def taken_back(lines: Sequence[Line]) -> set[str]:
    """The ids of rows that were undone.

    An undo that was itself undone has no effect, and no row undoes a later one: so the last rows
    are examined first.
    """
    gone: set[str] = set()
    for line in reversed(lines):
        if line.row.decision == UNDO and line.row.id not in gone:
            gone.add(line.row.undoes)
    return gone
