"""Whether a stage's counts balance: considered = kept + dropped + quarantined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain

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

    @property
    def figure(self) -> str:
        """The sums as a report shows them."""
        return (
            f"{self.considered:,} = {self.kept:,} kept + {self.dropped:,} dropped + "
            f"{self.quarantined:,} quarantined; {len(self.unaccounted):,} lost, "
            f"{len(self.orphans):,} from nowhere"
        )


def summed(
    stage: str, outcomes: Mapping[str, int], unaccounted: Iterable[str], orphans: Iterable[str]
) -> Balance:
    """The balance of a stage whose rows had these outcomes, known or not, so many times each."""
    return Balance(
        stage=stage,
        considered=int(sum(outcomes.values())),
        kept=int(outcomes.get(KEPT, 0)),
        dropped=int(outcomes.get(DROPPED, 0)),
        quarantined=int(outcomes.get(QUARANTINED, 0)),
        unaccounted=tuple(sorted(unaccounted)),
        orphans=tuple(sorted(orphans)),
    )


def balance(
    stage: str,
    rows: Iterable[Mapping[str, str]],
    before: Iterable[Mapping[str, str]] | None = None,
) -> Balance:
    """Count a stage's outcomes and match its parents with what the stage `before` kept."""
    rows = list(rows)
    parents = {line["parent"] for line in rows}
    offered = parents if before is None else {line["item"] for line in kept(before)}
    outcomes = Counter(line["outcome"] for line in rows)
    return summed(stage, outcomes, offered - parents, parents - offered)


def total(stage: str, parts: Iterable[Balance]) -> Balance:
    """The sums of all `parts`, which are of tables of one stage."""
    parts = list(parts)
    return Balance(
        stage=stage,
        considered=sum(part.considered for part in parts),
        kept=sum(part.kept for part in parts),
        dropped=sum(part.dropped for part in parts),
        quarantined=sum(part.quarantined for part in parts),
        unaccounted=tuple(chain.from_iterable(part.unaccounted for part in parts)),
        orphans=tuple(chain.from_iterable(part.orphans for part in parts)),
    )
