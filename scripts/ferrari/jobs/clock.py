"""Whether the clock is behind a set's files, or behind what its jobs read: Snakemake compares
times, and fails each job whose output is older than its inputs, even if it was just made.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError

#: Clocks of machines that share a disk differ by less.
_TOLERATED_S = 60.0
_NAMED = 3  # files, in a message


class ClockError(FerrariError, RuntimeError):
    """The clock is behind the files of the set; says by how much and what to do."""


def require_not_behind(
    dataset: Path, tables: Iterable[str], reports: Path, now: float | None = None
) -> None:
    """Raise ClockError if one of the `tables` below `dataset` was written more than a minute after
    `now` (seconds since 1970; None: the time that a new file in `dataset` gets).

    Missing tables are ignored. `reports` is the folder of the pages, which the message names beside
    the dataset.
    """
    times = {path: path.stat().st_mtime for name in tables if (path := dataset / name).is_file()}
    latest = max(times, key=times.__getitem__, default=None)
    if latest is None:
        return
    now = _time_of_a_new_file(dataset) if now is None else now
    if times[latest] <= now + _TOLERATED_S:
        return
    folders = " ".join(shlex.quote(str(folder.absolute())) for folder in (dataset, reports))
    raise ClockError(
        f"the clock stands at {_told(now)}, and {latest} was written at {_told(times[latest])}: "
        "every job would fail, since what it makes is older than what it is made from. Set the "
        "clock right, then run the same command again. If it is right now, and was ahead when the "
        f"set was made, give the files the time of now first: find {folders} -newermt now -type f "
        "-exec touch {} +"
    )


def require_none_ahead(inputs: Iterable[Path], dataset: Path, now: float | None = None) -> None:
    """Raise ClockError if one of the `inputs` of jobs, files or folders of the user's own, is dated
    more than a minute after `now` (as above): a copy keeps the time of another machine.
    """
    times = {path: path.stat().st_mtime for path in inputs if path.exists()}
    if not times:
        return
    now = _time_of_a_new_file(dataset) if now is None else now
    ahead = [path for path, time in times.items() if time > now + _TOLERATED_S]
    if not ahead:
        return
    places = " ".join(shlex.quote(str(path.absolute())) for path in _places(ahead))
    latest = _told(max(times[path] for path in ahead))
    dated, it = ("is dated", "it") if len(ahead) == 1 else ("are dated up to", "them")
    raise ClockError(
        f"{first_of([str(path) for path in ahead], _NAMED)} {dated} {latest}, which is to come: "
        f"the clock stands at {_told(now)}. Every job that reads {it} would fail, since what it "
        f"makes is older. If the clock is right, give {it} the time of now: "
        f"find -L {places} -newermt now -exec touch {{}} +"
    )


def _places(paths: Sequence[Path]) -> list[Path]:
    """The paths, or of many the folders that they lie in."""
    return list(paths) if len(paths) <= _NAMED else sorted({path.parent for path in paths})


def _time_of_a_new_file(folder: Path) -> float:
    """The clock that dates the outputs of jobs.

    On a network disk it is the server's: if that is ahead of this machine's, no job fails.
    """
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b" ")
        probe.flush()
        os.fsync(probe.fileno())
        return os.fstat(probe.fileno()).st_mtime


def _told(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
