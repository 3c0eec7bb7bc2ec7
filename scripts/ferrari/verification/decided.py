"""A person's decisions: does each one in force have its effect, and each effect its decision?"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping

from ferrari.ledger import stages
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import parse
from ferrari.ledger.stages import FINAL_CSV, REFERENCES_CSV, VIDEOS_CSV
from ferrari.ledger.tables import LedgerError
from ferrari.review import decision_table, decisions, effects, targets
from ferrari.review.contract import REFERENCE, TRACK, Decision
from ferrari.subject import clip_table, identity_table
from ferrari.verification.clip import Clip
from ferrari.verification.findings import Findings, Layout
from ferrari.verification.tables import Row, Tables

#: Stages of a clip whose rows name decisions; their rows, and those of frames, are looked at.
_OF_CLIPS = ("crop", "mask", "caption")
#: What is read of the table of reference pictures, which is none of a stage.
_OF_PICTURES = ("file", "sha256", "outcome", "reason", "decision")
_WHOLE = {"videos": VIDEOS_CSV, "final": FINAL_CSV, "who": REFERENCES_CSV}


class Decided:
    """The decisions in force, compared with the rows of each clip and of the whole set."""

    def __init__(self, layout: Layout, tables: Tables, findings: Findings) -> None:
        self.tables, self.findings = tables, findings
        self.review = decisions.Review()
        findings.looked("decisions_sound")
        try:
            self.review = decisions.load(layout.dataset)
        except decision_table.DecisionsError as error:
            why = str(error).replace(f"{layout.dataset}/", "")
            findings.add("decisions_sound", decision_table.PLACE, why)
        self._states: dict[str, str] = {}

    def add(self, clip: Clip) -> None:
        """Check what was decided of one clip's crops, cut-outs and captions."""
        mine = [row for stage in _OF_CLIPS for row in self.review.of(stage, clip.video)]
        self._look(mine, lambda stage, video: self._rows_of(clip, stage))
        for stage in _OF_CLIPS:
            self._check_rows(clip.rows[stage], clip.video)

    def check_whole_set(self) -> None:
        """Check what was decided of clips and images. Faults of these tables are told already."""
        mine = [row for stage in _WHOLE for row in self.review.of(stage)]
        self._look(mine, lambda stage, video: self._rows(stage))
        for stage in _WHOLE:
            self._check_rows(self._rows(stage), "")

    def _rows_of(self, clip: Clip, stage: str) -> list[Row]:
        if stage != targets.IDENTITY:
            return clip.rows[stage]
        path = self.tables.layout.dataset / stages.IDENTITY / f"{clip.video}.csv"
        try:
            return clip_table.read(path, identity_table.COLUMNS)
        except (LedgerError, csv.Error, OSError):  # reported where identities are verified
            return []

    def _rows(self, stage: str) -> Iterable[Row]:
        return self.tables.rows_again(_WHOLE[stage], COLUMNS.get(stage, _OF_PICTURES))

    def _look(self, decided: list[Decision], rows_of: targets.RowsOf) -> None:
        for effect in effects.effects(decided, rows_of):
            row, state = effect.row, effect.state
            self._states[row.id] = state
            self.findings.looked("decisions_have_their_effect")
            self.findings.looked("decisions_in_vain")
            why = f"{row.decision} of {row.target}, by {row.said()}: {effects.WORDS[state]}"
            if state == effects.PENDING:
                self.findings.add("decisions_have_their_effect", row.id, why, row.video)
            elif state in effects.IN_VAIN:
                why += f" ({effect.reason})" if effect.reason else ""
                self.findings.add("decisions_in_vain", row.id, why, row.video)

    def _check_rows(self, rows: Iterable[Row], video: str) -> None:
        """Rows that name a decision which does not make them what they are."""
        known = {row.id: row for row in self.review.rows}
        for row in rows:
            if not row["decision"]:
                continue
            self.findings.looked("effects_have_their_decision")
            decision = known.get(row["decision"])
            if decision is None or not _is_about(decision, row):
                why = f"no decision in force about it has the id {row['decision']}"
                self.findings.add("effects_have_their_decision", _name(row), why, video)
            elif self._states.get(row["decision"]) != effects.APPLIED:
                why = f"decision {row['decision']} does not make it so"
                self.findings.add("effects_have_their_decision", _name(row), why, video)


def _name(row: Mapping[str, str]) -> str:
    """What a row is of: an item, or a reference picture."""
    return row.get("item") or row["file"]


def _is_about(decision: Decision, row: Mapping[str, str]) -> bool:
    """True if a row may be what a decision made it: about it, its track or its clip."""
    if decision.scope == REFERENCE:
        return decision.picture == row["sha256"]
    if "item" not in row:
        return False
    item = parse(row["item"])
    if item is None:
        return decision.target == row["item"]
    if decision.scope == TRACK:
        return decision.video == item.video
    return decision.target in (row["item"], item.crop, item.video)
