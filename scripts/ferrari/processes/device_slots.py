"""How many processes may have a device open at a time, over all runs of a user on a machine.

Whoever is about to open a CUDA context, or a card's video decoder, first takes one of the slots of
that device: a lock of the kernel on a file, which is free again however its holder ends. So a job
that runs by itself and a second run keep to the number too. Runs with different numbers agree on
the smaller slots: the first of three is the first of one.

Containers, other users, and jobs to which SLURM has given cards, have locks of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER

#: What a slot is of: contexts of networks that many jobs share, those that a job has for itself
#: beside them, and sessions of the video decoder.
CUDA, OWN, NVDEC = "cuda", "own", "nvdec"
#: How many processes may have devices open at once in all, by kind: the run's tokens, for its jobs.
GIVEN = {CUDA: "FERRARI_GPU", NVDEC: "FERRARI_NVDEC"}
_POLL_S = 0.02
_SAID_AFTER_S = 1.0  # a wait that is shorter is nobody's business


class SlotFolderError(FerrariError, OSError):
    """The folder of the locks is not this user's own, or cannot be written to."""


@dataclass(frozen=True)
class Cards:
    """The devices that may be used, as this process sees them, and how many processes on each."""

    slots: tuple[tuple[int, int], ...]

    @classmethod
    def spread(cls, devices: Sequence[int], processes: int) -> Cards:
        """So many processes (1 or more), shared out over the devices."""
        share, more = divmod(processes, len(devices))
        slots = ((device, share + (place < more)) for place, device in enumerate(devices))
        return cls(tuple((device, count) for device, count in slots if count))


def given(kind: str) -> int | None:
    """How many tokens of a kind the run was given; None if nobody said."""
    text = os.environ.get(GIVEN[kind], "")
    return int(text) if text else None


@contextlib.contextmanager
def hold(
    kind: str, device: int, slots: int, waits: Callable[[], None] = lambda: None
) -> Iterator[int]:
    """Hold one of the `slots` of `device` (0 is the first that this process sees) for the block.

    Waits for one as long as it takes, and calls `waits` now and then; the log says for whom. Gives
    the slot's number. Children that are forked meanwhile do not keep it.
    """
    if slots < 1:
        raise ValueError(f"{kind} of device {device}: {slots} slots are none")
    name = f"{kind}-{physical(device)}"
    start, said = time.monotonic(), False
    while True:
        for slot in range(slots):
            lock = _locked(name, slot)
            if lock is not None:
                break
        else:
            if not said and time.monotonic() - start > _SAID_AFTER_S:
                said = True
                LOGGER.info("waiting for %s: %s", name, _holders(name, slots))
            waits()
            time.sleep(_POLL_S)
            continue
        break
    if said:
        LOGGER.info("%s is free after %.0f s", name, time.monotonic() - start)
    try:
        yield slot
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def keep(kind: str, device: int, slots: int, waits: Callable[[], None]) -> None:
    """`hold` until this process ends."""
    _kept.enter_context(hold(kind, device, slots, waits))


_kept = contextlib.ExitStack()


def physical(device: int) -> str:
    """What names the device on this machine: runs that see different cards must not share a lock.

    An index, unless CUDA_VISIBLE_DEVICES names it in another way. Characters that a file's name
    cannot have are left out.
    """
    job = os.environ.get("SLURM_JOB_ID", "")  # it numbers the cards of each of its jobs from 0
    name = f"{job}-{shown_as(device)}" if job else shown_as(device)
    return "".join(c for c in name if c.isalnum() or c in "-_.")


def shown_as(device: int) -> str:
    """The device as CUDA_VISIBLE_DEVICES names it: what a process that is to see it alone sets."""
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return shown[device] if device < len(shown) and shown[device] else str(device)


def folder() -> Path:
    """Where the locks lie: a folder that belongs to this user alone, made if need be.

    Raises SlotFolderError for one that somebody else has made under our name, and where there is no
    place for one.
    """
    run_time = os.environ.get("XDG_RUNTIME_DIR", "")
    if run_time and os.access(run_time, os.W_OK | os.X_OK):
        place = Path(run_time) / "ferrari"
    else:
        place = Path(tempfile.gettempdir()) / f"ferrari-{os.getuid()}"
    try:
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
        found = os.lstat(place)
    except OSError as error:
        raise _folder_error(place, str(error)) from error
    if not stat.S_ISDIR(found.st_mode):
        raise _folder_error(place, "it is no folder")
    if found.st_uid != os.getuid():
        raise _folder_error(place, "somebody else made it")
    if not os.access(place, os.W_OK | os.X_OK):
        raise _folder_error(place, "it cannot be written to")
    return place


def _folder_error(place: Path, why: str) -> SlotFolderError:
    return SlotFolderError(
        f"{place} should be this user's own folder, for the locks that keep runs from crowding a "
        f"card, but {why}; remove it, or set XDG_RUNTIME_DIR to a folder of your own"
    )


def _locked(name: str, slot: int) -> int | None:
    """The open file of a slot's lock, with our process id in it; None if it is taken."""
    descriptor = os.open(_file(name, slot), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, str(os.getpid()).encode())
    return descriptor


def _holders(name: str, slots: int) -> str:
    found = [_file(name, slot).read_text(encoding="ascii") or "?" for slot in range(slots)]
    return f"it is in use by process {', '.join(found)}"


def _file(name: str, slot: int) -> Path:
    return folder() / f"{name}-{slot}.lock"
