"""Draw the bank of scenes for blurred backgrounds: one plate for each pinned clip or user's
picture.

Reads the probe, frame and detection tables of the pinned clips; writes `environments/<id>.png`
beside `environments.csv` (columns: ferrari.ledger.columns). A clip without a usable scene is a row
with its reason: NO_FRAME, NO_TRUSTED_FRAME, SCENE_HIDDEN, UNREADABLE_FRAME. A file in the user's
folder that is not a picture is UNREADABLE_PICTURE; one that is too large once decoded is TOO_LARGE.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from ferrari.backgrounds import scene_bank
from ferrari.common.atomic_files import whole_folder
from ferrari.common.counts import number_of
from ferrari.common.progress import LOGGER, Progress
from ferrari.images import image_files, user_pictures
from ferrari.ledger.columns import COLUMNS, DROPPED, KEPT, QUARANTINED
from ferrari.ledger.pinned_clips import pin
from ferrari.ledger.reasons import (
    NO_FRAME,
    NO_TRUSTED_FRAME,
    SCENE_HIDDEN,
    TOO_LARGE,
    UNREADABLE_FRAME,
    UNREADABLE_PICTURE,
)
from ferrari.ledger.stages import PINNED_CSV
from ferrari.ledger.tables import Row, check_verdict, kept, read_stage, write_table

_TRIES = 3  # frames of a clip that may turn out unreadable before the clip is given up


def draw_environments(
    *,
    probe_csvs: Iterable[str | os.PathLike],
    frames_csvs: Iterable[str | os.PathLike],
    detections_csvs: Iterable[str | os.PathLike],
    folder: str | os.PathLike | None,
    dataset: str | os.PathLike,
    out_csv: str | os.PathLike,
) -> None:
    """Write the plates and their table; with `folder`, from the user's pictures instead of clips.

    Which clips lend their scenes is written down once: later clips change nothing.
    """
    out_csv = Path(out_csv)
    with whole_folder(out_csv.with_suffix("")) as scratch:
        if folder is None:
            rows = _from_clips(frames_csvs, detections_csvs, Path(dataset), scratch)
        else:
            rows = _from_folder(Path(folder), scratch)
    place = Path(os.path.relpath(out_csv.with_suffix(""), dataset))
    raw = {Path(path).stem: read_stage(path, "probe")[0]["sha256"] for path in probe_csvs}
    for line in rows:
        check_verdict("environments", line)
        line["raw_sha256"] = raw.get(str(line["video"]), "")
        if line["path"]:
            line["path"] = (place / line["path"]).as_posix()
    if folder is None:
        pin(Path(dataset) / PINNED_CSV, sorted(Path(p).stem for p in frames_csvs))
    write_table(out_csv, COLUMNS["environments"], rows)
    LOGGER.info("environments: %d of %d usable", len(kept(rows)), len(rows))


def _from_clips(frames_csvs, detections_csvs, dataset: Path, scratch: Path) -> list[Row]:
    frames = scene_bank.frames_by_video(frames_csvs)
    found_in = scene_bank.frames_by_video(detections_csvs)
    if differ := sorted(set(frames) ^ set(found_in)):
        raise ValueError(f"the tables of frames and of detections differ for {differ}")
    progress = Progress("environments", total=len(frames))
    rows = []
    for video in frames:
        found = kept(read_stage(frames[video], "extract"))
        boxes = scene_bank.hidden_boxes(read_stage(found_in[video], "detect"))
        rows.append(_clip_row(video, found, boxes, dataset, scratch))
        progress.step()
    return rows


def _clip_row(video: str, frames: list, boxes: dict, dataset: Path, scratch: Path) -> Row:
    """Make the plate of one clip, from its best readable frame."""
    if not frames:
        return _row(video, video, DROPPED, reason=NO_FRAME)
    ranked = scene_bank.best_frames(frames, boxes)
    if not ranked:
        return _row(video, video, DROPPED, reason=NO_TRUSTED_FRAME)
    share, _ = ranked[0]
    measured = {"value": share, "threshold": scene_bank.MIN_SCENE}
    if share < scene_bank.MIN_SCENE:
        return _row(video, video, DROPPED, reason=SCENE_HIDDEN, **measured)
    faults = []
    for share, line in ranked[:_TRIES]:
        if share < scene_bank.MIN_SCENE:
            break
        try:
            frame_rgb = image_files.read_verified(dataset / line["path"], line["sha256"])
        except image_files.ImageReadError as error:
            faults.append(str(error))
            continue
        weight = scene_bank.scene_weight(frame_rgb.shape[:2], boxes[line["item"]])
        picture = scene_bank.plate(frame_rgb, weight)
        measured["value"] = share
        return _row(
            video,
            video,
            KEPT,
            **measured,
            **_write(scratch, video, picture),
            detail=f"frame {line['item']}",
        )
    LOGGER.warning("%s: %s", video, "; ".join(faults))
    return _row(
        video, video, QUARANTINED, reason=UNREADABLE_FRAME, detail=number_of(len(faults), "frame")
    )


def _from_folder(folder: Path, scratch: Path) -> list[Row]:
    found = scene_bank.pictures(folder)
    progress = Progress("environments", total=len(found))
    rows = []
    for name, relative in found.items():
        try:
            picture = scene_bank.read_picture(folder / relative)
        except user_pictures.PictureTooLargeError as error:
            most = user_pictures.MAX_PICTURE_PIXELS / 1e6
            measured = {"value": error.megapixels, "threshold": most, "detail": relative}
            row = _row(name, "", QUARANTINED, reason=TOO_LARGE, **measured)
        except image_files.ImageReadError as error:
            LOGGER.warning("%s: %s", relative, error)
            row = _row(name, "", QUARANTINED, reason=UNREADABLE_PICTURE, detail=relative)
        else:
            row = _row(name, "", KEPT, **_write(scratch, name, picture), detail=relative)
        rows.append(row)
        progress.step()
    return rows


def _write(scratch: Path, name: str, picture) -> dict[str, str]:
    file = f"{name}.png"
    data = image_files.encode_png(picture)
    return {"path": file, "sha256": image_files.write_checked(scratch / file, data, picture.shape)}


def _row(environment: str, video: str, outcome: str, **fields: object) -> Row:
    blank = dict.fromkeys(COLUMNS["environments"], "")
    return {**blank, "environment": environment, "video": video, "outcome": outcome, **fields}


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to
    from ferrari.provenance import bank_stays
    from ferrari.provenance.job import ScriptJob
    from ferrari.provenance.reuse import has_work
    from ferrari.provenance.table_stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    this = ScriptJob.of(job, "environments")
    settled = job.params.folder or (Path(job.config["dataset"]) / PINNED_CSV).is_file()
    if not (settled and bank_stays.leave_alone(this)) and has_work(this, always=not settled):
        draw_environments(
            probe_csvs=job.input.probes,
            frames_csvs=job.input.frames,
            detections_csvs=job.input.detections,
            folder=job.params.folder,
            dataset=job.config["dataset"],
            out_csv=job.output.table,
        )
        seal(this)
