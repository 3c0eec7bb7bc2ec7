"""What became of each decision in force, read off the tables of the clips that it names.

Reports, `verify` and the dataset's description ask here. A row that changes nothing is never lost:
it has a state that says why.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ferrari.ledger import stages, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import parse
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, NEAR_DUPLICATE, OK, OVER_BUDGET
from ferrari.review import absences, decisions
from ferrari.review.applying import TAKEN_BACK, crop_digest, original_of, track_digest
from ferrari.review.contract import (
    CAPTION,
    CLIP,
    CUTOUT,
    DROP,
    DUPLICATE_OF,
    IMAGE,
    IS_SUBJECT,
    ITEM,
    KEEP,
    MASK,
    MERGE_TRACKS,
    NOT_SUBJECT,
    REFERENCE,
    SPLIT_TRACK,
    TRACK,
    Decision,
    track_of,
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
#: Not a stage: the table of who is who in a clip.
IDENTITY = "identity"
#: States of decisions that somebody should look at again.
IN_VAIN = (STALE, ABSENT, CANNOT)
Row = Mapping[str, str]
#: The rows of a stage's table of a clip; of one over the whole set the clip is empty.
RowsOf = Callable[[str, str], Iterable[Row]]


@dataclass(frozen=True)
class Effect:
    """A decision in force, its state, and the reason: that which its target's row gives, why there
    is no such row, or why the decision cannot be carried out; empty where there is none.
    """

    row: Decision
    state: str
    reason: str = ""


def of_dataset(dataset: str | os.PathLike, review: decisions.Review) -> list[Effect]:
    """The effects of all decisions in force, in their order."""
    rows_of = tables_of(dataset)
    return with_absences(effects(review.rows, rows_of), rows_of)


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
    """The effect that a row would have beside those in force, if it were added now: what is
    PENDING the next run applies, what is ABSENT or CANNOT it would never.
    """
    others = [one for one in decisions.load(dataset).rows if one.question != row.question]
    rows_of = tables_of(dataset)
    return with_absences(effects([*others, row], rows_of)[-1:], rows_of)[0]


def counted(found: Iterable[Effect]) -> dict[str, int]:
    """How many decisions of each kind hold; only what there is."""
    counts: dict[str, int] = {}
    for effect in found:
        if effect.state in (APPLIED, AGREES):
            counts[effect.row.decision] = counts.get(effect.row.decision, 0) + 1
    return counts


#: What may be dropped and kept.
_THINGS = "(clips, crops, cut-outs, images or reference pictures)"
#: What a person did, by decision, with what a number of them is called: one, several.
_DEEDS = {
    DROP: ("dropped", f"thing {_THINGS}", f"things {_THINGS}"),
    KEEP: ("kept", f"thing {_THINGS}", f"things {_THINGS}"),
    DUPLICATE_OF: ("named", "duplicate", "duplicates"),
    MASK: ("mended", "mask", "masks"),
    IS_SUBJECT: ("took for the subject", "track", "tracks"),
    NOT_SUBJECT: ("took for somebody else", "track", "tracks"),
    SPLIT_TRACK: ("cut", "track", "tracks"),
    MERGE_TRACKS: ("joined", "pair of tracks", "pairs of tracks"),
    CAPTION: ("wrote", "caption", "captions"),
}


def in_words(counts: Mapping[str, int]) -> str:
    """What `counted` found, as a sentence; empty for nothing."""
    said = [
        f"{verb} {counts[kind]:,} {one if counts[kind] == 1 else several}"
        for kind, (verb, one, several) in _DEEDS.items()
        if counts.get(kind)
    ]
    return f"A person looked and {', '.join(said)}." if said else ""


def _verdicts(stage: str, video: str, decided: list[Decision], rows_of: RowsOf) -> Iterable[Effect]:
    """The effects of `keep` and `drop` at one stage."""
    wanted = {row.target for row in decided}
    there = {line["item"]: line for line in rows_of(stage, video) if line["item"] in wanted}
    frames = _frames(there.values(), rows_of, video) if stage == "crop" else {}
    repeats = {row.target: row for row in decided if row.decision == DUPLICATE_OF}
    originals = {original_of(item, repeats) for item in repeats}
    standing = _standing(rows_of(stage, video), originals) if repeats else set()
    for row in decided:
        line = there.get(row.target)
        if line is None:
            yield Effect(row, ABSENT)
            continue
        found = Effect(row, _state(row, line, _digest(line, stage, frames)), _reason(line))
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
    tracks.pop("", None)  # nobody is told from anybody
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
    """Why a decision about tracks cannot be carried out; empty where it can.

    `items` are the detections of the track, and of the other one of a merge; `said` is who tracks
    are by a person's word.
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


def target_digest(dataset: str | os.PathLike, scope: str, target: str, decision: str = "") -> str:
    """What `target_sha256` is to be in a decision about something as it is now; empty where it is
    not there, or has no file (a clip that cannot be read, a cut-out that was refused).

    Of a mask it is the digest of the crop's file, on whose pixels it is drawn.
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
    frames = _frames([line], rows_of, asked.video) if scope == ITEM else {}
    return _digest(line, table, frames)


def track_items(rows_of: RowsOf, track: str) -> list[str]:
    """The ids of the detections of a track in kept frames; none where there is no such track, or
    nobody is told from anybody (`subject.mode: single`).
    """
    found = track_of(track)
    if found is None:
        return []
    video, number = found
    return [row["parent"] for row in rows_of("crop", video) if row["track"] == str(number)]
