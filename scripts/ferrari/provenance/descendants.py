"""What became, in one table, of everything that came from an item: counts, and who was refused.

A long clip has half a million rows, so they are counted by the beginnings of their lines; only what
is told is parsed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from operator import itemgetter

from ferrari.ledger.columns import CORE, KEPT
from ferrari.ledger.item_ids import Item
from ferrari.provenance.row_lookup import Table

_KEPT = KEPT.encode()
_HEAD = re.compile(rb"([^,]*),[^,]*,([^,]*,[^,]*),").match  # item, parent, outcome and reason
_TOLD = ("item", "outcome", "reason", "value", "threshold")
#: Tables over the whole set, which are sorted by item.
_SORTED = frozenset({"final", "package"})


class _Unquoted(bytes):
    """The beginning of a quoted record without its quotes; `record` is the whole of it."""

    record: bytes


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
    opened: Table, stage: str, table: str, item: Item, limit: int | None, alone: bool
) -> Fate:
    """The fate of `item` in one stage's table; lists hold at most `limit` items.

    `alone` is true if no other clip's id begins like the item's: then a prefix decides.
    """
    counts = Counter(map(itemgetter(2), map(_HEAD, _heads(opened, stage, item, alone))))
    fate = Fate(stage, table, _told(counts), [])
    refused = sum(n for verdict, n in counts.items() if not verdict.startswith(_KEPT))
    if refused:
        heads = _heads(opened, stage, item, alone)
        others = (head for head in heads if not _HEAD(head)[2].startswith(_KEPT))
        for head in islice(others, refused if limit is None else min(limit, refused)):
            row = opened.row(head.record if isinstance(head, _Unquoted) else head)
            fate.refused.append({key: row[key] for key in _TOLD})
    if stage == "final":
        heads = map(_HEAD, _heads(opened, stage, item, alone))
        kept = (found[1].decode() for found in heads if found[2].startswith(_KEPT))
        fate.final.extend(islice(kept, limit))
    return fate


def _heads(opened: Table, stage: str, item: Item, alone: bool) -> Iterator[bytes]:
    """Records that come from `item`, each beginning with its plain item, parent and verdict."""
    records = opened.sorted_from(item.id + "-") if stage in _SORTED else opened.records()
    own = item.id.encode()
    sure = (own + b"-", own + b",") if alone else b"\0"
    owns = re.compile(item.below() + b",").match
    for record in records:
        if record.startswith(sure):
            yield record
        elif record[:1] == b'"':  # a quoted row: commas do not part its cells
            row = opened.row(record)
            plain = _Unquoted(",".join([*(row[key] for key in CORE), ""]).encode())
            plain.record = record
            if owns(plain):
                yield plain
        elif record.startswith(own) and owns(record):
            yield record


def _told(counts: Counter[bytes]) -> dict[str, int]:
    told: Counter[str] = Counter()
    for verdict, count in counts.items():
        outcome, _, reason = verdict.decode().partition(",")
        told[outcome if outcome == KEPT else f"{outcome} {reason}"] += count
    return dict(sorted(told.items()))
