"""QC4: did the detector run on each frame, and is there one sound crop for each kept subject?

Opens each crop again, compares its size with its box and its box with its frame, counts in how many
of a clip's frames a subject was found, and checks whether people were tracked (`qc.track_checks`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.ledger.reasons import (
    DROPPED_BY_REVIEW,
    DUPLICATE_SUBJECT,
    NOT_SUBJECT,
    UNSURE_WHO,
)
from ferrari.ledger.stages import FOLDERS
from ferrari.qc import reopened_images, stage_checks, stage_tables, still_subjects, track_checks
from ferrari.reports import charts, thumbnails
from ferrari.reports.checks import WARN, Check, none_of
from ferrari.reports.page import Report, ReportFiles, publish
from ferrari.subject.faint_people import FAINT, FOUND_BY_FACE

NAME = "qc4_yolo_crops_summary"
FOLDER = FOLDERS["crop"]
SAMPLES = 12
_BOX = ("x1", "y1", "x2", "y2")
_CROP = ("crop_x1", "crop_y1", "crop_x2", "crop_y2")
_SLACK = 1.0  # px; boxes are rounded to three or so digits, crops to whole pixels


def report_crops(
    *,
    tables: Sequence[str],
    detections: Sequence[str],
    tracks: Sequence[str],
    previous: Sequence[str],
    dataset: str,
    qc_settings: dict,
    detect_settings: dict,
    out: ReportFiles,
) -> None:
    """Write QC4 from the tables of crops, `detections`, `tracks` and frames (`previous`)."""
    root = Path(dataset)
    found, frames = stage_tables.load(detections, "detect"), stage_tables.load(previous, "extract")
    rows = with_detections(stage_tables.load(tables, "crop"), found)
    ids = stage_tables.videos_of(previous)
    kept = stage_tables.kept(rows)
    seen = reopened_images.inspect(
        root, kept, ("path", "sha256", *_CROP), look, "crops opened again"
    )
    followed = track_checks.load(tracks)
    videos = per_clip(rows, found, frames, ids).join(
        track_checks.per_clip(followed, found, rows), on="video"
    )
    refused = pd.concat([stage_tables.refused(found), stage_tables.refused(rows)])
    refused = refused.assign(parent=refused["frame"].fillna(refused["parent"]))
    frame_paths = stage_tables.paths_of(frames, refused["parent"])
    publish(
        Report(
            name=NAME,
            checks=[
                *stage_checks.folder_checks(root, FOLDER, stage_tables.with_files(rows), ids),
                *reopened_images.readable_checks("crops", kept, seen),
                *box_checks(kept, seen),
                *detection_checks(kept, videos, qc_settings, detect_settings),
                still_subjects.check(rows, frames),
                *track_checks.checks(followed, found, frames),
                *stage_checks.ledger_checks("detect", found, frames),
                *stage_checks.ledger_checks("crop", rows, found),
            ],
            counts={"Frames": len(stage_tables.kept(frames))}
            | stage_tables.counts(rows, ids, "Crops kept"),
            videos=videos,
            charts=[
                *pictures(rows, found, videos, qc_settings, detect_settings),
                *track_checks.pictures(followed),
            ],
            refused=thumbnails.of_rows(dataset, refused, qc_settings["thumbnails"], frame_paths),
            refused_total=len(refused),
            refused_hint="The picture is the frame that was looked at.",
            samples=thumbnails.of_rows(dataset, kept.assign(reason=""), SAMPLES),
        ),
        out,
    )


def look(dataset: Path, cells: tuple) -> dict:
    """Open one crop: fault, sha_ok, size_ok (RGB and as large as its box)."""
    path, sha256, left, top, right, bottom = cells
    opened = reopened_images.reopen(dataset, path)
    return {
        "fault": opened.fault,
        "sha_ok": opened.sha256 == sha256,
        "size_ok": opened.mode == "RGB" and opened.size == (right - left, bottom - top),
    }


def with_detections(rows: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The rows of crops with the frame of each, what found it, and whether its box counts by its
    face alone (`by_face`); empty where no detection is.
    """
    known = found.drop_duplicates("item").set_index("item")
    known = known.assign(
        by_face=known["detail"].astype(str).str.contains(FOUND_BY_FACE, regex=False)
    )
    known = known[["parent", "detector", "device", "by_face"]].rename(columns={"parent": "frame"})
    joined = rows.join(known, on="parent")
    joined = joined.fillna({"frame": "", "detector": "", "device": ""})
    return joined.assign(by_face=joined["by_face"].eq(True))


