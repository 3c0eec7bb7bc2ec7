"""A person's decisions applied to the rows of a stage: `drop`, `keep` and `duplicate_of`.

A decision changes only the row that it names. What is dropped is made all the same: its file stays
in the stage's folder, and the row keeps all cells but its outcome, so that undoing the decision
runs no network again. `as_made` gives the row as it was before any decision.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from ferrari.common.atomic_files import sha256_bytes
from ferrari.ledger.columns import DROPPED, KEPT
from ferrari.ledger.reasons import (
    DROPPED_BY_REVIEW,
    DUPLICATE_SUBJECT,
    NEAR_DUPLICATE,
    NOT_SUBJECT,
    NOT_TARGET,
    OVER_BUDGET,
    TOO_SMALL,
    UNSURE_WHO,
)
from ferrari.review.contract import DROP, DUPLICATE_OF, KEEP, Decision

#: Refusals that `keep` overrules: those by a rule, about which a person may know better. Damaged
#: files, items that no network found, and identical bytes stay refused.
TAKEN_BACK = frozenset(
    {
        *(NOT_TARGET, NOT_SUBJECT, UNSURE_WHO, TOO_SMALL, DUPLICATE_SUBJECT),
        *(NEAR_DUPLICATE, OVER_BUDGET),
    }
)
#: Decisions that answer the same question: does the item stay?
_ANSWERS = (KEEP, DROP, DUPLICATE_OF)
#: What the cell `detail` holds behind its own text, where a person decided.
_MARK = "by review: "
_KEPT_FROM = re.compile(rf"{_MARK}kept from ([A-Z_]+) by ")


def crop_digest(frame_sha256: str, row: Mapping[str, object]) -> str:
    """The digest by which a decision names a crop, whether it was cut or not: its frame, and where
    in it.
    """
    box = (str(row[f"crop_{corner}"]) for corner in ("x1", "y1", "x2", "y2"))
    return sha256_bytes(" ".join((frame_sha256, *box)).encode("ascii"))


def track_digest(items: Iterable[str]) -> str:
    """The digest by which a decision names a track: over the ids of its detections in kept
    frames.
    """
    return sha256_bytes("\n".join(sorted(filter(None, items))).encode("ascii"))


class Verdicts:
    """The decisions about a stage's items, by their ids.

    `reason` is the reason in the stage's kept rows.
    """

    def __init__(self, rows: Iterable[Decision] = (), reason: str = "") -> None:
        self._reason = reason
        self._rows = {row.target: row for row in rows if row.decision in _ANSWERS}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def named(self, item: str) -> Decision | None:
        """What was decided of an item, stale or not."""
        return self._rows.get(item)

    def keeps(self) -> list[Decision]:
        """The decisions to keep something, stale ones included, by its id."""
        return [row for _, row in sorted(self._rows.items()) if row.decision == KEEP]

    def dropped(self, item: str, sha256: str) -> Decision | None:
        """The decision that drops the item whose digest is `sha256` now, if there is one."""
        return self._of(item, sha256, DROP)

    def kept(self, item: str, sha256: str) -> Decision | None:
        """The decision that keeps it, if there is one."""
        return self._of(item, sha256, KEEP)

    def duplicates(self) -> list[Decision]:
        """The decisions that something repeats another thing, stale ones included, by its id."""
        return [row for _, row in sorted(self._rows.items()) if row.decision == DUPLICATE_OF]

    def repeated(self, item: str, sha256: str, stands: Callable[[str], bool]) -> Decision | None:
        """The decision that drops an item as a duplicate, if there is one and what it repeats
        `stands`; of a chain (a repeats b, which repeats c) the last one has to.
        """
        row = self._of(item, sha256, DUPLICATE_OF)
        original = original_of(item, self._rows) if row else ""
        return row if original and stands(original) else None

    def _of(self, item: str, sha256: str, wanted: str) -> Decision | None:
        row = self._rows.get(item)
        holds = row is not None and row.decision == wanted and not row.is_stale(sha256)
        return row if holds else None

    def without_drop(self, row: Mapping) -> dict:
        """A row of the stage as it was before a person dropped it."""
        return _not_dropped(row, self._reason)

    def applied(self, row: Mapping, sha256: str) -> dict:
        """A row of the stage with its drop, where it is kept and there is one.

        `row` may be one that an earlier run dropped so: without the decision it is kept again.
        """
        known = self.without_drop(row)
        drop = self.dropped(str(known["item"]), sha256) if known["outcome"] == KEPT else None
        return {**known, **cells_of_drop(drop, str(known["detail"]))} if drop else known

    def all_applied(self, rows: Iterable[tuple[Mapping, str]]) -> list[dict]:
        """`applied` for the rows of a table, each with its digest; then the duplicates go whose
        originals are kept among them.
        """
        pairs = [(self.applied(row, sha256), sha256) for row, sha256 in rows]
        kept = {str(row["item"]) for row, _ in pairs if row["outcome"] == KEPT}
        found = []
        for row, sha256 in pairs:
            repeat = self.repeated(str(row["item"]), sha256, kept.__contains__)
            if repeat and row["outcome"] == KEPT:
                row = {**row, **cells_of_drop(repeat, str(row["detail"]))}
            found.append(row)
        return found


def original_of(item: str, rows: Mapping[str, Decision]) -> str:
    """What an item repeats in the end, by the decisions of its stage by target; empty where these
    lead back to the item, so that nothing would be left.
    """
    seen = {item}
    while (row := rows.get(item)) and row.decision == DUPLICATE_OF:
        item = row.value
        if item in seen:
            return ""
        seen.add(item)
    return item


def cells_of_drop(decision: Decision, detail: str = "") -> dict[str, str]:
    """The cells of a row that a person dropped."""
    repeats = f" as a duplicate of {decision.value}" if decision.decision == DUPLICATE_OF else ""
    told = _told(detail, f"dropped{repeats} by {decision.said()}")
    return {
        "outcome": DROPPED,
        "reason": DROPPED_BY_REVIEW,
        "detail": told,
        "decision": decision.id,
    }


def cells_of_keep(decision: Decision, refused_for: str, detail: str = "") -> dict[str, str]:
    """The cells, but for the reason, of a row that a person kept, which the rule refused."""
    told = _told(detail, f"kept from {refused_for} by {decision.said()}")
    return {"outcome": KEPT, "detail": told, "decision": decision.id}


def is_by_review(row: Mapping) -> bool:
    """True if a person's decision about the row's own item made it what it is."""
    return _MARK in str(row["detail"])


def as_made(row: Mapping[str, str]) -> dict[str, str]:
    """The row's outcome, reason and detail before anybody decided; other cells are as they are."""
    found = _KEPT_FROM.search(row["detail"]) if row["decision"] else None
    if not found:
        return _not_dropped(row)
    own = {"outcome": DROPPED, "reason": found[1], "detail": _own(row["detail"]), "decision": ""}
    return {**row, **own}


def retold(detail: str, own: str) -> str:
    """A cell `detail` with a new text of the stage; the part about a person's decision stays in
    it.
    """
    _, mark, decided = detail.partition(_MARK)
    return "; ".join(filter(None, (own, mark + decided)))


def _not_dropped(row: Mapping, reason: str = "") -> dict:
    if row["reason"] != DROPPED_BY_REVIEW:
        return dict(row)
    own = _own(str(row["detail"]))
    return {**row, "outcome": KEPT, "reason": reason, "detail": own, "decision": ""}


def _told(detail: str, text: str) -> str:
    return "; ".join(filter(None, (_own(detail), _MARK + text)))


def _own(detail: str) -> str:
    return detail.partition(_MARK)[0].removesuffix("; ")
