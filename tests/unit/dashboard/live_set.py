"""A set to look at live: an empty working folder, and runs in it that are only told of."""

from __future__ import annotations

import json
from pathlib import Path

from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.jobs.run_events import FOLDER

#: The moment at which the runs began that are told of here, in seconds since 1970.
BEGAN = 1_800_000_000.0


def make(work: Path, *, may_start_runs: bool = True) -> ReviewedSet:
    """A set in the folder `work` without settings of its own, and without any table."""
    for folder in ("dataset", "qc_reports", ".snakemake"):
        (work / folder).mkdir(exist_ok=True)
    return ReviewedSet(
        **{"work": work, "dataset": work / "dataset", "qc": work / "qc_reports"},
        **{"raw": work / "dataset/00_raw_videos", "config_files": (), "cores": 2, "who": "ana"},
        may_start_runs=may_start_runs,
    )


def start(jobs: dict[str, int], pid: int = 1, log: str = "", targets: tuple = ()) -> dict:
    """The event with which a run begins."""
    told = {"jobs": jobs, "targets": list(targets), "pid": pid, "cores": 2, "log": log}
    return {"event": "start", "time": BEGAN, **told}


def job(kind: str, after_s: float, number: int, **told: str) -> dict:
    """An event of a job, so many seconds after the run began."""
    known = {"rule": "mask", "of": f"clip-{number:010d}"} if kind == "began" else {}
    return {"event": kind, "time": BEGAN + after_s, "id": number, **known, **told}


def end(after_s: float, status: str) -> dict:
    """The event with which a run ends."""
    return {"event": "end", "time": BEGAN + after_s, "status": status}


def tell(the_set: ReviewedSet, *events: dict, name: str = "20270115T080000000000Z-1") -> Path:
    """Append events to a run's file."""
    path = the_set.work / FOLDER / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as stream:
        stream.writelines(json.dumps(event) + "\n" for event in events)
    return path
