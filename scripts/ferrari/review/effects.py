"""The effect of each decision in force, from the tables of the clips that it names.

Reports and `verify` use this. A row that changes nothing is never passed over: it has a state that
says why.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace

from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, NEAR_DUPLICATE, OK, OVER_BUDGET
from ferrari.review import absences, decisions
from ferrari.review.applying import TAKEN_BACK, original_of, track_digest
from ferrari.review.contract import (
    CAPTION,
    CLIP,
    CUTOUT,
    DROP,
    DUPLICATE_OF,
    IMAGE,
    IS_SUBJECT,
    MASK,
    MERGE_TRACKS,
    NOT_SUBJECT,
    SPLIT_TRACK,
    TRACK,
    Decision,
)
from ferrari.review.targets import (
    IDENTITY,
    Row,
    RowsOf,
    digest_of,
    frames_of,
    tables_of,
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
    CANNOT: "it cannot be carried out, as things are",
    PENDING: "the table does not show it yet: run the pipeline",
}
#: States of decisions that somebody should look at again.
IN_VAIN = (STALE, ABSENT, CANNOT)


@dataclass(frozen=True)
class Effect:
    """A decision in force, its state, and the reason: that of its target's row, or why there is no
    such row, or why the decision cannot be applied; empty if there is none.
    """

    row: Decision
    state: str
    reason: str = ""


def of_dataset(dataset: str | os.PathLike, review: decisions.Review) -> list[Effect]:
    """The effects of all decisions in force, in their order."""
    rows_of = tables_of(dataset)
    return with_absences(effects(review.rows, rows_of), rows_of)


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
        masks = [row for row in rows if row.decision == MASK]
        others = [row for row in rows if row.scope != TRACK and row.decision != MASK]
        look = {CAPTION: _captions, "who": _pictures}.get(stage, _verdicts)
        here = [
            *look(stage, video, others, rows_of),
            *_masks(video, masks, rows_of),
            *_tracks(video, of_tracks, rows_of),
        ]
        found |= {effect.row.id: effect for effect in here}
    return [found[row.id] for row in decided]


def with_absences(found: Iterable[Effect], rows_of: RowsOf) -> list[Effect]:
    """The same effects; those of which nothing is there with why, out of any of the tables."""

    @functools.cache  # many may be gone of one clip
    def known(stage: str, video: str) -> list[Row]:
        return list(rows_of(stage, video))

    return [
        replace(effect, reason=absences.why(effect.row, known))
        if effect.state == ABSENT
        else effect
        for effect in found
    ]


def foreseen(dataset: str | os.PathLike, row: Decision) -> Effect:
    """The effect that a row would have beside those in force, if it were added now: PENDING means
    that the next run applies it, ABSENT or CANNOT that no run ever would.
    """
    others = [one for one in decisions.load(dataset).rows if one.question != row.question]
    rows_of = tables_of(dataset)
    return with_absences(effects([*others, row], rows_of)[-1:], rows_of)[0]


def _verdicts(stage: str, video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of `keep` and `drop` at one stage."""
    wanted = {row.target for row in decided}
    there = {line["item"]: line for line in rows_of(stage, video) if line["item"] in wanted}
    frames = frames_of(there.values(), rows_of, video) if stage == "crop" else {}
    repeats = {row.target: row for row in decided if row.decision == DUPLICATE_OF}
    originals = {original_of(item, repeats) for item in repeats}
    standing = _standing(rows_of(stage, video), originals) if repeats else set()
    for row in decided:
        line = there.get(row.target)
        if line is None:
            yield Effect(row, ABSENT)
            continue
        found = Effect(row, _state(row, line, digest_of(line, stage, frames)), _reason(line))
        original = original_of(row.target, repeats)
        repeated = row.decision == DUPLICATE_OF
        if found.state == PENDING and repeated and original not in standing:
            why = f"{original} is not kept itself" if original else "it repeats itself in the end"
            found = Effect(row, CANNOT, why)
        yield found


