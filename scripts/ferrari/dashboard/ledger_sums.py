"""The ledger's sums during a run: what each stage's tables hold so far, and what is still to come.

A table is counted once, and again when it has changed. So an update on a set of ten thousand clips
costs only what changed. The first count has a time limit, and says how much is left.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ferrari.ledger.columns import DROPPED, KEPT, OUTCOMES, QUARANTINED
from ferrari.ledger.reasons import OK
from ferrari.ledger.stages import FINAL_CSV, FOLDERS, table
from ferrari.ledger.tables import LedgerError
from ferrari.provenance.row_lookup import Table

FINAL = "final"
#: A stage's parents are what this one kept; frames come of clips.
_BEFORE = dict(zip([*FOLDERS, FINAL], [None, *FOLDERS], strict=True))
#: item, parent, outcome, reason. Ids hold no comma and no quote; a clip's own row names its file.
_HEAD = re.compile(rb'"?[^",]*"?,"?([a-z0-9-]*)"?,"?([a-z]*)"?,"?([A-Z0-9_]*)"?,')

#: A stage, and the id of a clip; none of the final table.
Key = tuple[str, str]


@dataclass(frozen=True)
class StageSums:
    """What a stage's tables hold, summed over all clips.

    `waiting`: what the stage before kept in clips that have no table of this stage yet, or an older
    one. `lost`: what it kept in the other clips without a row here. `refused`: rows by outcome and
    reason, the most frequent first.
    """

    stage: str
    tables: int
    considered: int
    kept: int
    dropped: int
    quarantined: int
    waiting: int
    lost: int
    refused: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True)
class _Counted:
    changed_ns: int
    bytes: int
    rows: tuple[tuple[tuple[str, str], int], ...]  # by outcome and reason
    kept: int
    parents: int  # how many different ones


class LedgerSums:
    """The sums over the tables below a dataset's folder."""

    def __init__(self, dataset: Path) -> None:
        self._dataset = dataset
        self._counted: dict[str, dict[str, _Counted]] = {stage: {} for stage in _BEFORE}
        self._to_count: dict[Key, None] = {}
        self._verdicts: dict[tuple[str, str], tuple[str, str]] = {}  # each kept in memory once
        self._sums: list[StageSums] = []  # empty: something changed since
        self.damaged: dict[Key, str] = {}  # tables that cannot be read, and why

    def look(self, keys: Iterable[Key] | None = None) -> None:
        """Note which tables may have changed: those of `keys`, or with None all that there are."""
        self._to_count |= dict.fromkeys(list(self._all_keys()) if keys is None else keys)
        if keys is None:
            for stage, tables in self._counted.items():
                for video in [video for video in tables if (stage, video) not in self._to_count]:
                    self._put((stage, video), None)

    def count(self, within_s: float) -> int:
        """Count what changed, until the time is over; how many tables were never counted yet."""
        until = time.monotonic() + within_s
        while self._to_count and time.monotonic() < until:
            key = next(iter(self._to_count))
            del self._to_count[key]
            self._count(key)
        return sum(video not in self._counted[stage] for stage, video in self._to_count)

    def sums(self) -> list[StageSums]:
        """A stage's sums each, in the order of flow; of stages that have no table yet, zeros."""
        if not self._sums:
            self._sums = [self._sums_of(stage) for stage in _BEFORE]
        return self._sums

    def _put(self, key: Key, counted: _Counted | None) -> None:
        stage, video = key
        self._sums = []
        if counted is None:
            self._counted[stage].pop(video, None)
        else:
            self._counted[stage][video] = counted

    def _all_keys(self) -> Iterator[Key]:
        for stage, folder in FOLDERS.items():
            for path in (self._dataset / folder).glob("*.csv"):
                yield stage, path.stem
        yield FINAL, ""

    def _place(self, key: Key) -> Path:
        stage, video = key
        return self._dataset / (FINAL_CSV if stage == FINAL else table(stage, video))

    def _count(self, key: Key) -> None:
        self.damaged.pop(key, None)
        path = self._place(key)
        try:
            state = path.stat()
            before = self._counted[key[0]].get(key[1])
            if before and (before.changed_ns, before.bytes) == (state.st_mtime_ns, state.st_size):
                return
            rows, parents = self._outcomes(path)
        except FileNotFoundError:  # it is being made anew
            self._put(key, None)
            return
        except (LedgerError, OSError) as error:
            self._put(key, None)
            self.damaged[key] = str(error)
            return
        kept = sum(count for (outcome, _), count in rows.items() if outcome == KEPT)
        known = tuple((self._verdicts.setdefault(each, each), n) for each, n in rows.items())
        self._put(key, _Counted(state.st_mtime_ns, state.st_size, known, kept, parents))

    def _outcomes(self, path: Path) -> tuple[Counter[tuple[str, str]], int]:
        """Rows of a table by outcome and reason, and how many different parents they have."""
        opened = Table(path)
        rows: Counter[tuple[str, str]] = Counter()
        parents: set[bytes] = set()
        for record in opened.records():
            found = _HEAD.match(record)
            if found:
                parent, outcome, reason = found.groups()
                rows[outcome.decode(), reason.decode()] += 1
            else:
                row = opened.row(record)
                parent = row["parent"].encode("utf-8", "surrogateescape")
                rows[row["outcome"], row["reason"]] += 1
            parents.add(parent)
        return rows, len(parents)

    def _sums_of(self, stage: str) -> StageSums:
        rows: Counter[tuple[str, str]] = Counter()
        here = self._counted[stage]
        for one in here.values():
            for verdict, count in one.rows:
                rows[verdict] += count
        waiting, lost = self._waiting_and_lost(stage, here)
        by_outcome = dict.fromkeys(OUTCOMES, 0)
        for (outcome, _), count in rows.items():
            by_outcome[outcome] = by_outcome.get(outcome, 0) + count
        refused = [(o, why, n) for (o, why), n in rows.items() if o != KEPT and why != OK]
        return StageSums(
            stage=stage,
            tables=len(here),
            considered=rows.total(),
            kept=by_outcome[KEPT],
            dropped=by_outcome[DROPPED],
            quarantined=by_outcome[QUARANTINED],
            waiting=waiting,
            lost=lost,
            refused=tuple(sorted(refused, key=lambda each: (-each[2], each[1]))),
        )

    def _waiting_and_lost(self, stage: str, here: dict[str, _Counted]) -> tuple[int, int]:
        before = _BEFORE[stage]
        if before is None:
            return 0, 0
        offered = self._counted[before]
        if stage == FINAL:
            offered = _as_one(offered) if offered else {}
        waiting = lost = 0
        for video, one in offered.items():
            own = here.get(video)
            if own is None or own.changed_ns < one.changed_ns:
                waiting += one.kept
            else:
                lost += max(0, one.kept - own.parents)
        return waiting, lost


def _as_one(tables: dict[str, _Counted]) -> dict[str, _Counted]:
    """What all clips' tables hold, as the table over the whole set has it before it."""
    latest = max(one.changed_ns for one in tables.values())
    kept = sum(one.kept for one in tables.values())
    return {"": _Counted(latest, 0, (), kept, 0)}
