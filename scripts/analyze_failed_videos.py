"""QC0, figures: what happened to every raw file, and is there a copy of each refused one with its
reason?

Writes the checks, and one row for each raw file: its final verdict (from videos.csv), its metadata,
and how many frames were extracted. `build_qc0_failed_videos_html.py` makes the page from these two
files.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from ferrari.ledger import clip_fates, clips_gone, raw_listing
from ferrari.ledger import tables as ledger_tables
from ferrari.ledger.clip_fates import ClipFates
from ferrari.ledger.raw_listing import find_videos
from ferrari.ledger.reasons import (
    DROPPED_BY_REVIEW,
    DUPLICATE_VIDEO,
    LOW_RESOLUTION_TWIN,
    NOT_FETCHED,
    OK,
    UNREADABLE,
    of_stage,
)
from ferrari.ledger.refused_files import BAD_VIDEOS
from ferrari.qc import stage_tables
from ferrari.reports import checks, page
from ferrari.reports.checks import FAIL, PASS, WARN, Check, none_of
from ferrari.storage import buckets
from ferrari.video.clip_verdicts import OTHER_FILM, VERDICTS

#: There is nothing that could be copied, or nothing wrong with it but that nobody wants it.
_NOT_COPIED = frozenset(
    {UNREADABLE, NOT_FETCHED, LOW_RESOLUTION_TWIN, DROPPED_BY_REVIEW, *of_stage("videos")}
)
_METADATA = (
    *("bytes", "container", "codec", "pix_fmt", "width", "height", "sar", "rotation", "fps"),
    *("duration_s", "declared_duration_s", "frames", "bitrate_kbps", "vfr", "largest_gap_s"),
)


def analyze_failed_videos(
    *,
    videos_table: str,
    probe_tables: Sequence[str],
    extract_tables: Sequence[str],
    raw_folder: str,
    dataset: str,
    out_csv: str,
    out_videos_csv: str,
    ignore: Sequence[str] = (),
) -> None:
    """Write QC0's checks and figures per video from videos.csv and the tables of stages 0, 1."""
    probe = stage_tables.load(probe_tables, "probe")
    frames = stage_tables.load(extract_tables, "extract")
    videos = figures(stage_tables.load([videos_table], "videos"), probe, frames)
    raw = find_videos(raw_folder, ignore)
    found = [
        refused_check(clip_fates.of_rows(ledger_tables.iter_table(videos_table))),
        *verdict_checks(probe, videos, sorted(raw)),
        gone_check(Path(dataset), {*raw, *probe["video"]}),
        *copy_checks(videos, Path(dataset), buckets.is_address(raw_folder)),
        changed_check(probe, raw, raw_folder),
        usable_check(videos),
        tracks_check(videos),
    ]
    checks.write(out_csv, found)
    page.write_videos(out_videos_csv, videos)


def figures(videos: pd.DataFrame, probe: pd.DataFrame, frames: pd.DataFrame) -> pd.DataFrame:
    """One row a raw file: verdict, ledger counts of stage 0, metadata, frames extracted."""
    ids = videos["item"].tolist()
    counts = stage_tables.per_video(probe, ids).set_index("video")
    extracted = stage_tables.kept(frames).groupby("video").size().reindex(ids, fill_value=0)
    table = pd.DataFrame(
        {
            "video": ids,
            **{name: videos[name].to_numpy() for name in ("file", "verdict", "duplicate_of")},
            **{name: counts[name].to_numpy() for name in counts.columns},
            "frames_extracted": extracted.to_numpy(),
            **{name: videos[name].to_numpy() for name in ("value", "threshold", *_METADATA)},
            **{name: videos[name].to_numpy() for name in ("other_tracks", "path")},
            "detail": videos["detail"].to_numpy(),
        }
    )
    return table.sort_values("video", kind="stable").reset_index(drop=True)


def refused_check(fates: ClipFates) -> Check:
    """Refused clips are footage missing from the dataset: somebody should know."""
    cures = dict.fromkeys(
        _ended(f"{one.file}: {one.cure}") for one in fates.refused[: clip_fates.NAMED]
    )
    return Check(
        clip_fates.CHECK,
        WARN if fates.refused else PASS,
        fates.figure,
        "0",
        " ".join(["Each clip of the raw folder gives frames.", *cures, *_sentence(fates.apart)]),
        tuple(one.video for one in fates.refused[: checks.MAX_ROWS]),
    )


def _sentence(text: str) -> list[str]:
    return [_ended(text)] if text else []


def _ended(text: str) -> str:
    return text if text.endswith((".", "?")) else f"{text}."


