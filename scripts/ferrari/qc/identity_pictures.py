"""The pictures of the identity report: first the people in doubt, beside the subject.

Pictures are crops, or cut out of frames if a detection has no crop. No part of an embedding is
shown, and no table of the page has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferrari.common.counts import number_of
from ferrari.common.visible_text import shown
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import NOT_SUBJECT, OK, UNSURE_WHO
from ferrari.qc import identity_tables, reference_checks, stage_tables
from ferrari.qc.identity_tables import EVIDENCE, in_words
from ferrari.reports import charts, thumbnails
from ferrari.reports.page import Gallery, Table
from ferrari.reports.thumbnails import Thumb
from ferrari.subject import judgements as words
from ferrari.subject.face_weights import GOOD, LEAST, USABLE

#: px; a frontal face of this short side decides.
DECIDES = LEAST + USABLE * (GOOD - LEAST)
BESIDE, WEAKEST = 6, 24
#: Reasons of doubt, what looks most like a mistake first; others come before them.
_URGENT = (
    *(words.FACES_DISAGREE, words.FACE_DIFFERS, words.TWO_AT_ONCE, words.TWO_FACES),
    *(words.LIKE_BOTH, words.CLOTHES_OF_TWO, words.BETWEEN, words.BESIDE_SUBJECT),
    *(words.FACES_TOO_SMALL, words.REFLECTION, words.NO_FACE, words.NOBODY_NAMED),
)
_CUT = ["crop_x1", "crop_y1", "crop_x2", "crop_y2"]


@dataclass(frozen=True)
class Pictures:
    """Where pictures are: the dataset's folder, the paths of frames by detection, and the folder
    of the references, if there is one."""

    dataset: Path
    frames: Mapping[str, str]
    references: Path | None = None

    def of_detection(self, row: Mapping) -> str:
        """A thumbnail of a row of crops, out of its frame where it has no file of its own."""
        if row["path"]:
            return thumbnails.data_uri(self.dataset / row["path"])
        frame, box = self.frames.get(row["parent"], ""), [row[name] for name in _CUT]
        if not frame or not np.isfinite(box).all():
            return ""
        x1, y1, x2, y2 = (round(side) for side in box)
        return thumbnails.data_uri(self.dataset / frame, (x1, y1, x2, y2))


def doubts(
    judged: pd.DataFrame, crops: pd.DataFrame, pictures: pd.DataFrame, where: Pictures, most: int
) -> list[Gallery]:
    """The people in doubt, beside the subject; at most `most` of those that wait for a decision,
    and as many of the others.

    `pictures` are the rows of references.
    """
    if identity_tables.nobody_is_judged(judged) or not most:
        return []
    subject, chosen = beside(crops, pictures, where), doubtful(crops, most)
    total = len(_a_track(crops[crops["reason"] == UNSURE_WHO]))
    note = f"{len(chosen):,} of {total:,} tracks are shown, a picture each; they wait in "
    note = (
        f"{note}bad_frames until you decide (make review), or add references that settle it."
        if total
        else "Nothing is to be decided: nobody waits in bad_frames."
    )
    settled = unsure_but_settled(judged, crops)
    if len(settled):
        note += (
            f" {number_of(len(settled), 'track')} more: unsure too, but nothing is to be decided. "
            "All that is seen of them was left out for another reason, which their pictures name."
        )
    first = f"The first {len(subject)} pictures are the subject, to compare. " if subject else ""
    thumbs = [_thumbs(rows, judged, where) for rows in (chosen, settled.head(most))]
    return [Gallery("In doubt", first + note, [*subject, *thumbs[0], *thumbs[1]])]


def accepted(
    judged: pd.DataFrame, crops: pd.DataFrame, where: Pictures, most: int
) -> list[Gallery]:
    """The tracks accepted as the subject on the weakest evidence; none if `most` is 0."""
    if identity_tables.nobody_is_judged(judged) or not most:
        return []
    note = "A crop of each track, the least sure first: look whether it is the subject."
    thumbs = _thumbs(weakest(crops, WEAKEST), judged, where)
    return [Gallery("The subject, on the weakest evidence", note, thumbs)]


def others(
    judged: pd.DataFrame, crops: pd.DataFrame, where: Pictures, most: int
) -> tuple[list[Thumb], int]:
    """A picture of each track that was refused as somebody else (`most` of them), and how many."""
    refused = _a_track(crops[crops["reason"] == NOT_SUBJECT])
    chosen = thumbnails.spread(refused.assign(reason=refused["identity_why"]), most)
    return _thumbs(chosen, judged, where), len(refused)


def beside(crops: pd.DataFrame, pictures: pd.DataFrame, where: Pictures) -> list[Thumb]:
    """The subject for comparison: the references or, without any, the faces most similar to the
    template.
    """
    of_subject = pictures["setting"] == reference_checks.OF_SUBJECT
    used = pictures[(pictures["outcome"] == KEPT) & of_subject]
    if len(used) and where.references:
        return [
            Thumb(
                shown(file),
                "REFERENCE",
                meaning="A picture of subject.references.",
                uri=thumbnails.of_users(where.references / file),
            )
            for file in used["file"].head(BESIDE)
        ]
    known = stage_tables.kept(crops)
    known = known[known["identity_by"] == words.FACE]
    best = known.sort_values("identity_score", ascending=False, kind="stable")
    return [
        Thumb(
            shown(row["item"]),
            "SUBJECT",
            meaning="The person who was taken for the subject.",
            detail=f"similarity {row['identity_score']:.3g}",
            uri=where.of_detection(row),
        )
        for row in best.drop_duplicates("video").head(BESIDE).to_dict("records")
    ]


def doubtful(crops: pd.DataFrame, most: int) -> pd.DataFrame:
    """A row of crops for each track (and reason) that is unsure, the most urgent first."""
    unsure = _a_track(crops[crops["reason"] == UNSURE_WHO])
    chosen = thumbnails.spread(unsure.assign(reason=unsure["identity_why"]), most)
    rank = chosen["identity_why"].map({why: place for place, why in enumerate(_URGENT, 1)})
    order = chosen.assign(rank=rank.fillna(0)).sort_values("rank", kind="stable")
    return order.drop(columns="rank")


def unsure_but_settled(judged: pd.DataFrame, crops: pd.DataFrame) -> pd.DataFrame:
    """A row of crops for each track that is unsure and of which nothing waits: what is seen of it
    was refused for another reason (TOO_SMALL), which the column `left_out` has.
    """
    tracks = identity_tables.in_frames(judged)
    unsure = tracks[tracks["who"] == words.UNSURE][["video", "track"]].drop_duplicates()
    rows = crops.merge(unsure, on=["video", "track"])
    waiting = rows["reason"].eq(UNSURE_WHO).groupby([rows["video"], rows["track"]]).transform("any")
    settled = _a_track(rows[~waiting.astype(bool)])
    return settled.assign(left_out=settled["reason"])


def weakest(crops: pd.DataFrame, most: int) -> pd.DataFrame:
    """A crop of each track that is delivered, the weakest evidence first."""
    known = stage_tables.kept(crops)
    strength = known["identity_by"].map({by: -place for place, by in enumerate(EVIDENCE)})
    ranked = known.assign(strength=strength.fillna(-len(EVIDENCE)))
    ranked = ranked.sort_values(["strength", "sureness", "item"], kind="stable")
    return ranked.drop_duplicates(["video", "track"]).head(most).drop(columns="strength")


def _a_track(rows: pd.DataFrame) -> pd.DataFrame:
    """The middle row of each track and reason; rows are in the order of their clip."""
    groups = rows.groupby(["video", "track", "identity_why"], dropna=False, sort=False)
    middle = groups.cumcount() == groups["item"].transform("size") // 2
    return rows[middle]


def _thumbs(rows: pd.DataFrame, judged: pd.DataFrame, where: Pictures) -> list[Thumb]:
    tracks = identity_tables.tracks(judged).drop_duplicates("name").set_index("name")
    return [
        Thumb(
            item=shown(row["item"]),
            reason=shown(row["identity_why"].upper()),
            meaning=in_words(row["identity_why"]),
            detail=_detail(row, tracks),
            uri=where.of_detection(row),
        )
        for row in rows.to_dict("records")
    ]


def _detail(row: Mapping, tracks: pd.DataFrame) -> str:
    """Why it was left out if not for who it shows; the score, its bound where the row has one; and
    what faces its track shows.
    """
    said = [f"left out: {shown(row['left_out'])}"] if row.get("left_out") else []
    if np.isfinite(row["identity_score"]):
        what = "clothes" if row["identity_by"] == words.BODY else "similarity"
        score = f"{what} {row['identity_score']:.3g}"
        bounded = row["reason"] not in ("", OK) and np.isfinite(row["threshold"])
        said.append(f"{score} (bound {row['threshold']:.3g})" if bounded else score)
    if row["outcome"] == KEPT:
        said.append(f"by {row['identity_by']}, sureness {row['sureness']:.2g}")
    name = identity_tables.name_of(row["video"], row["track"])
    if name in tracks.index:
        track = tracks.loc[name]
        said.append(f"track {name}: {_faces_said(track)}")
    return ", ".join(said)


def _faces_said(track: Any) -> str:
    if not track["faces_seen"] > 0:
        return "no face"
    side = f", {track['face_px']:.0f} px" if np.isfinite(track["face_px"]) else ""
    return f"{track['faces']:.0f} of {track['faces_seen']:.0f} faces judged{side}"


def page_tables(
    judged: pd.DataFrame, crops: pd.DataFrame, pictures: pd.DataFrame, people: pd.DataFrame
) -> list[Table]:
    """The tables of the page: references, people of the vote, and tracks in doubt."""
    found = []
    if len(pictures):
        note = "Each file of subject.references and subject.not, those that are not used first."
        note += " The value is what was measured: the short side of the face (px), how clear the"
        note += " face is (0 to 1), or how alike the picture is to the other references."
        found.append(Table("References", note, reference_checks.listed(pictures)))
    if len(people):
        note = "Who is in the clips that were asked, and in how many of them."
        said = people["subject"].map({"1": "yes"}).fillna("")
        found.append(Table("People", note, people.assign(subject=said)))
    tracks = identity_tables.in_frames(judged)
    unsure = tracks[tracks["who"] == words.UNSURE].sort_values("frames", ascending=False)
    if len(unsure):
        note = "Nothing says clearly who they are; those seen longest first. Of a track with 0 "
        note += "waiting nothing is to be decided: all of it was left out for another reason. "
        note += "make decide SUBJECT=<track> says that one is the subject, NOT_SUBJECT=<track> "
        note += "that it is not."
        found.append(Table("Tracks in doubt", note, _listed(unsure, crops)))
    return found


def _listed(tracks: pd.DataFrame, crops: pd.DataFrame) -> pd.DataFrame:
    told = ["video", "track", "score", "threshold", "faces", "faces_seen", "face_px", "frames"]
    rows = tracks[[*told, "from_s", "to_s"]].copy()
    rows.insert(2, "why", tracks["why"].map(in_words))
    waiting = crops[crops["reason"] == UNSURE_WHO].groupby(["video", "track"]).size()
    keys = zip(rows["video"], rows["track"], strict=True)
    rows.insert(3, "waiting", [int(waiting.get(key, 0)) for key in keys])
    return rows.assign(track=tracks["name"]).reset_index(drop=True)


def distributions(
    judged: pd.DataFrame, crops: pd.DataFrame, videos: pd.DataFrame
) -> list[charts.Chart]:
    """Scores of tracks, sizes of faces, evidence of what is delivered, reasons, and clips; a chart
    that would be empty is left out.
    """
    if identity_tables.nobody_is_judged(judged):
        return []
    tracks, delivered = identity_tables.in_frames(judged), stage_tables.kept(crops)
    clips = _whose(videos)
    found = _of_faces(tracks) + (_of_crops(delivered) if len(delivered) else [])
    if len(tracks):
        note = "What decided about the tracks; the pictures have it in words."
        counts = tracks["why"].str.upper().value_counts()
        found.append(charts.bars(counts, "Why", note=note, count_title="tracks"))
    if clips.to_numpy().sum():
        note = "Whose detections they are; the 30 clips with the most."
        found.append(charts.stacked(clips, "Clips", note=note))
    return found


def _of_faces(tracks: pd.DataFrame) -> list[charts.Chart]:
    found = []
    graded = tracks["why"].isin([words.LIKE_SUBJECT, words.BETWEEN, words.UNLIKE])
    scored = tracks[graded & tracks["score"].notna()]
    if len(scored):
        chart = charts.histogram(
            scored["score"],
            "Similarity to the subject",
            "of tracks with a face that could be judged",
            bounds=sorted(set(scored["threshold"].dropna())),
            count_title="tracks",
            note="Two peaks are good: the subject, and everybody else. Lines: the thresholds.",
        )
        found.append(chart)
    if tracks["face_px"].notna().any():
        chart = charts.histogram(
            tracks["face_px"],
            "Sizes of faces",
            "short side, px; median of a track",
            bounds=[DECIDES],
            count_title="tracks",
            note=f"From {DECIDES:g} px on, a sharp face from the front decides by itself.",
        )
        found.append(chart)
    return found


def _of_crops(delivered: pd.DataFrame) -> list[charts.Chart]:
    return [
        charts.bars(
            delivered["identity_by"].value_counts(),
            "Evidence of the crops",
            note="face: its own; track: a face elsewhere in its track; body: clothes; set: nobody "
            "else is in the set; review: somebody said so.",
            count_title="crops",
        ),
        charts.histogram(
            delivered["sureness"],
            "Sureness of the crops",
            "1 at a face; less with the seconds to it",
            limits=(0, 1),
            bins=25,
            count_title="crops",
        ),
    ]


def _whose(videos: pd.DataFrame) -> pd.DataFrame:
    parts = videos.set_index("video")[["kept", "dropped", "quarantined"]]
    return parts.set_axis(["subject", "somebody else", "unsure"], axis=1)
