"""What became of each decision in force, read off the tables of the clips that it names.

Reports, `verify` and the dataset's description ask here. A row that changes nothing is never lost:
it has a state that says why.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import OK
from ferrari.review import decisions
from ferrari.review.applying import TAKEN_BACK, crop_digest, track_digest
from ferrari.review.contract import (
    CAPTION,
    CLIP,
    CUTOUT,
    DROP,
    IMAGE,
    ITEM,
    KEEP,
    SPLIT_TRACK,
    TRACK,
    Decision,
)

#: The states of a decision in force.
APPLIED, AGREES, STALE, ABSENT, CANNOT, PENDING = (
    *("applied", "agrees", "stale", "absent", "cannot", "pending"),
)
#: What each means, for pages.
WORDS = {
    APPLIED: "the row is what the decision makes of it",
    AGREES: "the row had that outcome already",
    STALE: "it was made about something else than what is there now: look again",
    ABSENT: "there is nothing of this id",
    CANNOT: "keep cannot take this refusal back, or the frame does not cut the track",
    PENDING: "the table does not show it yet: run the pipeline",
}
#: Not a stage: the table of who is who in a clip.
IDENTITY = "identity"
#: States of decisions that somebody should look at again.
IN_VAIN = (STALE, ABSENT, CANNOT)
Row = Mapping[str, str]
#: The rows of a stage's table of a clip; of one over the whole set the clip is empty.
RowsOf = Callable[[str, str], Iterable[Row]]


@dataclass(frozen=True)
class Effect:
    """A decision in force, its state, and the reason that its target's row gives, if any."""

    row: Decision
    state: str
    reason: str = ""


def of_dataset(dataset: str | os.PathLike, review: decisions.Review) -> list[Effect]:
    """The effects of all decisions in force, in their order."""
    return effects(review.rows, tables_of(dataset))


def tables_of(dataset: str | os.PathLike) -> RowsOf:
    """The rows of the dataset's tables; none of a table that is not there."""

    def rows_of(stage: str, video: str) -> Iterable[Row]:
        path = Path(dataset) / _place_of(stage, video)
        return tables.iter_table(path) if path.is_file() else ()

    return rows_of


def _place_of(stage: str, video: str) -> str:
    whole = {"videos": stages.VIDEOS_CSV, "final": stages.FINAL_CSV}
    if stage == IDENTITY:
        return f"{stages.IDENTITY}/{video}.csv"
    return whole.get(stage) or stages.table(stage, video)


def sentence(dataset: str | os.PathLike, expected: str) -> str:
    """`in_words` of a dataset's decisions, for a job that was given their digest.

    The table is not opened where `expected` is empty.
    """
    return in_words(counted(of_dataset(dataset, decisions.load(dataset)))) if expected else ""


def effects(decided: Iterable[Decision], rows_of: RowsOf) -> list[Effect]:
    """The effects of decisions, in their order; each table is read once."""
    decided = list(decided)
    found: dict[str, Effect] = {}
    jobs: dict[tuple[str, str], list[Decision]] = {}
    for row in decided:
        whole = row.scope == CLIP or row.stage == "final"
        jobs.setdefault((row.stage, "" if whole else row.video), []).append(row)
    for (stage, video), rows in jobs.items():
        of_tracks = [row for row in rows if row.scope == TRACK]
        others = [row for row in rows if row.scope != TRACK]
        look = _captions if stage == CAPTION else _verdicts
        here = [*look(stage, video, others, rows_of), *_tracks(video, of_tracks, rows_of)]
        found |= {effect.row.id: effect for effect in here}
    return [found[row.id] for row in decided]


def counted(found: Iterable[Effect]) -> dict[str, int]:
    """How many decisions of each kind hold: `drop`, `keep` and `caption`; only what there is."""
    counts: dict[str, int] = {}
    for effect in found:
        if effect.state in (APPLIED, AGREES):
            counts[effect.row.decision] = counts.get(effect.row.decision, 0) + 1
    return counts


def in_words(counts: Mapping[str, int]) -> str:
    """What `counted` found, as a sentence; empty for nothing."""
    said = [
        f"{verb} {counts[kind]:,} {'thing' if counts[kind] == 1 else 'things'} (clips, crops, "
        "cut-outs or images)"
        for kind, verb in ((DROP, "dropped"), (KEEP, "kept"))
        if counts.get(kind)
    ]
    if number := counts.get(CAPTION):
        said.append(f"wrote {number:,} {'caption' if number == 1 else 'captions'}")
    return f"A person looked and {', '.join(said)}." if said else ""


