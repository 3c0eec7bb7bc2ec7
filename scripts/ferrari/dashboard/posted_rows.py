"""Decisions sent by a page, and how they become rows of `review/decisions.csv`.

A row is on the disk before the page is told so. A page that got no answer sends the row again under
the same id: a row that exists is confirmed and not written twice. The rows of a request keep their
order, as do requests in the order of their arrival (`decide_api` ensures that).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ferrari.common.errors import FerrariError
from ferrari.review import contract, decision_table, writing
from ferrari.review.contract import COLUMNS, Decision

#: Characters that a cell of a row may have: a caption has some hundred.
LONGEST = 4000
#: Says why the next run would refuse a row, or "".
Fault = Callable[[Decision], str]


class RefusedRowError(FerrariError, ValueError):
    """A row that a page sent would end the next run or do nothing; says why. None was written."""


class OtherRowError(FerrariError, ValueError):
    """A row that a page sent has the id of another row, which says something else."""


class PostedRows:
    """Writes rows to the table of a dataset, one after the other; others may write to it meanwhile.

    `fault_of` checks each new row, in addition to the contract and to what `writing.append`
    requires of a mask.
    """

    def __init__(self, dataset: str, who: str, fault_of: Fault) -> None:
        self._dataset, self._who, self._fault_of = dataset, who, fault_of
        self._table = decision_table.Table(decision_table.place(dataset))

    def rows(self) -> list[Decision]:
        """All rows, in the table's order. Raises DecisionsError."""
        return [line.row for line in self._table.lines()]

    def add(self, posted: Sequence[Mapping[str, str]]) -> tuple[list[Decision], str]:
        """Write the rows that a page sent (cells by column; those left out are empty); the rows as
        they stand in the table, and what was mended in it first, if anything.

        Raises RefusedRowError or OtherRowError, and nothing was written; DecisionsError.
        """
        said = writing.mend(self._dataset)
        known = {row.id: row for row in self.rows()}
        answered: list[Decision] = []
        new: list[Decision] = []
        for cells in posted:
            row = known.get(cells.get("id", ""))
            if row is None:
                row = self._row(cells)
                self._require_sound(row, known)
                new.append(row)
                known[row.id] = row
            else:
                _require_same(row, cells)
            answered.append(row)
        if new:
            self._append(new)
        return answered, said

    def _append(self, new: Sequence[Decision]) -> None:
        try:
            writing.append(self._dataset, new)
        except writing.UnfitRowError as error:  # not the table's fault: it will never be taken
            raise RefusedRowError(str(error)) from error

    def _row(self, cells: Mapping[str, str]) -> Decision:
        drawn = {"id": writing.new_id(), "when": contract.now(), "who": self._who}
        given = {name: text for name, text in cells.items() if text}
        return contract.row_of({**dict.fromkeys(COLUMNS, ""), **drawn, **given})

    def _require_sound(self, row: Decision, known: Mapping[str, Decision]) -> None:
        long = [name for name, text in row._asdict().items() if len(text) > LONGEST]
        if long:
            raise RefusedRowError(
                f"{long[0]} has more than {LONGEST:,} characters; say it in fewer"
            )
        fault = (
            contract.fault_of(row)
            or contract.fault_of_undo(row, known.get(row.undoes))
            or self._fault_of(row)
        )
        if fault:
            raise RefusedRowError(fault)


def _require_same(row: Decision, cells: Mapping[str, str]) -> None:
    """Raise unless the row is the same; cells that were left for the server to fill in may
    differ.
    """
    left_open = {name for name in ("when", "who") if not cells.get(name)}
    for name in COLUMNS:
        if name not in left_open and getattr(row, name) != cells.get(name, ""):
            raise OtherRowError(
                f"{row.id} is the id of another row: its {name} is {getattr(row, name)!r}, and not "
                f"{cells.get(name, '')!r}"
            )
