"""One run at a time on a dataset, with locks that never have to be removed by hand after a kill.

Snakemake's own lock is a file, which a killed run leaves behind, so the profiles turn it off. The
locks here are the kernel's (flock): they end with the process that held them, however it ends. Jobs
hold a shared lock while they run: those that outlive their run block the next one until they end.

Runs of different shards may work at the same time: they share the locks that a run of the whole set
holds alone, and each has its own lock. Those are files, since a network file system locks no
folders; they are below the dataset, because each machine may have its own working folder.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.ledger.shards import Shard

#: What file systems without (such) locks answer; there, two runs at a time are not noticed.
_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
#: In the environment of jobs: the lock's file that says that they are at work.
JOBS_LOCK = "FERRARI_JOBS_LOCK"
_JOBS = "jobs.lock"
#: Below the dataset: the locks of its shards. `make verify` looks at nothing in `.snakemake`.
_SHARDS = Path(".snakemake/shards")
#: Whoever only asks (`at_work`) holds a lock for a moment: nobody takes that for a run.
_TRIES, _PAUSE_S = 5, 0.02
#: What `at_work` finds.
RUN, JOBS, NOTHING, UNKNOWN = "run", "jobs", "", "unknown"
_held: dict[Path, int] = {}  # open descriptors; closed, and so released, when the process ends
_shared: set[Path] = set()  # of these the ones that others may hold as well


class RunningError(FerrariError, RuntimeError):
    """Another run, or a job of a run that was killed, is at work on these files."""


def tell_jobs(shard: Shard | None) -> None:
    """Tell this process's jobs which lock says that they are at work."""
    os.environ[JOBS_LOCK] = _jobs_of(shard)


def require(
    dataset: str | os.PathLike, working: str | os.PathLike = ".", shard: Shard | None = None
) -> None:
    """Hold the locks of the working folder and of the dataset until this process ends: alone, or
    with the runs of other shards.

    Raises RunningError if another run has one, or if jobs of an earlier run are still at work.
    """
    state, dataset = Path(working).absolute() / ".snakemake", Path(dataset).absolute()
    state.mkdir(exist_ok=True)
    kind = fcntl.LOCK_EX if shard is None else fcntl.LOCK_SH
    for path in (state / "run.lock", dataset):
        if _take_soon(path, kind) is False:
            raise RunningError(_running(dataset, state, shard))
    if shard is None:
        _require_no_shards(dataset)
    else:
        _require_shard(dataset, shard)
    names = {_JOBS, _jobs_of(shard)}
    paths = _jobs_locks(state) if shard is None else (state / name for name in names)
    if any(map(_has_another, paths)):
        raise RunningError(
            f"jobs of a run that was killed are still at work in {state.parent}: wait for them to "
            "end, then run the same command again"
        )


def _running(dataset: Path, state: Path, shard: Shard | None) -> str:
    whole = "" if shard is None else " of the whole set"
    return (
        f"another run{whole} is at work on {dataset}, or in {state.parent}: wait for it to "
        "end; runs side by side need a dataset and a working folder each"
    )


def _require_no_shards(dataset: Path) -> None:
    """For a run of the whole set: nobody works on a part of it, or begins to."""
    everybody = dataset / _SHARDS / "all.lock"
    if everybody.is_file() and _take_soon(everybody) is False:
        raise RunningError(
            f"shards of {dataset} are being worked on: wait until all runs with the setting shard "
            "have ended, then run the same command again"
        )


def _require_shard(dataset: Path, shard: Shard) -> None:
    """For the run of a shard: nobody else has it, and those beside it count the same number."""
    place = dataset / _SHARDS
    place.mkdir(parents=True, exist_ok=True)
    if _take_soon(place / "all.lock", fcntl.LOCK_SH) is False:
        raise RunningError(_running(dataset, place, shard))
    mine = place / f"of-{shard.count}.lock"
    _take_soon(mine, fcntl.LOCK_SH)
    for other in sorted(place.glob("of-*.lock")):
        if other != mine and _has_another(other):
            count = other.stem.removeprefix("of-")
            raise RunningError(
                f"{dataset} is being worked on in {count} shards, and this run is shard {shard}: "
                f"all machines have to count the same number; wait, or set shard: K/{count}"
            )
    if _take_soon(place / f"{shard.number}-of-{shard.count}.lock") is False:
        raise RunningError(
            f"another machine, or another run here, is at work on shard {shard} of {dataset}: give "
            "each its own number"
        )


def hold_for_job(working: str | os.PathLike = ".") -> None:
    """Say, until this process and its forks end, that a job is at work in a working folder."""
    state = Path(working).absolute() / ".snakemake"
    if state.is_dir():  # else a stage that somebody runs by hand
        _take_soon(state / os.environ.get(JOBS_LOCK, _JOBS), fcntl.LOCK_SH)


def at_work(dataset: str | os.PathLike, working: str | os.PathLike = ".") -> str:
    """What else is working on a dataset, or in a working folder: RUN, JOBS of a run that was
    killed, or NOTHING; UNKNOWN if the file system has no such locks. For read-only use.
    """
    state = Path(working).absolute() / ".snakemake"
    places = (state / "run.lock", Path(dataset).absolute())
    runs = {is_held(path, fcntl.LOCK_EX) for path in places}
    if True in runs:
        return RUN
    if None in runs:
        return UNKNOWN
    jobs = {is_held(path, fcntl.LOCK_EX) for path in _jobs_locks(state)}
    if True in jobs:
        return JOBS
    return UNKNOWN if None in jobs else NOTHING


def is_held(path: Path, kind: int = fcntl.LOCK_SH) -> bool | None:
    """Whether a lock of this kind cannot be had on a file for a tenth of a second, because another
    process has it; None where nobody can tell: there are no such locks, the file is another user's,
    or this process shares its lock, which keeps out as others' do. Nothing is made, and nothing
    held afterwards.
    """
    if path in _held:
        return None if kind == fcntl.LOCK_EX and path in _shared else False
    for _ in range(_TRIES - 1):
        held = _is_held_now(path, kind)
        if not held:
            return held
        time.sleep(_PAUSE_S)
    return _is_held_now(path, kind)


def _is_held_now(path: Path, kind: int) -> bool | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except PermissionError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return True
        raise
    finally:
        os.close(descriptor)
    return False


def _jobs_of(shard: Shard | None) -> str:
    return _JOBS if shard is None else f"jobs-{shard.number}-of-{shard.count}.lock"


def _jobs_locks(state: Path) -> Iterator[Path]:
    return state.glob("jobs*.lock")


def _has_another(path: Path) -> bool:
    """Whether another process holds the lock of a file, which is made if it is not there."""
    taken = _take_soon(path)
    if taken:
        os.close(_held.pop(path))
    return taken is False


def _take_soon(path: Path, kind: int = fcntl.LOCK_EX) -> bool | None:
    """`_take`, again for a tenth of a second while another process has the lock."""
    for _ in range(_TRIES - 1):
        taken = _take(path, kind)
        if taken is not False:
            return taken
        time.sleep(_PAUSE_S)
    return _take(path, kind)


def _take(path: Path, kind: int = fcntl.LOCK_EX) -> bool | None:
    """Lock a file (which is created) or a folder, without waiting.

    False if another process has the lock, None if the file system has no such locks.
    """
    if path in _held:
        return True
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in _UNSUPPORTED:
            return None
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        raise
    _held[path] = descriptor
    if kind == fcntl.LOCK_SH:
        _shared.add(path)
    return True
