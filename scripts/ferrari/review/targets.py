"""The possible targets of a decision, from the current tables: their rows, and the digest by which
a decision recognises its target (`target_sha256`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import parse
from ferrari.review.applying import crop_digest, track_digest
from ferrari.review.contract import (
    CLIP,
    CUTOUT,
    IMAGE,
    ITEM,
    KEEP,
    MASK,
    REFERENCE,
    TRACK,
    Decision,
    track_of,
)

#: Not a stage: the table of who is who in a clip.
IDENTITY = "identity"
Row = Mapping[str, str]
#: The rows of a stage's table of a clip; of one over the whole set the clip is empty.
RowsOf = Callable[[str, str], Iterable[Row]]


def tables_of(dataset: str | os.PathLike) -> RowsOf:
    """The rows of the dataset's tables; none of a table that is not there."""

    def rows_of(stage: str, video: str) -> Iterable[Row]:
        path = Path(dataset) / _place_of(stage, video)
        return tables.iter_if_there(path)

    return rows_of


def _place_of(stage: str, video: str) -> str:
    whole = {
        "videos": stages.VIDEOS_CSV,
        "final": stages.FINAL_CSV,
        "who": stages.REFERENCES_CSV,
    }
    if stage == IDENTITY:
        return f"{stages.IDENTITY}/{video}.csv"
    return whole.get(stage) or stages.table(stage, video)


def frames_of(lines: Iterable[Row], rows_of: RowsOf, video: str) -> dict[str, str]:
    """The digests of the frames that crops were cut from."""
    wanted = {item.frame for line in lines if (item := parse(line["item"]))}
    rows = rows_of("extract", video)
    return {line["item"]: line["sha256"] for line in rows if line["item"] in wanted}


def digest_of(line: Row, stage: str, frames: Mapping[str, str]) -> str:
    """The digest of what a row is of; `frames` are those of `frames_of`, for crops."""
    if stage != "crop":
        return line["sha256"]
    item = parse(line["item"])
    return crop_digest(frames.get(item.frame, ""), line) if item else ""


def target_digest(dataset: str | os.PathLike, scope: str, target: str, decision: str = "") -> str:
    """The right `target_sha256` of a decision about an item as it is now; empty if the item does
    not exist or has no file (an unreadable clip, a refused cut-out).

    For a mask it is the digest of the crop's file, on whose pixels it is drawn.
    """
    rows_of = tables_of(dataset)
    if scope == REFERENCE:
        return next((row["sha256"] for row in rows_of("who", "") if row["file"] == target), target)
    if scope == TRACK:
        return track_digest(items) if (items := track_items(rows_of, target)) else ""
    asked = Decision("", "", "", scope, target, "", KEEP)
    table = {CLIP: "probe", ITEM: "crop", CUTOUT: "mask", IMAGE: "augment"}[scope]
    table = "crop" if decision == MASK else table
    line = next((row for row in rows_of(table, asked.video) if row["item"] == target), None)
    if line is None:
        return ""
    if decision == MASK:
        return line["sha256"]
    frames = frames_of([line], rows_of, asked.video) if scope == ITEM else {}
    return digest_of(line, table, frames)


def track_items(rows_of: RowsOf, track: str) -> list[str]:
    """The ids of the detections of a track in kept frames; none where there is no such track, or
    nobody is told from anybody (`subject.mode: single`).
    """
    found = track_of(track)
    if found is None:
        return []
    video, number = found
    return [row["parent"] for row in rows_of("crop", video) if row["track"] == str(number)]