def per_clip(
    rows: pd.DataFrame, found: pd.DataFrame, frames: pd.DataFrame, ids: Sequence[str]
) -> pd.DataFrame:
    """Counts of crops and, as detect_..., of detections; frames looked at, frames with a subject,
    and the share of frames with anybody large enough, for each clip.
    """
    searched = stage_tables.per_video(found, ids).set_index("video").add_prefix("detect_")
    table = stage_tables.per_video(rows, ids).set_index("video").join(searched)
    kept = stage_tables.kept(rows)
    table["frames"] = stage_tables.kept(frames).groupby("video").size().reindex(ids, fill_value=0)
    subjects = rows[rows["item"].isin(kept["item"]) | (rows["reason"] == DUPLICATE_SUBJECT)]
    with_subject = subjects.groupby("video")["frame"].nunique()
    table["frames_with_subject"] = with_subject.reindex(ids, fill_value=0)
    repeats = rows[rows["reason"] == DUPLICATE_SUBJECT].groupby("video").size()
    table["repeats"] = repeats.reindex(ids, fill_value=0)
    # Found and large enough, whoever it is, and whatever a person made of it.
    judged = rows[rows["reason"].isin((NOT_SUBJECT, UNSURE_WHO, DROPPED_BY_REVIEW))]
    found_in = pd.concat([subjects, judged]).groupby("video")["frame"].nunique()
    rate = found_in.reindex(ids, fill_value=0) / table["frames"]
    table["detection_rate"] = rate.where(table["frames"] > 0)
    table["median_confidence"] = kept.groupby("video")["confidence"].median()
    table["detector"] = found[found["detector"] != ""].groupby("video")["detector"].first()
    table["detector"] = table["detector"].fillna("")
    return table.rename_axis("video").reset_index()


def box_checks(kept: pd.DataFrame, seen: pd.DataFrame) -> list[Check]:
    """Sizes on the disk, boxes within frames and crops around boxes."""
    wrong_size = kept["item"][~reopened_images.flags(seen, "size_ok")]
    outside = kept["item"][~(_inside(kept, _CROP, 0.0) & _inside(kept, _BOX, _SLACK))]
    holds = (
        (kept["crop_x1"] <= kept["x1"].clip(lower=0) + _SLACK)
        & (kept["crop_y1"] <= kept["y1"].clip(lower=0) + _SLACK)
        & (kept["crop_x2"] >= np.minimum(kept["x2"], kept["frame_width"]) - _SLACK)
        & (kept["crop_y2"] >= np.minimum(kept["y2"], kept["frame_height"]) - _SLACK)
    )
    return [
        none_of(
            "crop_sizes_equal_boxes",
            wrong_size,
            len(kept),
            "Each crop on the disk is RGB and exactly as large as its box.",
        ),
        none_of(
            "boxes_inside_frames",
            outside,
            len(kept),
            "Each box has an area, and lies in its frame.",
        ),
        none_of(
            "crops_hold_their_boxes",
            kept["item"][~holds],
            len(kept),
            "Each crop contains the whole box of its detection.",
        ),
    ]


def _inside(rows: pd.DataFrame, names: Sequence[str], slack: float) -> pd.Series:
    left, top, right, bottom = (rows[name] for name in names)
    return (
        (left >= -slack)
        & (top >= -slack)
        & (right <= rows["frame_width"] + slack)
        & (bottom <= rows["frame_height"] + slack)
        & (left < right)
        & (top < bottom)
    )


