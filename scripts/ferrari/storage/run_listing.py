"""A run's listing of its bucket, passed on to its jobs, so that the bucket is listed once per run.

A job on another machine parses the workflow again. If it listed the bucket itself, that would be a
request for each 1,000 objects and each job, and an object deleted meanwhile would be unknown to its
own job. So the run writes its listing into a file below the dataset, and an environment variable
tells its jobs which one. If that file is not available (a run with --no-hooks, a machine with its
own disk), jobs list the bucket.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path

from ferrari.common.atomic_files import write_bytes
from ferrari.storage import buckets
from ferrari.storage.buckets import Listed

#: In the environment of jobs: the file of their run's listing.
LISTING = "FERRARI_LISTING"
#: Below the dataset: the listings of runs that are at work.
FOLDER = Path(".snakemake/listings")


def listed(address: str) -> dict[str, Listed]:
    """What `buckets.listed` gives; in a job of a run, what it gave the run."""
    handed = _handed(address)
    return buckets.listed(address) if handed is None else handed


def hand_on(address: str, objects: Mapping[str, Listed], dataset: str | os.PathLike) -> None:
    """Write the listing of a run, and tell the jobs of this process where it is."""
    path = Path(dataset) / FOLDER / f"{os.uname().nodename}-{os.getpid()}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"address": address, "objects": {name: astuple(of) for name, of in objects.items()}}
    write_bytes(path, json.dumps(told).encode("ascii"))
    os.environ[LISTING] = str(path)


def forget() -> None:
    """Begin a run: a listing that this process was handed is another run's."""
    os.environ.pop(LISTING, None)


def clear(dataset: str | os.PathLike) -> None:
    """Remove the listings of runs that are over; when no other run, of a shard say, is at work."""
    shutil.rmtree(Path(dataset) / FOLDER, ignore_errors=True)


def _handed(address: str) -> dict[str, Listed] | None:
    try:
        told = json.loads(Path(os.environ[LISTING]).read_bytes())
    except (KeyError, FileNotFoundError):
        return None
    if told["address"] != address:
        return None
    return {name: Listed(*of) for name, of in told["objects"].items()}