def _standing(lines: Iterable[Row], wanted: Container[str]) -> set[str]:
    """Which of the `wanted` are kept; of images those too that only a choice among all left out."""
    chosen = (NEAR_DUPLICATE, OVER_BUDGET)
    return {
        line["item"]
        for line in lines
        if line["item"] in wanted and (line["outcome"] == KEPT or line["reason"] in chosen)
    }


def _masks(video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of mended masks: they were drawn on the pixels of a crop."""
    wanted = {row.target for row in decided}
    if not wanted:
        return
    crops, cutouts = (
        {line["item"]: line for line in rows_of(stage, video) if line["item"] in wanted}
        for stage in ("crop", "mask")
    )
    for row in decided:
        line = cutouts.get(row.target)
        if line is None:
            yield Effect(row, ABSENT)
            continue
        shown = line.get("mended_path") == row.value
        stale = row.is_stale(crops[row.target]["sha256"]) if row.target in crops else True
        state = (PENDING if shown else STALE) if stale else APPLIED if shown else PENDING
        yield Effect(row, state, _reason(line))


def _pictures(stage: str, video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of decisions about reference pictures, which are known by their digests."""
    lines = [line for line in rows_of(stage, video) if line["sha256"]]
    for row in decided:
        mine = [line for line in lines if line["sha256"] == row.picture]
        line = next(
            (one for one in mine if one.get("decision") == row.id), mine[0] if mine else None
        )
        if line is None:
            yield Effect(row, ABSENT)
        else:
            yield Effect(row, _state(row, line, row.picture), _reason(line))


def _state(row: Decision, line: Row, sha256: str) -> str:
    if row.is_stale(sha256):
        return PENDING if line.get("decision") == row.id else STALE
    if line.get("decision") == row.id:
        return APPLIED
    stays = not _reason(line) if row.scope == CLIP else line["outcome"] == KEPT
    if row.decision in (DROP, DUPLICATE_OF):
        return PENDING if stays else AGREES
    if stays:
        return AGREES
    # Dropped by a row that no longer counts: the next run gives it back.
    return PENDING if _reason(line) in (*TAKEN_BACK, DROPPED_BY_REVIEW) else CANNOT


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
    tracks.pop("", None)  # clips in which nobody is identified
    known = {track_digest(items): items for items in tracks.values()}
    judged = list(rows_of(IDENTITY, video))
    applied = {name for line in judged for name in line["decision"].split()}
    # Who tracks are by a person's word: as they are now, and as the rows say it of what is to come.
    said = {
        track_digest(tracks[line["track"]]): line["who"]
        for line in judged
        if line["by"] == "review" and line["track"] in tracks
    }
    words = {IS_SUBJECT: "subject", NOT_SUBJECT: "not_subject"}
    said |= {row.target_sha256: words[row.decision] for row in decided if row.decision in words}
    for row in decided:
        others = [known.get(row.other_track[1], [])] if row.decision == MERGE_TRACKS else []
        items = [known.get(row.target_sha256, []), *others]
        if row.id in applied:
            yield Effect(row, APPLIED)
        elif not all(items):
            yield Effect(row, STALE)
        else:
            why = _why_not(row, items, said)
            yield Effect(row, CANNOT if why else PENDING, why)


def _why_not(row: Decision, items: list[list[str]], said: Mapping[str, str]) -> str:
    """Why a decision about tracks cannot be applied; empty if it can. `items` are the detections of
    the track, and of the other one of a merge; `said` is who the tracks are by a person's word.
    """
    frames = [{item.frame for name in names if (item := parse(name))} for names in items]
    if row.decision == SPLIT_TRACK and (row.value not in frames[0] or row.value == min(frames[0])):
        return "the frame does not cut the track"
    if row.decision != MERGE_TRACKS:
        return ""
    if both := frames[0] & frames[1]:
        return f"{min(both)} shows both tracks: they are two people, or one has two boxes"
    words = {said[part] for part in (row.target_sha256, row.other_track[1]) if part in said}
    return "the one is said to be the subject, the other not to be" if len(words) > 1 else ""


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
