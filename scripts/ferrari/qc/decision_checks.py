"""The checks of QC7 on a person's decisions: is each one in force visible, or is it said why
not?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from ferrari.reports.checks import WARN, Check, none_of
from ferrari.reports.page import Table
from ferrari.review import deeds, effects
from ferrari.review.contract import (
    CAPTION,
    DROP,
    DUPLICATE_OF,
    IS_SUBJECT,
    KEEP,
    MASK,
    MERGE_TRACKS,
    NOT_SUBJECT,
    REFERENCE,
    SPLIT_TRACK,
    Decision,
)
from ferrari.review.effects import Effect

_COUNTED = {
    DROP: "Dropped by a person",
    KEEP: "Kept by a person",
    DUPLICATE_OF: "Duplicates named",
    MASK: "Masks mended",
    IS_SUBJECT: "Tracks said to be the subject",
    NOT_SUBJECT: "Tracks said not to be",
    SPLIT_TRACK: "Tracks cut",
    MERGE_TRACKS: "Tracks joined",
    CAPTION: "Captions decided",
}


def checks(decided: Sequence[Effect]) -> list[Check]:
    """Decisions in force are visible in the tables; those without effect are named."""
    states = Counter(effect.state for effect in decided)
    vain = ", ".join(f"{states[one]} {one}" for one in effects.IN_VAIN if states[one])
    return [
        none_of(
            "decisions_have_their_effect",
            [effect.row.id for effect in decided if effect.state == effects.PENDING],
            len(decided),
            "Each row in force of review/decisions.csv shows in the table of the stage that it "
            "concerns.",
        ),
        none_of(
            "decisions_still_hold",
            [_name(effect.row) for effect in decided if effect.state in effects.IN_VAIN],
            len(decided),
            "Decisions that change nothing: what they were made about is another now (stale), is "
            "not there (absent), or they cannot be carried out (cannot). The page has them, and "
            "says why." + (f" Found: {vain}." if vain else ""),
            otherwise=WARN,
        ),
    ]


def _name(row: Decision) -> str:
    """What a row is about; of a picture its digest, since names of files may hold spaces."""
    return row.picture if row.scope == REFERENCE else row.target


def counts(decided: Sequence[Effect]) -> dict[str, object]:
    """The figures of the page: how many decisions hold, of each kind that there is."""
    found = deeds.counted(decided)
    return {name: found[kind] for kind, name in _COUNTED.items() if kind in found}


def listed(decided: Sequence[Effect]) -> list[Table]:
    """The decisions in force, those first that somebody should look at again; or no table."""
    first = (effects.PENDING, *effects.IN_VAIN, effects.APPLIED, effects.AGREES)
    ranked = sorted(decided, key=lambda effect: first.index(effect.state))
    rows = [
        {
            "state": effect.state,
            "decision": effect.row.decision,
            "target": effect.row.target,
            "who": effect.row.who,
            "when": effect.row.when,
            "reason": effect.row.reason,
            "row says": effect.reason,
            "id": effect.row.id,
        }
        for effect in ranked
    ]
    note = "Rows in force of review/decisions.csv; those that change nothing first."
    return [Table("Decisions", note, pd.DataFrame(rows))] if rows else []
