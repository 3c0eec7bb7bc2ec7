"""One run at a time on a dataset, and none that has to be unlocked by hand after a kill.

Snakemake's own lock is a file, which a killed run leaves behind. The locks here are the kernel's
(flock): they are gone with the process that held them, whatever ended it. So whoever gets the lock
of a working folder knows that a lock of Snakemake's which is still there is a dead run's. Jobs hold
a shared lock while they run: those that outlive their run keep the next one out until they end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from ferrari.common.errors import FerrariError

#: What file systems without (such) locks answer; there, Snakemake's own lock has to do.
_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
_ORPHANS = (
    "jobs of a run that was killed are still at work in {}: wait for them to end, then run the "
    "same command again"
)
_held: dict[Path, int] = {}  # open descriptors; closed, and so released, when the process ends


class RunningError(FerrariError, RuntimeError):
    """Another run, or a job of a run that was killed, is at work on these files."""


def clear_stale(working: str | os.PathLike = ".") -> str | None:
    """Remove the locks that killed runs left in a working folder, unless a run is alive there.

    For the moment before Snakemake looks at its own locks. It takes the working folder's lock
    where that is free. A run that is alive is no error, since a dry run may go on beside it: what
    to tell the user is returned.
    """
    state = Path(working).absolute() / ".snakemake"
    state.mkdir(exist_ok=True)
    taken = _take(state / "run.lock")
    if taken is False:
        return f"another run is at work in {state.parent}: wait for it to end, do not --unlock"
    if _jobs_at_work(state):
        return _ORPHANS.format(state.parent)
    if taken:
        for lock in (state / "locks").glob("*.lock"):
            lock.unlink(missing_ok=True)
    return None


def require(
    dataset: str | os.PathLike, working: str | os.PathLike = ".", patience_s: float = 10.0
) -> None:
    """Hold the locks of the working folder and of the dataset until this process ends.

    Raises RunningError if they are not to be had within `patience_s` (a dry run has one for a
    moment), or if jobs of an earlier run are still at work.
    """
    state, dataset = Path(working).absolute() / ".snakemake", Path(dataset).absolute()
    deadline = time.monotonic() + patience_s
    for path in (state / "run.lock", dataset):
        while _take(path) is False:
            if time.monotonic() > deadline:
                raise RunningError(
                    f"another run is at work on {dataset}, or in {state.parent}: wait for it to "
                    "end; runs side by side need a dataset and a working folder each"
                )
            time.sleep(0.1)
    if _jobs_at_work(state):
        raise RunningError(_ORPHANS.format(state.parent))


def hold_for_job(working: str | os.PathLike = ".") -> None:
    """Say, until this process and its forks end, that a job is at work in a working folder."""
    state = Path(working).absolute() / ".snakemake"
    if state.is_dir():  # else a stage that somebody runs by hand
        _take(state / "jobs.lock", fcntl.LOCK_SH)


def _jobs_at_work(state: Path) -> bool:
    taken = _take(state / "jobs.lock")
    if taken:
        os.close(_held.pop(state / "jobs.lock"))
    return taken is False


def _take(path: Path, kind: int = fcntl.LOCK_EX) -> bool | None:
    """Hold the lock of a file (which is made) or a folder, without waiting.

    False if another process has it, None where the file system has no such locks.
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
    return True
