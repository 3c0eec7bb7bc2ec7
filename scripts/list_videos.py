"""All clips in one table: which file each id stands for, its facts, and the verdict it ends with.

The one place that sees all raw files, so exact duplicates are found here; a duplicate is linked or
copied to `bad_videos/DUPLICATE_VIDEO/` like any other refused clip, and its images stay out of the
final set.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.reasons import DUPLICATE_VIDEO, EXTRACTOR_REJECTED
from ferrari.ledger.refused_files import BAD_VIDEOS, refuse_video
from ferrari.video.clip_verdicts import final_verdicts


def list_videos(
    *,
    probe_csvs: Sequence[str],
    frames_csvs: Sequence[str],
    raw_folder: str,
    dataset: str,
    out_csv: str,
) -> None:
    """Write videos.csv: the probe rows, with `verdict` and `duplicate_of` behind them."""
    probes = [row for path in probe_csvs for row in tables.read_stage(path, "probe")]
    rejections = _rejections(frames_csvs)
    verdicts = final_verdicts(probes, rejections)
    shutil.rmtree(Path(dataset) / BAD_VIDEOS / DUPLICATE_VIDEO, ignore_errors=True)
    rows: list[tables.Row] = []
    for probe in sorted(probes, key=lambda row: row["item"]):
        end = verdicts[probe["item"]]
        row: tables.Row = {**probe, "verdict": end.verdict, "duplicate_of": end.duplicate_of}
        row["detail"] = end.detail
        if end.verdict == EXTRACTOR_REJECTED:
            row["path"] = rejections[probe["item"]]["path"]
        if end.verdict == DUPLICATE_VIDEO:
            raw = os.path.join(raw_folder, probe["file"])
            row["path"] = refuse_video(raw, probe["file"], DUPLICATE_VIDEO, dataset)
        rows.append(row)
    tables.write_table(out_csv, COLUMNS["videos"], rows)


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
    from ferrari.provenance.table_stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    list_videos(
        probe_csvs=job.input.probes,
        frames_csvs=job.input.frames,
        raw_folder=job.params.raw,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
    )
    seal(job, rule="videos")
