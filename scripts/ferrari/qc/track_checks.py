"""Were the people of each clip followed: has each detection its track, and was the film searched?

Whether tracks are right is not asked here. How steadily they show one person is a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ferrari.ledger.columns import QUARANTINED
from ferrari.ledger.reasons import NOT_THE_SUBJECTS
from ferrari.qc import stage_tables
from ferrari.reports import charts
from ferrari.reports.checks import WARN, Check, none_of
from ferrari.subject import clip_table, track_table

_SLACK_S = 1e-5  # times are rounded to six digits


def load(paths: Sequence[str]) -> pd.DataFrame:
    """The rows of all clips' tables of tracks, with `video`; figures are numbers, the row of the
    clip itself has no `track`.
    """
    rows, videos = [], []
    for path in paths:  # one frame for all: one a clip takes 2 ms
        for row in clip_table.read(path, track_table.COLUMNS):
            rows.append(row)
            videos.append(Path(path).stem)
    columns = list(track_table.COLUMNS)
    table = pd.DataFrame(rows, columns=columns).assign(video=pd.Series(videos, dtype="str"))
    figures = [name for name in track_table.COLUMNS if name != "ended_by"]
    return table.assign(**{name: pd.to_numeric(table[name]).astype(float) for name in figures})


def per_clip(followed: pd.DataFrame, found: pd.DataFrame, crops: pd.DataFrame) -> pd.DataFrame:
    """By video: pictures searched, tracks, those of the subject, and how steady the tracks are.

    `found` are rows of detections, `crops` those of crops.
    """
    clips = followed[followed["track"].isna()].set_index("video")
    table = pd.DataFrame({"pictures": clips["moments"]})
    table["tracks"] = followed.groupby("video")["track"].count()
    known = found.drop_duplicates("item").set_index("item")["track"]
    chosen = crops[~crops["reason"].isin(NOT_THE_SUBJECTS)]
    chosen = chosen.assign(track=chosen["parent"].map(known))
    table["subject_tracks"] = chosen.groupby("video")["track"].nunique()
    table["consistency"] = clips["consistency"]
    return table.fillna({"subject_tracks": 0})


def checks(followed: pd.DataFrame, found: pd.DataFrame, frames: pd.DataFrame) -> list[Check]:
    """`found` are rows of detections, `frames` of frames."""
    kept = stage_tables.kept(found)
    tracks = followed[followed["track"].notna()]
    spans = tracks.set_index(["video", "track"])[["from_s", "to_s", "frames"]]
    times = stage_tables.kept(frames).drop_duplicates("item").set_index("item")["time_s"]
    time_s = pd.to_numeric(kept["parent"].map(times)).astype(float)  # text where no clip is there
    placed = kept.assign(time_s=time_s).join(spans, on=["video", "track"])
    outside = (placed["time_s"] < placed["from_s"] - _SLACK_S) | (
        placed["time_s"] > placed["to_s"] + _SLACK_S
    )
    counted = kept.groupby(["video", "track"]).size().reindex(spans.index, fill_value=0)
    wrong = spans.index[counted != spans["frames"]]
    return [
        none_of(
            "detections_have_tracks",
            placed["item"][placed["from_s"].isna()],
            len(kept),
            "Each kept detection belongs to a track in its clip's table of tracks.",
        ),
        none_of(
            "tracks_hold_their_detections",
            placed["item"][outside],
            len(kept),
            "Each kept detection lies between the first and the last moment of its track.",
        ),
        none_of(
            "tracks_count_their_detections",
            [f"{video}, track {number:.0f}" for video, number in wrong],
            len(spans),
            "Each track has as many detections in kept frames as its row says.",
        ),
        *_searched_checks(followed, found),
    ]


def _searched_checks(followed: pd.DataFrame, found: pd.DataFrame) -> list[Check]:
    clips = followed[followed["track"].isna()].set_index("video")
    seen = found[found["outcome"] != QUARANTINED].groupby("video")["parent"].nunique()
    expected = seen.reindex(clips.index, fill_value=0)
    return [
        none_of(
            "frames_followed",
            clips.index[clips["frames"] != expected],
            len(clips),
            "Each frame that was searched is among the moments that people were followed by.",
        ),
        none_of(
            "films_searched",
            clips.index[clips["unsearched"] > 0],
            len(clips),
            "Clips with pictures of the linking film that ended the detector: people are followed "
            "without these, and may be in more tracks than need be.",
            otherwise=WARN,
        ),
    ]


def pictures(followed: pd.DataFrame) -> list[charts.Chart]:
    """How steady tracks are, and how long."""
    tracks = followed[followed["track"].notna()]
    return [
        charts.histogram(
            tracks["consistency"],
            "Temporal consistency",
            "of tracks: 1 is one person who moves evenly",
            limits=(0, 1),
            bins=25,
            count_title="tracks",
        ),
        charts.bars(
            tracks["ended_by"].value_counts(),
            "Why tracks end",
            note="A track ends where it is in doubt who goes on.",
        ),
    ]
