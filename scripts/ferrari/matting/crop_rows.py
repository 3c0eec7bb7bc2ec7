"""What stage 3 looks at in the rows of crops: a crop is masked again when one of these changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ferrari.images import boxes, hardly_seen
from ferrari.ledger import item_ids, tables

READS = (
    *("item", "path", "sha256", "x1", "y1", "x2", "y2"),
    *("crop_x1", "crop_y1", "crop_x2", "crop_y2", "hardly_seen"),
)
#: What it looks at in the rows of all others in the frame, whatever became of them.
OTHERS_READ = ("x1", "y1", "x2", "y2")
WINDOW = ("crop_x1", "crop_y1", "crop_x2", "crop_y2")


def with_others(rows: Sequence[Mapping[str, str]]) -> list[dict]:
    """READS of each kept crop, and in `others` OTHERS_READ of everybody else whose box reaches into
    it, in the order of the rows.
    """
    by_frame: dict[str, list[Mapping[str, str]]] = {}
    for row in rows:
        frame = item_ids.frame_of(row["item"]) or row["item"]
        by_frame.setdefault(frame, []).append(row)
    lines = []
    for row in tables.kept(rows):
        frame = item_ids.frame_of(row["item"]) or row["item"]
        beside = [one for one in by_frame[frame] if one is not row]
        window = box_of(row, WINDOW)
        there = [one for one in beside if one["x1"] and boxes.shared(box_of(one), window) > 0]
        others = [tables.narrowed(one, OTHERS_READ) for one in there]
        lines.append({**tables.narrowed(row, READS), "others": others})
    return lines


def people_in(line: Mapping) -> tuple[boxes.Box, list[boxes.Box]]:
    """The boxes of the subject and of the others in a crop's own pixels; of `with_others`.

    Whom the detector hardly sees within the subject's box is one of the others.
    """
    left, top = float(line["crop_x1"]), float(line["crop_y1"])
    there = [*map(box_of, (line, *line["others"])), *hardly_seen.read(line["hardly_seen"])]
    here, *others = (boxes.moved(box, -left, -top) for box in there)
    return here, others


def box_of(row: Mapping[str, str], names: Sequence[str] = OTHERS_READ) -> boxes.Box:
    """A box of a row, in the frame's pixels: the detection's, or that of WINDOW."""
    x1, y1, x2, y2 = (float(row[name]) for name in names)
    return x1, y1, x2, y2
