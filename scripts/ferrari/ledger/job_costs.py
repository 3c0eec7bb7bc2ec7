"""What jobs took, as Snakemake wrote it beside the dataset: `benchmarks/<rule>/<clip>.tsv`."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ferrari.ledger.stages import FOLDERS


def seconds(benchmark: Path) -> float | None:
    """Seconds of a job; None where it did not end yet, or was killed while that was written."""
    try:
        with open(benchmark, encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
        return float(rows[-1]["s"])
    except (OSError, IndexError, KeyError, TypeError, ValueError):
        return None


def of_clips(benchmarks: Path, videos: Iterable[str]) -> dict[str, float]:
    """Seconds that the last jobs of each clip took, all stages together."""
    return {
        video: sum(seconds(benchmarks / stage / f"{video}.tsv") or 0.0 for stage in FOLDERS)
        for video in videos
    }
