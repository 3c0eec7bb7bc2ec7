"""The run time of jobs, as they or Snakemake wrote it in the working folder:
`benchmarks/<rule>/<clip>.tsv`, or `benchmarks/<rule>.tsv` of a rule with one job.
"""

from __future__ import annotations

import csv
import itertools
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path

from ferrari.ledger.stages import FOLDERS

#: Below the working folder.
PLACE = "benchmarks"
#: How many jobs of a rule are read: ten thousand clips have 70,000.
_SAMPLE = 200


def known(work: Path) -> dict[str, float]:
    """Median seconds of a job, by rule, from the last time that each worked in a folder. A stage's
    job that found nothing to do has left what it cost before (`jobs.stage_job`).
    """
    measured: dict[str, list[float]] = {}
    for path in _benchmarks(work / PLACE):
        rule = path.relative_to(work / PLACE).with_suffix("").parts[0]
        took = seconds(path)
        if took is not None:
            measured.setdefault(rule, []).append(took)
    return {rule: statistics.median(took) for rule, took in measured.items()}


def _benchmarks(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for below in [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]:
            yield from itertools.islice(below.glob("*.tsv"), _SAMPLE)


def seconds(benchmark: Path) -> float | None:
    """Seconds of a job; None if it has not ended, or was killed while the file was written."""
    try:
        with open(benchmark, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        return float(rows[-1]["s"])
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return None


def of_clips(benchmarks: Path, videos: Iterable[str]) -> dict[str, float]:
    """Seconds of what made each clip's tables, all stages together."""
    return {
        video: sum(seconds(benchmarks / stage / f"{video}.tsv") or 0.0 for stage in FOLDERS)
        for video in videos
    }
