"""The judgements of tracks and detections, as frames for the identity report.

A clip's table of judgements has one row for the clip as a whole, without a track, then one for each
track. The rows of crops say what happened to each detection. Embeddings are never read here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from ferrari.ledger import tables
from ferrari.ledger.columns import DROPPED, KEPT, QUARANTINED
from ferrari.ledger.reasons import (
    NOT_SUBJECT,
    NOT_TARGET,
    TOO_SMALL,
    UNREADABLE_FRAME,
    UNSURE_WHO,
)
from ferrari.qc import stage_tables
from ferrari.subject import judgements
from ferrari.subject.modes import SINGLE

#: On what evidence a detection may be the subject, the strongest first.
EVIDENCE = ("review", "face", "track", "body", "set")
_FIGURES = (
    *("track", "linked_track", "score", "threshold", "sureness", "faces", "faces_seen"),
    *("face_px", "frames", "from_s", "to_s"),
)
#: What the report reads of a clip's table of judgements.
COLUMNS = (*_FIGURES, "who", "by", "why", "mode", "joined")
#: What it reads of the pictures in subject.references and subject.not.
REFERENCE_COLUMNS = (
    *("setting", "file", "sha256", "outcome", "reason", "value", "threshold", "detail"),
)
#: What it reads of the people of the vote.
PEOPLE_COLUMNS = ("person", "clips", "tracks", "subject")


def load(paths: Sequence[str]) -> pd.DataFrame:
    """The rows of all clips' tables of judgements, with `video`; figures are numbers, and the row
    of the clip itself has no `track`. Raises LedgerError where a column is missing.
    """
    rows, videos = [], []
    for path in paths:  # one frame for all: one a clip takes 2 ms
        for row in tables.iter_table(path, COLUMNS):
            rows.append(row)
            videos.append(Path(path).stem)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).assign(video=pd.Series(videos, dtype="str"))
    figures = {name: pd.to_numeric(table[name]).astype(float) for name in _FIGURES}
    return table.assign(**figures)


def references(path: str) -> pd.DataFrame:
    """The rows of subject/references.csv: each picture of the subject, and of others."""
    return _of_the_set(path, REFERENCE_COLUMNS, ("value", "threshold"))


def people(path: str) -> pd.DataFrame:
    """The rows of subject/people.csv: each person in the clips that were asked."""
    return _of_the_set(path, PEOPLE_COLUMNS, ("person", "clips", "tracks"))


def _of_the_set(path: str, columns: Sequence[str], figures: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(list(tables.iter_table(path, columns)), columns=list(columns), dtype="str")
    return table.assign(**{name: pd.to_numeric(table[name]).astype(float) for name in figures})


def clips(judged: pd.DataFrame) -> pd.DataFrame:
    """The rows of clips as a whole."""
    return judged[judged["track"].isna()]


def tracks(judged: pd.DataFrame) -> pd.DataFrame:
    """The rows of tracks, with `name`, by which checks call them."""
    rows = judged[judged["track"].notna()]
    names = [
        name_of(video, track) for video, track in zip(rows["video"], rows["track"], strict=True)
    ]
    return rows.assign(name=pd.Series(names, index=rows.index, dtype="str"))


def in_frames(judged: pd.DataFrame) -> pd.DataFrame:
    """The rows of tracks that are seen in kept frames, not in pictures of the linking film alone:
    nothing is delivered of the others, and none of them waits for anybody.
    """
    rows = tracks(judged)
    return rows[rows["frames"] > 0]


def name_of(video: str, track: float) -> str:
    """The id of a track, as `make decide` and `make trace` take it: its clip's, and its number."""
    return f"{video}-t{track:.0f}"


def nobody_is_judged(judged: pd.DataFrame) -> bool:
    """True where all clips were made with subject.mode: single."""
    modes = set(clips(judged)["mode"])
    return modes == {SINGLE}


def fates(crops: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """The rows of crops with `who`, as their fate says it, and `judged`, as their track's row does.

    What was too small or unreadable may be the subject's or unsure, as its track is. All else that
    was not refused for who it shows is the subject's; in the mode `single` that is whom
    `detect.policy` chose, and nobody is judged.
    """
    known = {NOT_SUBJECT: judgements.NOT_SUBJECT, UNSURE_WHO: judgements.UNSURE}
    known |= {NOT_TARGET: judgements.NOT_SUBJECT}
    rows = tracks(judged).drop_duplicates(["video", "track"]).set_index(["video", "track"])
    joined = crops.join(rows["who"].rename("judged"), on=["video", "track"])
    who = joined["reason"].map(known).fillna(judgements.SUBJECT)
    open_to_both = joined["reason"].isin([TOO_SMALL, UNREADABLE_FRAME])
    waits = open_to_both & (joined["judged"] == judgements.UNSURE)
    who = who.mask(waits, judgements.UNSURE)
    by_hand = (joined["decision"] != "") & joined["judged"].notna()
    return joined.assign(who=who.mask(by_hand, joined["judged"]).astype("str"))


def per_clip(judged: pd.DataFrame, crops: pd.DataFrame, ids: Sequence[str]) -> pd.DataFrame:
    """A row a clip: its detections by who they are (kept: the subject's; quarantined: unsure;
    dropped: somebody else's, or too small to ask), its tracks in frames likewise, faces, and
    delivered crops by evidence.
    """
    whose = fates(crops, judged)
    waits = whose["reason"] == UNSURE_WHO
    known = whose["who"] == judgements.SUBJECT
    outcome = pd.Series(DROPPED, whose.index).mask(known, KEPT).mask(waits, QUARANTINED)
    whose = whose.assign(outcome=outcome)
    table = stage_tables.per_video(whose, ids).set_index("video")
    whole = clips(judged).drop_duplicates("video").set_index("video")
    table["mode"] = whole["mode"]
    table["mode"] = table["mode"].fillna("")
    for name in ("faces_seen", "faces"):
        table[name] = whole[name]
    rows = in_frames(judged)
    for title, who in (
        ("subject_tracks", judgements.SUBJECT),
        ("other_tracks", judgements.NOT_SUBJECT),
        ("unsure_tracks", judgements.UNSURE),
    ):
        table[title] = _count(rows[rows["who"] == who], ids)
    delivered = stage_tables.kept(crops)
    table["crops"] = _count(delivered, ids)
    for evidence in EVIDENCE:
        table[f"by_{evidence}"] = _count(delivered[delivered["identity_by"] == evidence], ids)
    table["least_sureness"] = delivered.groupby("video")["sureness"].min()
    return table.rename_axis("video").reset_index()


def _count(rows: pd.DataFrame, ids: Iterable[str]) -> pd.Series:
    return rows.groupby("video").size().reindex(list(ids), fill_value=0).astype(int)


def in_words(why: str) -> str:
    """What a reason means, as a sentence; a reason without words is said as it is."""
    said = judgements.WORDS.get(why, why.replace("_", " "))
    end = "" if said.endswith("?") else "."
    return f"{said[:1].upper()}{said[1:]}{end}" if said else ""
