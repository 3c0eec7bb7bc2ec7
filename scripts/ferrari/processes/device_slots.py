"""How many processes may have a device open at a time, over all runs of a user on a machine.

Whoever is about to open a CUDA context, or a card's video decoder, first takes one of the slots of
that device: a lock of the kernel on a file, which is free again however its holder ends. So a job
that runs by itself and a second run keep to the number too. Runs with different numbers agree on
the smaller slots: the first of three is the first of one.

Other users and containers have locks of their own.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER
from ferrari.processes import nvidia_driver
from ferrari.processes.failures import Failure
from ferrari.processes.limited_call import run_limited

#: What a slot is of: contexts of networks, and sessions of the video decoder.
CUDA, NVDEC = "cuda", "nvdec"
#: How many processes may have devices open at once in all, by kind: the run's tokens, for its jobs.
GIVEN = {CUDA: "FERRARI_GPU", NVDEC: "FERRARI_NVDEC"}
#: The folder of the locks, for whoever wants another; and where it is made otherwise: the first
#: place that may be written to. Neither goes with a session, as $XDG_RUNTIME_DIR does.
PLACE = "FERRARI_LOCKS"
_PLACES = (Path("/run/lock"), Path("/tmp"))
_WANTED = "-wanted"
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

    def of_this_process(self) -> tuple[int, int]:
        """The card, and how many processes on it, for a process that opens one itself: that of its
        job, if there is one (`of_one_job`).
        """
        if _of_job is not None and _of_job.card in self.slots:
            return _of_job.card
        return self.slots[os.getpid() % len(self.slots)]


def given(kind: str) -> int | None:
    """How many tokens of a kind the run was given; None if nobody said."""
    text = os.environ.get(GIVEN[kind], "")
    return int(text) if text else None


@contextlib.contextmanager
def hold(kind: str, device: int, slots: int) -> Iterator[int]:
    """Hold one of the `slots` of `device` (0 is the first that this process sees) for the block.

    Waits for one as long as it takes; the log says for whom. Gives the slot's number. Children that
    are forked meanwhile do not keep it.
    """
    if slots < 1:
        raise ValueError(f"{kind} of device {device}: {slots} slots are none")
    name, files = _name(kind, device), _files(kind, device, slots)
    slot, lock = _taken(files) or _waited_for(name, files, files[0].with_name(f"{name}{_WANTED}"))
    try:
        yield slot
    finally:
        if _of_job is None or lock not in _of_job.files.values():  # else until the job ends
            fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)


@dataclass
class _Share:
    """What the forks of one job share: a card, with how many slots it has; the slots' files, open;
    and a file without a name in which stands which slot they have.
    """

    card: tuple[int, int]
    files: dict[Path, int]
    note: int

    def slot(self) -> int:
        """The slot that they have; 0 before they have one."""
        return int(os.pread(self.note, 20, 0) or 0)

    def has(self, slot: int) -> None:
        """Note which one they have now."""
        os.pwrite(self.note, b"%20d" % slot, 0)


_of_job: _Share | None = None


@contextlib.contextmanager
def of_one_job(kind: str, cards: Cards) -> Iterator[None]:
    """Have what is forked in the block share one card of `cards` and one slot of it, which is free
    when the block is over.

    A job with several model processes and no fork server opens a card in each of them. With a slot
    for each, the second would wait for the first, which waits for nothing but the job's end. With a
    card for each, two jobs would each wait for what the other has.
    """
    global _of_job
    card, files = cards.of_this_process(), []
    with contextlib.suppress(SlotFolderError):  # whoever opens a card says so
        files = _files(kind, *card)
    # A lock is of the open file, which forks have in common.
    share = _Share(card, {file: _opened(file) for file in files}, os.memfd_create("ferrari slot"))
    _of_job = share
    try:
        yield
    finally:
        _of_job = None
        for descriptor in (*share.files.values(), share.note):
            os.close(descriptor)


def _files(kind: str, device: int, slots: int) -> list[Path]:
    place, name = folder(), _name(kind, device)
    return [place / f"{name}-{slot}.lock" for slot in range(slots)]


def wanted(kind: str, device: int) -> bool:
    """Whether somebody waits for a slot of `device`."""
    descriptor = _opened(folder() / f"{_name(kind, device)}{_WANTED}")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _name(kind: str, device: int) -> str:
    return f"{kind}-{physical(device)}"


def physical(device: int) -> str:
    """What names the device on this machine: runs that see different cards must not share a lock,
    and those that number one card differently must.

    Its UUID, else where it sits; where the driver tells neither, the number that it has before
    CUDA_VISIBLE_DEVICES gives it another. Characters that a file's name cannot have are left out.
    """
    shown = cards_shown()
    name = shown[device] if device < len(shown) else ""
    if not name:
        job = os.environ.get("SLURM_JOB_ID", "")  # it numbers the cards of each of its jobs from 0
        name = f"{job}-{shown_as(device)}" if job else shown_as(device)
    return "".join(c for c in name if c.isalnum() or c in "-_.")


@functools.cache
def cards_shown() -> tuple[str, ...]:
    """What names each of the CUDA devices that the driver shows this process, "" if nothing does;
    () without a driver, or if it does not answer.

    A child process asks the driver: CUDA does not survive a fork, and decoders and models run in
    forks of this process.
    """
    found = run_limited(nvidia_driver.names, timeout_s=60, memory_mb=None)
    return () if isinstance(found, Failure) else found


def shown_as(device: int) -> str:
    """The device as CUDA_VISIBLE_DEVICES names it: what a process that is to see it alone sets."""
    shown = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return shown[device] if device < len(shown) and shown[device] else str(device)


def folder() -> Path:
    """Where the locks lie: a folder that belongs to this user alone, made if need be.

    All processes of the user must agree on it, so no variable that a session or a job sets for its
    own purposes decides, but FERRARI_LOCKS, which is for nothing else. Raises SlotFolderError for a
    folder that somebody else has made under our name, and where there is no place for one.
    """
    given = os.environ.get(PLACE, "")
    base = next((place for place in _PLACES if os.access(place, os.W_OK | os.X_OK)), _PLACES[-1])
    place = Path(given) if given else base / f"ferrari-{os.getuid()}"
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
        f"card, but {why}; remove it, or set {PLACE} to a folder of your own, the same for all runs"
    )


def _taken(files: Sequence[Path]) -> tuple[int, int] | None:
    """The number of a slot that was free, and its open file with our process id in it."""
    share = _of_job if _of_job is not None and files[0] in _of_job.files else None
    first = share.slot() if share else 0
    for slot in sorted(range(len(files)), key=lambda slot: slot != first):
        descriptor = share.files[files[slot]] if share else _opened(files[slot])
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not share:
                os.close(descriptor)
            continue
        if share:
            share.has(slot)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        return slot, descriptor
    return None


def _waited_for(name: str, files: Sequence[Path], sign: Path) -> tuple[int, int]:
    """As _taken, when one is free; until then, `sign` says that somebody waits."""
    start, said = time.monotonic(), False
    waits = _opened(sign)
    try:
        fcntl.flock(waits, fcntl.LOCK_SH)
        while (found := _taken(files)) is None:
            if not said and time.monotonic() - start > _SAID_AFTER_S:
                said = True
                LOGGER.info("waiting for %s: %s", name, _holders(files))
            time.sleep(_POLL_S)
    finally:
        os.close(waits)
    if said:
        LOGGER.info("%s is free after %.0f s", name, time.monotonic() - start)
    return found


def _opened(file: Path) -> int:
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _holders(files: Sequence[Path]) -> str:
    found = [file.read_text(encoding="ascii") or "?" for file in files]
    return f"it is in use by process {', '.join(found)}"
