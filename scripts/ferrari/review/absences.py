"""Why the item of a decision no longer exists, from the tables.

The search goes from the clip on, stage by stage, to the first table in which the item, or what it
came from, is refused or missing.
"""

from __future__ import annotations

from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, OK
from ferrari.review.contract import CAPTION, CUTOUT, IMAGE, ITEM, REFERENCE, Decision
from ferrari.review.targets import Row, RowsOf

#: What leads to a thing, from its clip on: stage, what its row is of, why there may be no such row.
_WAY = (
    ("extract", "frame", "other settings of `extract`, or another clip of its name"),
    ("detect", "detection", "the detector or its settings find nobody there now"),
    ("crop", "crop", "the detector or its settings find somebody else first"),
    ("mask", "cut-out", ""),
    ("augment", "image", "`augment.variants` is less now"),
    ("caption", "image", ""),
)
_LAST = {ITEM: "crop", CUTOUT: "mask", IMAGE: "caption"}


def why(row: Decision, rows_of: RowsOf) -> str:
    """Why the tables have no row for the target of `row`, as a clause; never empty."""
    if row.scope == REFERENCE:
        return "no picture of subject.references or subject.not has these bytes now"
    clips = list(rows_of("videos", ""))
    clip = next((line for line in clips if line["item"] == row.video), None)
    if clip is None:
        return "its clip is gone" if clips else "there is no table of clips: run the pipeline"
    if clip["verdict"] != OK:
        return f"its clip was refused: {_refused(clip['verdict'], clip)}"
    return _on_the_way(row, rows_of)


def _on_the_way(row: Decision, rows_of: RowsOf) -> str:
    item = parse(row.target)
    last = _LAST.get(row.scope, "")
    for stage, what, cause in _WAY:
        wanted = item.at(stage) if item else ""
        if not wanted:
            break
        lines = list(rows_of(stage, row.video))
        if not lines:
            return f"{stage} has no rows of its clip: run the pipeline"
        line = next((one for one in lines if one["item"] == wanted), None)
        if line is None:
            return f"its {what} is not made any more" + (f": {cause}" if cause else "")
        if line["outcome"] != KEPT:
            return f"its {what} was refused: {_refused(line['reason'], line)}"
        if stage == last:
            break
    if row.decision == CAPTION and row.scope == CUTOUT:
        return "no image is made of it any more"
    return "the table of its stage is older than what leads to it: run the pipeline"


def _refused(reason: str, line: Row) -> str:
    by = line.get("decision", "") if reason == DROPPED_BY_REVIEW else ""
    return f"{reason} (decision {by})" if by else reason
