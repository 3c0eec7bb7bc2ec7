"""All clips in one table: which file each id stands for, its facts, and the verdict it ends with.

The one place that sees all raw files, so exact duplicates are found here; a duplicate is linked or
copied to `bad_videos/DUPLICATE_VIDEO/` like any other refused clip, and its images stay out of the
final set.
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.lib import ledger
from scripts.lib.refusals import BAD_VIDEOS, refuse_video
from scripts.lib.verdicts import DUPLICATE, REJECTED, final_verdicts


def list_videos(
    *,
    probe_csvs: Sequence[str],
    frames_csvs: Sequence[str],
    raw_folder: str,
    dataset: str,
    out_csv: str,
) -> None:
    """Write videos.csv: the probe rows, with `verdict` and `duplicate_of` behind them."""
    probes = [row for path in probe_csvs for row in ledger.read_stage(path, "probe")]
    rejections = _rejections(frames_csvs)
    verdicts = final_verdicts(probes, rejections)
    shutil.rmtree(Path(dataset) / BAD_VIDEOS / DUPLICATE, ignore_errors=True)
    rows: list[ledger.Row] = []
    for probe in sorted(probes, key=lambda row: row["item"]):
        end = verdicts[probe["item"]]
        row: ledger.Row = {**probe, "verdict": end.verdict, "duplicate_of": end.duplicate_of}
        row["detail"] = end.detail
        if end.verdict == REJECTED:
            row["path"] = rejections[probe["item"]]["path"]
        if end.verdict == DUPLICATE:
            raw = os.path.join(raw_folder, probe["file"])
            row["path"] = refuse_video(raw, probe["file"], DUPLICATE, dataset)
        rows.append(row)
    ledger.write_table(out_csv, ledger.COLUMNS["videos"], rows)


def _rejections(frames_csvs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Stage 1's EXTRACTOR_REJECTED rows by video; such a row comes first in its table."""
    found = {}
    for path in frames_csvs:
        first = next(iter(ledger.read_stage(path, "extract")), None)
        if first and first["reason"] == REJECTED:
            found[first["parent"]] = first
    return found


if __name__ == "__main__":
    from scripts.lib.logs import send_output_to
    from scripts.lib.stamps import seal

    job = snakemake  # noqa: F821
    send_output_to(job.log[0])
    list_videos(
        probe_csvs=job.input.probes,
        frames_csvs=job.input.frames,
        raw_folder=job.params.raw,
        dataset=job.config["dataset"],
        out_csv=job.output.table,
    )
    seal(job)