def gone_check(dataset: Path, videos: Collection[str]) -> Check:
    """What was made from clips that no longer exist, once for all stages."""
    gone = clips_gone.left_over(dataset, videos)
    return none_of(
        "clips_gone",
        gone,
        len(gone) + len(videos),
        "Files of clips that are no longer among the raw files lie in the dataset's folders. No "
        "package has them and nothing reads them; `make tidy` lists them with their sizes, and "
        "deletes them with YES=1.",
        otherwise=WARN,
        figure=f"{len(gone):,}",
    )


def verdict_checks(probe: pd.DataFrame, videos: pd.DataFrame, raw: Sequence[str]) -> list[Check]:
    """Every raw file has one known verdict, and no verdict is about a missing file."""
    rows = probe["video"].value_counts()
    wrong = [video for video in raw if rows.get(video, 0) != 1]
    gone = sorted(set(probe["video"]) - set(raw))
    unknown = videos["video"][~videos["verdict"].isin([OK, *VERDICTS])]
    return [
        none_of(
            "one_verdict_a_file",
            wrong,
            len(raw),
            "Each file of the raw folder has exactly one row in stage 0's tables.",
        ),
        none_of(
            "verdicts_have_files",
            gone,
            len(rows),
            "Each verdict is about a file that is still in the raw folder.",
            otherwise=WARN,
        ),
        none_of(
            "verdicts_known",
            unknown,
            len(videos),
            "Each verdict is OK or one that stage 0 or stage 1 can give.",
        ),
    ]


def copy_checks(videos: pd.DataFrame, dataset: Path, in_bucket: bool) -> list[Check]:
    """Each refused file is copied whole to bad_videos/<VERDICT>/, except files that are sound in
    their bucket.
    """
    not_copied = {OK, *_NOT_COPIED, *([DUPLICATE_VIDEO] if in_bucket else [])}
    refused = videos[~videos["verdict"].isin(not_copied)]
    missing, partial = [], []
    for row in refused.to_dict("records"):
        path = dataset / row["path"] if row["path"] else None
        if not str(row["path"]).startswith(f"{BAD_VIDEOS}/{row['verdict']}/") or not path.is_file():
            missing.append(row["video"])
        elif row["bytes"] == row["bytes"] and path.stat().st_size != int(row["bytes"]):
            partial.append(row["video"])
    return [
        none_of(
            "refused_files_copied",
            missing,
            len(refused),
            "Each refused file lies under bad_videos/, in the folder of its verdict.",
        ),
        none_of(
            "refused_files_whole",
            partial,
            len(refused),
            "The copy of each refused file has as many bytes as the raw file.",
        ),
    ]


def changed_check(probe: pd.DataFrame, raw: dict[str, str], raw_folder: str) -> Check:
    """Raw files are still as large as when they were looked at."""
    sizes = dict(zip(probe["video"], probe["bytes"], strict=True))
    changed = []
    for video, now in raw_listing.sizes(raw, raw_folder).items():
        size = sizes.get(video)
        if size is None or size != size:  # no row, or nothing could be read: other checks' subject
            continue
        changed += [video] if now != int(size) else []
    return none_of(
        "raw_files_unchanged",
        changed,
        len(raw),
        "Each raw file still has the size that stage 0 saw.",
        otherwise=WARN,
    )


def usable_check(videos: pd.DataFrame) -> Check:
    """At least one clip gave frames."""
    clips = videos[~videos["verdict"].isin(of_stage("videos"))]
    usable = int((clips["verdict"] == OK).sum())
    return Check(
        "some_video_is_usable",
        PASS if usable else FAIL,
        f"{usable:,} of {len(clips):,}",
        "at least 1",
        "Without a usable video there is no dataset; a table on the page has the verdicts.",
    )


def tracks_check(videos: pd.DataFrame) -> Check:
    """A second film in a file (another camera, another angle) is not left out without a word."""
    usable = videos[videos["verdict"] == OK]
    several = usable["video"][usable["other_tracks"].str.contains(OTHER_FILM, regex=False)]
    return none_of(
        "one_film_a_file",
        several,
        len(usable),
        "Files with more than one film: only the track that players show is used. To use another, "
        "copy it into a file of its own (ffmpeg -i IN -map 0:v:1 -c copy OUT). Of MP4, FLV "
        "or WMV files joined with cat only the first is read: put the parts in as clips of their "
        "own.",
        otherwise=WARN,
    )


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    analyze_failed_videos(
        videos_table=job.input.videos,
        probe_tables=job.params.probe,
        extract_tables=job.params.extract,
        raw_folder=job.params.raw_folder,
        dataset=job.config["dataset"],
        out_csv=job.output.csv,
        out_videos_csv=job.output.videos_csv,
        ignore=job.params.ignore,
    )
