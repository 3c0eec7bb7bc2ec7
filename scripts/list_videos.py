"""All clips in one table: the file of each id, its properties, and its final verdict.

This step sees all raw files, so exact duplicates are found here. A duplicate is linked or copied to
`bad_videos/DUPLICATE_VIDEO/` like any other refused clip, and its images are left out of the final
set. So are those of low-resolution twins (of which no copy is made, because nothing is wrong with
them) and of clips that a person dropped (DROPPED_BY_REVIEW). Files whose names say that they are
not clips (`ferrari.ledger.left_out`) have their only row here.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ferrari.ledger import raw_listing, tables
from ferrari.ledger.columns import COLUMNS, DROPPED
from ferrari.ledger.item_ids import video_id
from ferrari.ledger.left_out import LeftOut
from ferrari.ledger.reasons import DROPPED_BY_REVIEW, DUPLICATE_VIDEO, EXTRACTOR_REJECTED, OK
from ferrari.ledger.refused_files import BAD_VIDEOS, refuse_video
from ferrari.review import decisions
from ferrari.review.applying import Verdicts
from ferrari.review.contract import Decision
from ferrari.video.clip_verdicts import final_verdicts


def list_videos(
    *,
    probe_csvs: Sequence[str],
    frames_csvs: Sequence[str],
    raw_folder: str,
    dataset: str,
    out_csv: str,
    not_clips: Mapping[str, LeftOut] | None = None,
    review: Sequence[Decision] = (),
) -> None:
    """Write videos.csv: the probe rows with `verdict` and `duplicate_of`, and one row for each file
    left out by its name (`not_clips`).

    `review` holds a person's decisions about clips.
    """
    verdicts_by_hand = Verdicts(review)
    probes = [row for path in probe_csvs for row in tables.read_stage(path, "probe")]
    rejections = _rejections(frames_csvs)
    verdicts = final_verdicts(probes, rejections)
    shutil.rmtree(Path(dataset) / BAD_VIDEOS / DUPLICATE_VIDEO, ignore_errors=True)
    rows: list[tables.Row] = []
    for probe in sorted(probes, key=lambda row: row["item"]):
        end = verdicts[probe["item"]]
        row: tables.Row = {**probe, "verdict": end.verdict, "duplicate_of": end.duplicate_of}
        row["detail"] = end.detail
        row["decision"] = ""
        drop = verdicts_by_hand.dropped(probe["item"], probe["sha256"])
        if drop and end.verdict == OK:
            row |= {"verdict": DROPPED_BY_REVIEW, "detail": drop.said(), "decision": drop.id}
        if end.verdict == EXTRACTOR_REJECTED:
            row["path"] = rejections[probe["item"]]["path"]
        if end.verdict == DUPLICATE_VIDEO and not probe["etag"]:  # it stays in its bucket
            raw = os.path.join(raw_folder, probe["file"])
            row["path"] = refuse_video(raw, probe["file"], DUPLICATE_VIDEO, dataset)
        rows.append(row)
    rows += _left_out_rows(raw_folder, not_clips or {})
    tables.write_table(out_csv, COLUMNS["videos"], rows)


def _left_out_rows(raw_folder: str, not_clips: Mapping[str, LeftOut]) -> Iterator[tables.Row]:
    """A row for each file that is no clip by its name, sorted by path; see `raw_listing`."""
    for file, why, detail, size in raw_listing.left_out_files(raw_folder, not_clips):
        item = video_id(file)
        yield tables.row(
            "videos",
            item=item,
            parent=file,
            outcome=DROPPED,
            reason=why.reason,
            value=why.pattern,
            file=file,
            bytes=size,
            detail=detail,
            verdict=why.reason,
        )


def _rejections(frames_csvs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Stage 1's EXTRACTOR_REJECTED rows by video; such a row comes first in its table."""
    found = {}
    for path in frames_csvs:
        first = next(iter(tables.read_stage(path, "extract")), None)
        if first and first["reason"] == EXTRACTOR_REJECTED:
            found[first["parent"]] = first
    return found


if __name__ == "__main__":
    from ferrari.jobs.job_log import send_output_to
    from ferrari.provenance.job import ScriptJob
    from ferrari.provenance.reuse import has_work
    from ferrari.provenance.table_stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    this = ScriptJob.of(job, "videos")
    if has_work(this):
        list_videos(
            probe_csvs=job.input.probes,
            frames_csvs=job.input.frames,
            raw_folder=job.params.raw,
            dataset=job.config["dataset"],
            out_csv=job.output.table,
            not_clips=raw_listing.look_through(job.params.raw, job.params.ignore).left_out,
            review=decisions.of_job(job.config["dataset"], job.params.review, "videos"),
        )
        seal(this)
