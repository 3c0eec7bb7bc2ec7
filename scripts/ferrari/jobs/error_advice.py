"""What to do next, for each error that is the machine's fault and not the clip's.

A full disk, a folder without write permission, a missing file, too little memory, missing weights:
each gets a few lines that say what happened, where, and what helps. `job_log` prints them as the
last lines of a job's log. `of_run` finds errors that leave no trace in a job's log, such as a
killed job.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from ferrari.common.atomic_files import clear_leftovers
from ferrari.common.errors import WHAT_TO_DO, FerrariError
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.failures import ChildError, KilledError

RESUME = (
    "Then run the same command again: what is finished is kept, and what is half-written is made "
    "anew, never trusted."
)
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_FOLDER = {errno.ENOTDIR, errno.EEXIST}
_SHAKY = {
    *(errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ETIMEDOUT),
    *(errno.ENOTCONN, errno.EHOSTDOWN, errno.EREMOTEIO),  # a mount whose other side went away
}
#: Bytes that Snakemake needs at the least: it copies each output that is made anew.
_ROOM = 64 << 20
#: A full disk, or a quota that is used up, as Python words it: of a file, or of a copy to one.
_TOLD_FULL = re.compile(
    rf"\[Errno (?P<errno>{errno.ENOSPC}|{errno.EDQUOT})\] [\w ]+"
    r"(?:: (?:'[^'\n]+' -> )?'(?P<file>[^'\n]+)')?"
)
_SHOWS_A_KILL = re.compile(r"died with <Signals\.SIGKILL|exit status 137")
#: A job that was asked to end, or the run itself: Snakemake says so.
_SHOWS_AN_END = re.compile(
    r"died with <Signals\.SIG(TERM|HUP)|exit status (143|129)|Will exit after finishing currently"
)
_KILLED = (
    "a job, or the process that it decodes in, was killed from outside. Most often that is the "
    "system running out of memory (`dmesg | tail` shows it) or a limit of the cluster: use a "
    f"smaller --cores or a smaller batch, or ask for more memory. {RESUME}"
)
_ENDED = (
    "the run, or a job of it, was ended from outside: by somebody, by a limit of a scheduler, or "
    f"since its terminal was closed or the machine shut down. {RESUME}"
)
_RUN_KILLED = (
    "the run itself was killed from outside. Most often that is the system running out of memory "
    "(`dmesg | tail` shows it): use a smaller --cores, ask for more memory, or run a very large "
    f"set in shards (docs/scaling.md). {RESUME}"
)


def of_error(error: BaseException) -> str | None:
    """Advice for an error that ends a job; None if the error's own message says everything.

    The chain of causes is searched too: advice is for the innermost error that has some.
    """
    for cause in _without_echoes(list(_chain(error))):
        text = _of_one(cause)
        if text:
            return _laid_out(text)
    if isinstance(error, FerrariError) and WHAT_TO_DO in str(error):
        return None
    if isinstance(error, FerrariError) and not isinstance(error, ChildError):
        return _laid_out(f"see the message above. {RESUME}")
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        return None
    return _laid_out(
        "this is a defect of the pipeline, not of your clips. Please report it with this log; jobs "
        "that do not depend on this one go on."
    )


def in_words(error: OSError) -> str:
    """The error of a command that people call: what, where, and what to do."""
    name = error.filename2 or error.filename
    where = f": {os.fsdecode(name)}" if isinstance(name, (str, bytes)) else ""
    return f"{error.strerror or error}{where}\n{of_error(error)}"


def of_run(log: str, status: int | None = None) -> str | None:
    """Advice for a whole run, from the text of Snakemake's log and the exit status of Snakemake's
    process, if known; None if neither shows that something was killed, or asked to end.
    """
    if status == -signal.SIGKILL:
        return _laid_out(_RUN_KILLED)
    if _SHOWS_A_KILL.search(log):
        return _laid_out(_KILLED)
    if status in (-signal.SIGTERM, -signal.SIGHUP) or _SHOWS_AN_END.search(log):
        return _laid_out(_ENDED)
    return None


def of_full_disk(work: Path, said: str = "", others: Iterable[Path] = ()) -> str | None:
    """Advice for a run in the folder `work` that itself, none of its jobs, met a full disk; None
    where it is not known to have met one.

    `said` is what the run printed: the file that it names tells the disk. Where it names none, it
    is the disk of `work` or of one of the `others` (folders), whichever is as good as full; and
    that of `work` may be so full that the run could not even say so.
    """
    told = list(_TOLD_FULL.finditer(said))
    if named := [found for found in told if found["file"]]:
        number, file = int(named[-1]["errno"]), work / named[-1]["file"]
        return of_error(OSError(number, os.strerror(number), os.fspath(file)))
    places = [work, *(others if told else ())]
    full = [place for place in places if shutil.disk_usage(place).free < _ROOM]
    if not full:
        return _laid_out(f"a disk is full, see above: free some space. {RESUME}") if told else None
    return of_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(full[0])))


def require_writable(folder: str | os.PathLike) -> None:
    """Make `folder` if it is missing, and try to write into it; raises OSError with its name.

    One error before the first job is better than one from each of a thousand jobs.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    probe = Path(folder) / f".writable.{os.getpid()}.part"
    clear_leftovers(Path(folder) / "writable")
    try:
        with open(probe, "wb") as stream:
            stream.write(bytes(1 << 16))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        error.filename = os.fspath(folder)
        raise
    finally:
        with contextlib.suppress(OSError):  # of a read-only disk nothing can be removed, nor is it
            probe.unlink(missing_ok=True)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error's causes, the innermost first, and then the error."""
    seen: list[BaseException] = []
    step: BaseException | None = error
    while step is not None and step not in seen:
        seen.append(step)
        step = step.__cause__ or (None if step.__suppress_context__ else step.__context__)
    return reversed(seen)


