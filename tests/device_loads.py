"""Networks for a device's process in tests: module-level functions, so that they pickle.

None touches a device. An item is an array; its first number says what it does to its batch.
"""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferrari.processes.devices import DeviceMemoryError

ABORT, SEGFAULT, HANG, LOST, RAISE, EXIT = range(201, 207)
KILL_ONCE, SLOW = 210, 211


def item(value: int, size: int = 8) -> np.ndarray:
    """An item that stands for a number."""
    return np.full(size, value, np.uint8)


def result(value: int, size: int = 8) -> int:
    """What `doubling` makes of `item(value)`."""
    return 2 * value * size


def doubling(folder: str, batch: int = 4, seconds: float = 0.0, holds: int = 1000):
    """Gives (twice the sum, the process's id); notes loads and batches in files of `folder`.

    A device that `holds` fewer items than a batch has raises DeviceMemoryError.
    """
    notes = Path(folder)
    _note(notes / "loads", os.getpid())

    def run(items: Sequence[np.ndarray]):
        if len(items) > holds:
            raise DeviceMemoryError("CUDA out of memory")
        _note(notes / "batches", " ".join(str(int(one[0])) for one in items))
        for one in items:
            _behave(int(one[0]), notes)
        time.sleep(seconds)
        return [(np.array([2 * int(one.sum()), os.getpid()]),) for one in items]

    return {"batch": batch, "device": "cuda nothing"}, run


def _behave(what: int, notes: Path) -> None:
    if what == ABORT:
        os.abort()
    if what == SEGFAULT:
        ctypes.string_at(0)
    if what == HANG:
        ctypes.PyDLL(None).sleep(60)
    if what == LOST:
        raise RuntimeError("CUDA error: an illegal memory access was encountered\nat somewhere")
    if what == RAISE:
        raise ValueError("this item cannot be run")
    if what == EXIT:
        os._exit(3)
    if what == KILL_ONCE and not (notes / "killed").exists():
        (notes / "killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if what == SLOW:
        time.sleep(30)


def _note(file: Path, text: object) -> None:
    with open(file, "a", encoding="ascii") as stream:
        stream.write(f"{text}\n")


def short_once(folder: str):
    """Gives the process's id; into the first process that loads it only two items fit."""
    first = Path(folder, "short")
    short = not first.exists()
    first.touch()

    def run(items):
        if short and len(items) > 2:
            raise DeviceMemoryError("CUDA out of memory")
        return [(np.array([0, os.getpid()]),) for _ in items]

    return {"batch": 4}, run


def seeing():
    """Gives what CUDA_VISIBLE_DEVICES is in the process."""
    return {"batch": 1, "device": "cuda nothing"}, lambda items: [
        (np.array([int(os.environ["CUDA_VISIBLE_DEVICES"])]),) for _ in items
    ]


def never_loads(how: str):
    """A load that raises, or ends the process."""
    if how == "abort":
        os.abort()
    raise ValueError("wrong weights")


def of_the_whole_batch(batch: int = 4):
    """A network whose results depend on what else is in the batch."""

    def run(items):
        together = np.stack(items).astype(np.float64)
        return [(one.astype(np.float64) + together.mean(),) for one in items]

    return {"batch": batch}, run


def of_the_place(batch: int = 4, place: int = -1):
    """A network one of whose places gives other last bits."""

    def run(items):
        found = [(one.astype(np.float32) * np.float32(0.1),) for one in items]
        if len(items) > 1:
            found[place] = (np.nextafter(found[place][0], np.float32(9)),)
        return found

    return {"batch": batch}, run


def sound(batch: int = 4):
    """A network whose results depend on the item alone."""
    return {"batch": batch}, lambda items: [(one.astype(np.float32) * 3,) for one in items]
