"""What happened, in one table, to everything that came from an item: counts, and refused items.

A long clip has half a million rows, so outcomes are read from the beginnings of records; only the
rows that are listed are parsed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field

from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import Item
from ferrari.provenance.row_lookup import Table

_KEPT = KEPT.encode()
_VARIANT = re.compile(rb"-v[0-9]+\Z")
_LISTED = ("item", "outcome", "reason", "value", "threshold")


@dataclass
class Fate:
    """What became of everything that came from an item, at one stage."""

    stage: str
    table: str
    counts: dict[str, int]  # by outcome, with the reason where it is not kept
    refused: list[dict[str, str]]  # item, outcome, reason, value, threshold; at most `limit`
    final: list[str] = field(default_factory=list)  # items kept, in the final table alone
    warnings: list[str] = field(default_factory=list)


def follow(
    opened: Table,
    stage: str,
    table: str,
    item: Item,
    limit: int | None,
    crops: Container[bytes] | None = None,
) -> Fate:
    """The fate of `item` in one stage's table; lists hold at most `limit` items. With `crops` only
    these, and what was made of them, are looked at.
    """
    fate = Fate(stage, table, {}, [])
    counts: Counter[tuple[bytes, bytes]] = Counter()
    # Id, outcome and reason hold no comma and no quote. A row with a carriage return in some cell
    # has all its cells quoted.
    head = re.compile(rb'"?(%s)"?,[^,]*,"?([^,"]*)"?,"?([^,"]*)"?,' % item.below()).match
    for record in opened.records():
        found = head(record)
        if not found:
            continue
        name, outcome, reason = found.groups()
        if crops is not None and _VARIANT.sub(b"", name) not in crops:
            continue
        counts[outcome, b"" if outcome == _KEPT else reason] += 1  # kept frames have the reason OK
        if outcome != _KEPT and (limit is None or len(fate.refused) < limit):
            row = opened.row(record)
            fate.refused.append({key: row[key] for key in _LISTED})
        elif outcome == _KEPT and stage == "final" and (limit is None or len(fate.final) < limit):
            fate.final.append(name.decode())
    named = ((b" ".join(verdict).decode().strip(), count) for verdict, count in counts.items())
    fate.counts = dict(sorted(named))
    return fate