def _verdicts(stage: str, video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of `keep` and `drop` at one stage."""
    wanted = {row.target for row in decided}
    there = {line["item"]: line for line in rows_of(stage, video) if line["item"] in wanted}
    frames = _frames(there.values(), rows_of, video) if stage == "crop" else {}
    for row in decided:
        if line := there.get(row.target):
            yield Effect(row, _state(row, line, _digest(line, stage, frames)), _reason(line))
        else:
            yield Effect(row, ABSENT)


def _frames(lines: Iterable[Row], rows_of: RowsOf, video: str) -> dict[str, str]:
    """The digests of the frames that crops were cut from."""
    wanted = {item.frame for line in lines if (item := parse(line["item"]))}
    rows = rows_of("extract", video)
    return {line["item"]: line["sha256"] for line in rows if line["item"] in wanted}


def _digest(line: Row, stage: str, frames: Mapping[str, str]) -> str:
    if stage != "crop":
        return line["sha256"]
    item = parse(line["item"])
    return crop_digest(frames.get(item.frame, ""), line) if item else ""


def _state(row: Decision, line: Row, sha256: str) -> str:
    if row.is_stale(sha256):
        return PENDING if line["decision"] == row.id else STALE
    if line["decision"] == row.id:
        return APPLIED
    stays = not _reason(line) if row.scope == CLIP else line["outcome"] == KEPT
    if row.decision == DROP:
        return PENDING if stays else AGREES
    if stays:
        return AGREES
    return PENDING if line["reason"] in TAKEN_BACK else CANNOT


def _reason(line: Row) -> str:
    """Why a row is not kept; of a clip, its verdict."""
    said = line.get("verdict") or line["reason"]
    return "" if said == OK else said


def _tracks(video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of decisions about tracks: their ids stand in the table of who is who."""
    if not decided:
        return
    tracks: dict[str, list[str]] = {}
    for line in rows_of("crop", video):
        tracks.setdefault(line["track"], []).append(line["parent"])
    tracks.pop("", None)  # nobody is told from anybody
    known = {track_digest(items): items for items in tracks.values()}
    applied = {name for line in rows_of(IDENTITY, video) for name in line["decision"].split()}
    for row in decided:
        items = known.get(row.target_sha256, [])
        if row.id in applied:
            yield Effect(row, APPLIED)
        elif not items:
            yield Effect(row, STALE)
        else:
            yield Effect(row, PENDING if _can_be(row, items) else CANNOT)


def _can_be(row: Decision, items: Iterable[str]) -> bool:
    """True unless it is to cut a track at a frame behind which nothing or all of it lies."""
    frames = {item.frame for name in items if (item := parse(name))}
    return row.decision != SPLIT_TRACK or (row.value in frames and row.value != min(frames))


def _captions(stage: str, video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of captions of images, and of cut-outs, whose images have them."""
    images: dict[str, list[Row]] = {}
    for line in rows_of(stage, video):
        item = parse(line["item"])
        for name in (line["item"], item.crop if item else ""):
            images.setdefault(name, []).append(line)
    about = any(row.scope == CUTOUT and row.target_sha256 for row in decided)
    cutouts = {line["item"]: line["sha256"] for line in rows_of("mask", video)} if about else {}
    for row in decided:
        lines = images.get(row.target, [])
        now = cutouts.get(row.target, "") if row.scope == CUTOUT else ""
        sha256 = lines[0]["sha256"] if lines and row.scope == IMAGE else now
        said = any(line["decision"] == row.id for line in lines)
        if not lines:
            yield Effect(row, ABSENT)
        elif row.is_stale(sha256):
            yield Effect(row, PENDING if said else STALE)
        else:
            refused = next((line["reason"] for line in lines if line["reason"]), "")
            own = all(line["decision"] or line["reason"] for line in lines)
            yield Effect(row, APPLIED if said else AGREES if own else PENDING, refused)


def target_digest(dataset: str | os.PathLike, scope: str, target: str) -> str:
    """What `target_sha256` is to be in a decision about something as it is now; empty where it is
    not there, or has no file (a clip that cannot be read, a cut-out that was refused).
    """
    asked = Decision("", "", "", scope, target, "", KEEP)
    table = {CLIP: "probe", ITEM: "crop", CUTOUT: "mask", IMAGE: "augment"}[scope]
    rows_of = tables_of(dataset)
    line = next((row for row in rows_of(table, asked.video) if row["item"] == target), None)
    if line is None:
        return ""
    frames = _frames([line], rows_of, asked.video) if scope == ITEM else {}
    return _digest(line, table, frames)