def detection_checks(
    kept: pd.DataFrame, videos: pd.DataFrame, qc_settings: dict, detect_settings: Mapping
) -> list[Check]:
    """Confidence, completeness of the metadata, and the detection rate per clip."""
    confidence = kept["confidence"]
    from_mask = detect_settings["backend"] == "mask"  # a box around a mask has no confidence
    least = 0.0 if from_mask else float(detect_settings["confidence"])
    sound = confidence.between(least - 1e-3, 1) | (from_mask & confidence.isna())
    sound |= kept["by_face"] & confidence.between(FAINT, 1)
    nameless = (kept[["class_name", "detector", "device"]] == "").any(axis=1)
    figures = kept[[*_BOX, *_CROP, "frame_width", "frame_height"]].isna().any(axis=1)
    floor = qc_settings["min_detection_rate"]
    poor = videos[videos["detection_rate"] < floor]
    lowest = videos["detection_rate"].min()
    return [
        none_of(
            "confidences_sound",
            kept["item"][~sound],
            len(kept),
            "Each kept detection has a confidence of at least detect.confidence, or 0.1 where a "
            "face speaks for it, and at most 1.",
            bound=f"{least:g} to 1",
        ),
        none_of(
            "metadata_complete",
            kept["item"][nameless | figures],
            len(kept),
            "Each kept row has class, detector, device, its box, its crop and its frame's size.",
        ),
        none_of(
            "detection_rate_per_video",
            poor["video"],
            int((videos["frames"] > 0).sum()),
            "Clips with anybody in a smaller share of frames than qc.min_detection_rate; who is "
            "smaller than detect.min_side does not count. detect.class, detect.confidence or "
            "detect.min_side may not suit them, or nobody is in the picture.",
            otherwise=WARN,
            bound=f"at least {floor:.0%}",
            figure=f"lowest {lowest:.1%}" if lowest == lowest else "no frame",
        ),
    ]


def pictures(
    rows: pd.DataFrame,
    found: pd.DataFrame,
    videos: pd.DataFrame,
    qc_settings: dict,
    detect_settings: Mapping,
) -> list[charts.Chart]:
    """Outcomes, detection rate, confidence, place in the frame, size, and clips."""
    kept = stage_tables.kept(rows)
    centre_x = (kept["x1"] + kept["x2"]) / 2 / kept["frame_width"]
    centre_y = (kept["y1"] + kept["y2"]) / 2 / kept["frame_height"]
    outcomes = stage_tables.reasons(pd.concat([stage_tables.refused(found), rows]))
    sides = kept[["crop_x2", "crop_y2"]].to_numpy() - kept[["crop_x1", "crop_y1"]].to_numpy()
    return [
        charts.bars(outcomes, "Outcomes", note="Crops kept, or why not; frames without any."),
        charts.histogram(
            videos["detection_rate"],
            "Detection rate per clip",
            "share of the frames with anybody large enough",
            bounds=[qc_settings["min_detection_rate"]],
            limits=(0, 1),
            bins=25,
            count_title="clips",
        ),
        charts.histogram(
            kept["confidence"],
            "Confidence",
            "of kept detections",
            bounds=[float(detect_settings["confidence"])],
            limits=(0, 1),
            count_title="crops",
        ),
        charts.density(
            centre_x,
            centre_y,
            "Where the subject is",
            "across the frame",
            "down the frame",
            limits=((0, 1), (0, 1)),
            cells=24,
            y_down=True,
            note="Centres of the boxes, as shares of the frame.",
        ),
        charts.histogram(
            sides.min(axis=1) if len(sides) else [],
            "Short side of the crops",
            "px",
            bounds=[float(detect_settings["min_side"])],
            count_title="crops",
        ),
        charts.clips(videos, "detections"),
    ]


def run(job) -> None:
    """The job of the report (see `make_report`)."""
    report_crops(
        tables=job.input.tables,
        detections=job.params.detections,
        tracks=job.params.tracks,
        previous=job.params.previous,
        dataset=job.config["dataset"],
        qc_settings=job.params.qc_settings,
        detect_settings=job.params.detect_settings,
        out=ReportFiles.of(job.output),
    )
