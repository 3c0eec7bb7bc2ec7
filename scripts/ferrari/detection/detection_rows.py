"""The rows of a frame: one for each detection, one for a frame without any or that is refused, and
one for each second look that crashed a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from ferrari.detection.views import View, counted
from ferrari.images import boxes, hardly_seen
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import NO_SUBJECT, UNREADABLE_FRAME
from ferrari.ledger.refused_files import refuse_frame_file
from ferrari.processes.failures import Failure
from ferrari.subject.faint_people import FOUND_BY_FACE


def rows_of(
    view: View,
    about: Mapping,
    remark: str,
    *,
    least: float,
    hints: bool,
    dataset: Path,
    video: str,
) -> list[tables.Row]:
    """The rows of a frame that was searched or could not be; a refused one's file is copied.

    `about` is what each row says of the detector, `remark` how the frame was searched. `hints`:
    boxes below the bound are told in the rows of those in whose boxes they lie.
    """
    assert view.line is not None
    frame, size = view.line["item"], {}
    if view.picture_rgb is not None:
        height, width = view.picture_rgb.shape[:2]
        size = {"frame_width": width, "frame_height": height}
    rows = []
    if view.picture_rgb is None:
        verdicts = iter([_refused(view.line, UNREADABLE_FRAME, view.fault, dataset, video)])
    elif isinstance(view.found, Failure):
        failure = view.found
        verdicts = iter([_refused(view.line, failure.reason, failure.detail, dataset, video)])
    else:
        verdicts = _searched(view, remark, least, hints)
    for row in verdicts:
        item = row.pop("item", frame)
        rows.append(tables.row("detect", item=item, parent=frame, **about, **size, **row))
    return rows


def unseen_rows(
    line: Mapping,
    failures: Iterable[Failure],
    before: Sequence[tables.Row],
    about: Mapping,
    *,
    dataset: Path,
    video: str,
) -> list[tables.Row]:
    """A row of each look beyond the first, or of the linking film, that ended a network, behind the
    frame's others.

    It stands for somebody who may be there, as one of a detection does, and is quarantined.
    """
    frame = line["item"]
    cells = {**about, **{name: before[0][name] for name in ("frame_width", "frame_height")}}
    rows = []
    for ordinal, failure in enumerate(failures, sum(row["outcome"] == KEPT for row in before)):
        item = item_ids.detection_item(frame, ordinal)
        said = _refused(line, failure.reason, failure.detail, dataset, video)
        rows.append(tables.row("detect", item=item, parent=frame, **cells | said))
    return rows


def is_unseen(row: Mapping) -> bool:
    """Whether a row is of a look beyond the frame's first, or of the film (`unseen_rows`)."""
    return row["outcome"] == QUARANTINED and row["item"] != row["parent"]


def is_refused(row: Mapping) -> bool:
    """Whether a row is of a frame that is quarantined as a whole."""
    return row["outcome"] == QUARANTINED and row["item"] == row["parent"]


def _searched(view: View, remark: str, least: float, hints: bool) -> Iterator[dict]:
    """What is found in a frame, or that nothing is."""
    assert view.line is not None and view.picture_rgb is not None
    assert not isinstance(view.found, Failure)
    found = view.found or ()
    every = [(one, remark) for one in counted(found, least)]
    by_face = "; ".join(filter(None, [FOUND_BY_FACE, remark]))
    every += [(one, by_face) for one in view.faint]
    people = [one.box_xyxy for one, _ in every]
    within = hardly_seen.within(people, found if hints else (), least)
    for ordinal, ((detection, said), beside) in enumerate(zip(every, within, strict=True)):
        item = item_ids.detection_item(view.line["item"], ordinal)
        cells = cells_of(detection, view.picture_rgb)
        yield {"item": item, **cells, "hardly_seen": hardly_seen.told(beside), "detail": said}
    if not every:
        best = max((one.confidence for one in found), default=0.0)
        verdict = {"outcome": DROPPED, "reason": NO_SUBJECT, "detail": remark}
        yield verdict | {"value": round(best, 6), "threshold": least}


def _refused(line: Mapping, reason: str, detail: str, dataset: Path, video: str) -> dict:
    """A frame that is quarantined as a whole; its file is copied."""
    path = dataset / line["path"]
    copy = refuse_frame_file(path, path.name, video, reason, dataset)
    return {"outcome": QUARANTINED, "reason": reason, "detail": detail, **copy}


def cells_of(detection: boxes.Detection, frame_rgb: np.ndarray) -> dict:
    """A detection's own cells. Its box has more digits than any whole pixel depends on."""
    height, width = frame_rgb.shape[:2]
    box = boxes.clip(detection.box_xyxy, width, height)
    return {
        "outcome": KEPT,
        "confidence": round(detection.confidence, 6),
        "class_name": detection.class_name,
        **dict(zip(("x1", "y1", "x2", "y2"), (round(v, 6) for v in box), strict=True)),
    }


def detection_of(row: Mapping) -> boxes.Detection:
    """The detection that a row tells of."""
    x1, y1, x2, y2 = (float(row[name]) for name in ("x1", "y1", "x2", "y2"))
    return boxes.Detection((x1, y1, x2, y2), float(row["confidence"]), str(row["class_name"]))