def _without_echoes(errors: list[BaseException]) -> Iterator[BaseException]:
    """The errors, but for those of the system that name no file where another of their number does:
    a file that could not be written fails once more when it is closed.
    """
    named = {one.errno for one in errors if isinstance(one, OSError) and one.filename is not None}
    for error in errors:
        if not isinstance(error, OSError) or error.filename is not None or error.errno not in named:
            yield error


def _laid_out(text: str) -> str:
    return textwrap.fill(WHAT_TO_DO + text, 100, break_long_words=False, break_on_hyphens=False)


def _of_one(error: BaseException) -> str | None:
    if isinstance(error, KilledError):
        return _KILLED
    if isinstance(error, DeviceMemoryError):
        return (
            "free the GPU (`nvidia-smi` shows who holds its memory), or set device: cpu, or lower "
            f"the network's image_size. {RESUME}"
        )
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return f"the machine's memory ran out; use a smaller --cores or a smaller batch. {RESUME}"
    if isinstance(error, OSError):
        return _of_system(error)
    return None


def _of_system(error: OSError) -> str | None:
    """Advice by errno; None for other errors (those without an errno, those of the network)."""
    where = _place(error)
    if error.errno in _FULL:
        return f"{_fullness(error, where)}. {RESUME}"
    if error.errno == errno.EFBIG:
        return f"{where} is larger than a file may be here: raise `ulimit -f`. {RESUME}"
    if error.errno == errno.EROFS:
        return (
            f"the disk that holds {where} is read-only: mount it writable (a disk with errors "
            f"turns read-only; `dmesg | tail`), or point the settings elsewhere. {RESUME}"
        )
    if error.errno in _FORBIDDEN:
        return (
            f"the pipeline's user (uid {os.geteuid()}) may not use {where}: change its owner or "
            f"its permissions, or point the setting elsewhere. {RESUME}"
        )
    if error.errno == errno.ENOENT:
        return (
            f"{where} is not there: it was removed or renamed while the pipeline ran, or its disk "
            "is gone. Put it back, or leave it out; a table of the pipeline is made anew by a run "
            f"without a target. {RESUME}"
        )
    if error.errno in _NO_FOLDER:
        return (
            f"{where}, or one of the folders that it is to lie in, is a file: rename the file, or "
            f"name another folder. {RESUME}"
        )
    if error.errno in _SHAKY:
        return (
            f"the disk or share that holds {where} fails: is it mounted (`findmnt`)? What "
            f"does `dmesg | tail` say? {RESUME}"
        )
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"too many files are open: raise `ulimit -n`, or use a smaller --cores. {RESUME}"
    return None


def _place(error: OSError) -> str:
    name = error.filename2 or error.filename
    return repr(os.fsdecode(name)) if isinstance(name, (str, bytes)) else "a file (see above)"


def _fullness(error: OSError, where: str) -> str:
    """What is full (the disk, its inodes or a quota), and how much is free now."""
    if error.errno == errno.EDQUOT:
        return f"your quota on the disk that holds {where} is used up: free some space"
    name = error.filename2 or error.filename
    folder = Path(os.fsdecode(name) if isinstance(name, (str, bytes)) else ".").absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    disk = os.statvfs(folder)
    if disk.f_files and not disk.f_favail:
        return f"the disk that holds {where} has no inodes left: remove files you do not need"
    free = disk.f_bavail * disk.f_frsize / (1 << 20)
    return f"the disk that holds {where} is full ({free:.1f} MiB free now): free some space"
