"""The vocabulary of `review/decisions.csv`: its columns, scopes and decisions, and what a row may
say.

A row is checked here by itself; `decisions` reads the table and says which rows count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ferrari.ledger.item_ids import VIDEO_ID, clip_of, parse

COLUMNS = (
    *("id", "when", "who", "scope", "target", "target_sha256"),
    *("decision", "value", "reason", "undoes", "note"),
)
CLIP, TRACK, ITEM, CUTOUT, IMAGE = "clip", "track", "item", "cutout", "image"
REFERENCE = "reference"

KEEP, DROP, CAPTION, UNDO = "keep", "drop", "caption", "undo"
IS_SUBJECT, NOT_SUBJECT, SPLIT_TRACK = "is_subject", "not_subject", "split_track"
MERGE_TRACKS, MASK, DUPLICATE_OF = "merge_tracks", "mask", "duplicate_of"
#: What may be decided of what.
MAY_SAY = {
    KEEP: (CLIP, ITEM, CUTOUT, IMAGE, REFERENCE),
    DROP: (CLIP, ITEM, CUTOUT, IMAGE, REFERENCE),
    IS_SUBJECT: (TRACK,),
    NOT_SUBJECT: (TRACK,),
    SPLIT_TRACK: (TRACK,),
    MERGE_TRACKS: (TRACK,),
    CAPTION: (CUTOUT, IMAGE),
    MASK: (CUTOUT,),
    DUPLICATE_OF: (ITEM, CUTOUT, IMAGE),
}
#: Decisions that need a value; the others have none.
WITH_VALUE = frozenset({CAPTION, SPLIT_TRACK, MERGE_TRACKS, MASK, DUPLICATE_OF})
#: Decisions that answer one question about a target: the last of them in force is the answer.
_QUESTIONS = {
    **dict.fromkeys((KEEP, DROP, DUPLICATE_OF), "stays"),
    **dict.fromkeys((IS_SUBJECT, NOT_SUBJECT), "who"),
}
#: The stage whose table shows a decision.
_STAGES = {CLIP: "videos", ITEM: "crop", CUTOUT: "mask", IMAGE: "final", TRACK: "crop"} | {
    REFERENCE: "who"
}
#: Where mended masks lie, below the dataset's folder.
MASKS = "review/masks"

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{3,63}")
_TRACK = re.compile(rf"({VIDEO_ID})-t[0-9]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MASK = re.compile(rf"{MASKS}/(.+)-([0-9a-f]{{12}})\.png")


class Decision(NamedTuple):
    """A row of the table.

    `target_sha256` is the digest of the target as it was when the decision was made (see
    `targets`); if empty, the row holds whatever happens to the target. `undoes` is another row's
    id.
    """

    id: str
    when: str
    who: str
    scope: str
    target: str
    target_sha256: str
    decision: str
    value: str = ""
    reason: str = ""
    undoes: str = ""
    note: str = ""

    @property
    def video(self) -> str:
        """The clip that it is about; empty for a reference."""
        if self.scope == REFERENCE:
            return ""
        track = _TRACK.fullmatch(self.target)
        return track[1] if track else clip_of(self.target)

    @property
    def stage(self) -> str:
        """The stage whose rows it changes."""
        return "caption" if self.decision == CAPTION else _STAGES.get(self.scope, "")

    @property
    def question(self) -> tuple[str, str, str]:
        """The question that it answers: of two decisions with one question, the later counts."""
        target = self.picture if self.scope == REFERENCE else self.target
        asked = _QUESTIONS.get(self.decision, self.decision)
        # One track may be one person with several others: each pair is a question.
        return self.scope, target, f"{asked} {self.value}" if asked == MERGE_TRACKS else asked

    @property
    def picture(self) -> str:
        """Of a reference picture: its digest, by which it is known under any name."""
        return self.target_sha256 or self.target

    @property
    def other_track(self) -> tuple[str, str]:
        """Of `merge_tracks`: the id and the digest of the other track."""
        track, _, sha256 = self.value.partition(" ")
        return track, sha256

    @property
    def allowed(self) -> tuple[str, ...]:
        """Of a caption: the problems that its author accepts, as CONTEXT_WORD:chair."""
        return tuple(filter(None, re.split(r"[\s;,]+", self.reason)))

    def is_stale(self, sha256: str) -> bool:
        """True if it was made about a target with another digest than `sha256`."""
        return bool(self.target_sha256) and self.target_sha256 != sha256

    def said(self) -> str:
        """Who decided it and when, and why if given; in one line."""
        why = f": {self.reason}" if self.reason and self.decision != CAPTION else ""
        return f"{self.who}, {self.when}{why}"


def fault_of(row: Decision) -> str:
    """What is wrong with a row by itself, and what would be right; empty for a sound one."""
    if fault := _fault_of_head(row):
        return fault
    if row.decision == UNDO:
        return "" if row.undoes else "undo needs in `undoes` the id of the row that it takes back"
    if row.decision not in MAY_SAY:
        return f"there is no decision {row.decision!r}; there are {', '.join((*MAY_SAY, UNDO))}"
    if row.undoes:
        return f"only undo takes a row back; {row.decision} leaves `undoes` empty"
    if row.scope not in MAY_SAY[row.decision]:
        scopes = ", ".join(MAY_SAY[row.decision])
        return f"{row.decision} is decided of {scopes}, not of scope {row.scope!r}"
    if not fits_scope(row.scope, row.target):
        return f"{row.target!r} is no id of a thing of scope {row.scope}"
    return _fault_of_value(row) or _fault_of_digest(row)


def fault_of_undo(row: Decision, undone: Decision | None) -> str:
    """What is wrong with a row `undo` beside `undone`, the row before it that has the id which it
    names (None: there is none); empty for a sound one, and for a row that is no undo.
    """
    if row.decision != UNDO:
        return ""
    if undone is None:
        return f"no row before it has the id {row.undoes}, which it undoes"
    if (row.scope, row.target) in (("", ""), (undone.scope, undone.target)):
        return ""
    return (
        f"it undoes {row.undoes}, which is about {undone.scope} {undone.target}, not about "
        f"{row.scope} {row.target}"
    )


def _fault_of_digest(row: Decision) -> str:
    if row.target_sha256 and not _SHA256.fullmatch(row.target_sha256):
        return "target_sha256 is 64 hex digits in small letters, or empty"
    if row.scope == TRACK and not row.target_sha256:
        return "of a track target_sha256 is needed: its number changes when another one is cut"
    if row.decision == MASK and not row.target_sha256:
        return (
            "of a mask target_sha256 is needed, the digest of the crop's file: it was drawn on "
            "those pixels, and is of no use on others"
        )
    if row.scope == REFERENCE and not _SHA256.fullmatch(row.picture):
        return (
            "of a reference the SHA-256 of its file is needed, as target or in target_sha256: "
            "names change, and what a picture shows does not"
        )
    return ""


def _fault_of_head(row: Decision) -> str:
    for name, text in row._asdict().items():
        if any(ord(letter) < 32 or ord(letter) == 127 for letter in text):
            return f"{name} holds a line break or another control character"
    if not _ID.fullmatch(row.id):
        return f"{row.id!r} is no id: 4 to 64 letters, digits, - and _"
    if not is_moment(row.when):
        return f"when is {row.when!r}; it is a moment in UTC, as 2026-01-31T18:05:00Z"
    return "" if row.who.strip() else "nobody is named under who"


def _fault_of_value(row: Decision) -> str:
    if row.decision not in WITH_VALUE:
        return f"{row.decision} has no value, and this is {row.value!r}" if row.value else ""
    if not row.value.strip():
        return f"{row.decision} needs a value"
    check = {
        SPLIT_TRACK: _fault_of_frame,
        MERGE_TRACKS: _fault_of_other_track,
        MASK: _fault_of_mask,
        DUPLICATE_OF: _fault_of_original,
    }.get(row.decision)
    return check(row) if check else ""


def _fault_of_frame(row: Decision) -> str:
    frame = parse(row.value)
    fits = frame is not None and frame.kind == "frame" and frame.video == row.video
    return "" if fits else "the value of split_track is the id of a frame of the track's clip"


def _fault_of_other_track(row: Decision) -> str:
    name, sha256 = row.other_track
    found = _TRACK.fullmatch(name)
    if not found or found[1] != row.video or not _SHA256.fullmatch(sha256):
        return (
            "the value of merge_tracks is the id of another track of the clip and its digest, "
            "parted by a space"
        )
    return "a track is not merged with itself" if sha256 == row.target_sha256 else ""


def _fault_of_mask(row: Decision) -> str:
    found = _MASK.fullmatch(row.value)
    if found and found[1] == row.target:
        return ""
    return (
        f"the value of mask is {MASKS}/{row.target}-<12 digits>.png, below the dataset's folder; "
        "the digits are the first of the file's SHA-256"
    )


def _fault_of_original(row: Decision) -> str:
    if row.value == row.target:
        return "a thing is no duplicate of itself"
    if not fits_scope(row.scope, row.value):
        return f"the value of duplicate_of is the id of the {row.scope} that it repeats"
    if row.scope != IMAGE and clip_of(row.value) != row.video:
        return (
            f"of two clips no {row.scope} is a duplicate of another's: name their images, which "
            "are chosen from the whole set"
        )
    return ""


def track_of(text: str) -> tuple[str, int] | None:
    """The clip and the number of the track that an id names, or None if it is none of a track."""
    found = _TRACK.fullmatch(text)
    return (found[1], int(text[len(found[1]) + 2 :])) if found else None


def fits_scope(scope: str, target: str) -> bool:
    """True if `target` can be the id of an item of this scope."""
    if scope == REFERENCE:
        return bool(target)
    if scope == TRACK:
        return bool(_TRACK.fullmatch(target))
    if scope == CLIP:
        return bool(re.fullmatch(VIDEO_ID, target))
    item = parse(target)
    return item is not None and item.kind == ("image" if scope == IMAGE else "crop")


def is_moment(text: str) -> bool:
    """True for a moment in UTC with seconds, as `now` writes it."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def now() -> str:
    """This moment, as the column `when` has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def row_of(cells: Mapping[str, str]) -> Decision:
    """A row from its cells by column."""
    return Decision(**{name: cells[name] for name in COLUMNS})
