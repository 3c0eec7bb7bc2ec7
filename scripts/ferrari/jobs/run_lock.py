"""One run at a time on a dataset, and none that has to be unlocked by hand after a kill.

Snakemake's own lock is a file, which a killed run leaves behind; so the profiles turn it off. The
locks here are the kernel's (flock): they are gone with the process that held them, whatever ended
it. Jobs hold a shared lock while they run: those that outlive their run keep the next one out until
they end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path

from ferrari.common.errors import FerrariError

#: What file systems without (such) locks answer; there, two runs at a time are not noticed.
_UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EBADF}
#: Whoever only asks (`at_work`) holds a lock for a moment: nobody takes that for a run.
_TRIES, _PAUSE_S = 5, 0.02
#: What `at_work` finds.
RUN, JOBS, NOTHING, UNKNOWN = "run", "jobs", "", "unknown"
_held: dict[Path, int] = {}  # open descriptors; closed, and so released, when the process ends


class RunningError(FerrariError, RuntimeError):
    """Another run, or a job of a run that was killed, is at work on these files."""


def require(dataset: str | os.PathLike, working: str | os.PathLike = ".") -> None:
    """Hold the locks of the working folder and of the dataset until this process ends.

    Raises RunningError if another run has one, or if jobs of an earlier run are still at work.
    """
    state, dataset = Path(working).absolute() / ".snakemake", Path(dataset).absolute()
    state.mkdir(exist_ok=True)
    for path in (state / "run.lock", dataset):
        if _take_soon(path) is False:
            raise RunningError(
                f"another run is at work on {dataset}, or in {state.parent}: wait for it to "
                "end; runs side by side need a dataset and a working folder each"
            )
    if _jobs_at_work(state):
        raise RunningError(
            f"jobs of a run that was killed are still at work in {state.parent}: wait for them to "
            "end, then run the same command again"
        )


def hold_for_job(working: str | os.PathLike = ".") -> None:
    """Say, until this process and its forks end, that a job is at work in a working folder."""
    state = Path(working).absolute() / ".snakemake"
    if state.is_dir():  # else a stage that somebody runs by hand
        _take_soon(state / "jobs.lock", fcntl.LOCK_SH)


def at_work(dataset: str | os.PathLike, working: str | os.PathLike = ".") -> str:
    """What is at work on a dataset, or in a working folder: RUN, JOBS of a run that was killed, or
    NOTHING; UNKNOWN where the file system has no such locks. For those who only look.
    """
    state = Path(working).absolute() / ".snakemake"
    runs = {is_held(path) for path in (state / "run.lock", Path(dataset))}
    if True in runs:
        return RUN
    if None in runs:
        return UNKNOWN
    return JOBS if is_held(state / "jobs.lock", fcntl.LOCK_EX) else NOTHING


def is_held(path: Path, kind: int = fcntl.LOCK_SH) -> bool | None:
    """Whether a lock of this kind cannot be had on a file; None where there are no such locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
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


def _jobs_at_work(state: Path) -> bool:
    taken = _take_soon(state / "jobs.lock")
    if taken:
        os.close(_held.pop(state / "jobs.lock"))
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
