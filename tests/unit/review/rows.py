"""Made rows of decisions, for tests."""

from __future__ import annotations

from pathlib import Path

from ferrari.ledger.item_ids import crop_item, frame_item, variant_item, video_id
from ferrari.review import decision_table, decisions, writing
from ferrari.review.contract import COLUMNS, Decision

WALK, WAVE = video_id("walk.mp4"), video_id("wave.mp4")
CROP = crop_item(frame_item(WALK, 3), 0)
IMAGE = variant_item(CROP, 2)
HEADER = ",".join(COLUMNS) + "\n"
WHEN = "2026-01-31T18:05:00Z"


def decided(decision: str, target: str = CROP, scope: str = "item", **cells: str) -> Decision:
    """A sound row; `id` is drawn unless it is given."""
    known = {"id": writing.new_id(), "when": WHEN, "who": "ana", "target_sha256": ""} | cells
    return Decision(scope=scope, target=target, decision=decision, **known)


def undone(row: Decision) -> Decision:
    """The row that takes `row` back."""
    return writing.undo(row, "ana")


def in_force(folder: Path, *rows: Decision) -> tuple[Decision, ...]:
    """The rows in force of a table in which `rows` stand, in this order."""
    decision_table.place(folder).unlink(missing_ok=True)
    writing.append(folder, rows)
    return decisions.load(folder).rows
