"""Whether a stage's sums balance: what it considered is kept, dropped or quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.tables import kept


@dataclass(frozen=True)
class Balance:
    """The sums of one stage over any number of videos."""

    stage: str
    considered: int
    kept: int
    dropped: int
    quarantined: int
    unaccounted: tuple[str, ...]  # kept by the stage before, parent of no row here
    orphans: tuple[str, ...]  # rows here whose parent the stage before did not keep

    @property
    def balanced(self) -> bool:
        """True if every item has one outcome and the stage before is accounted for."""
        total = self.kept + self.dropped + self.quarantined
        return total == self.considered and not self.unaccounted and not self.orphans


def balance(
    stage: str,
    rows: Iterable[Mapping[str, str]],
    before: Iterable[Mapping[str, str]] | None = None,
) -> Balance:
    """Count a stage's outcomes and match its parents with what the stage `before` kept."""
    rows = list(rows)
    counts = Counter(line["outcome"] for line in rows)
    parents = {line["parent"] for line in rows}
    offered = parents if before is None else {line["item"] for line in kept(before)}
    return Balance(
        stage=stage,
        considered=len(rows),
        kept=counts[KEPT],
        dropped=counts[DROPPED],
        quarantined=counts[QUARANTINED],
        unaccounted=tuple(sorted(offered - parents)),
        orphans=tuple(sorted(parents - offered)),
    )
