"""Stand-ins for models that end their process, hang or eat memory on one picture, for real."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np

from ferrari.processes.limits import own_memory


def room(megabytes: int) -> int:
    """A limit in MB that leaves a fork of this process so much for itself."""
    return (own_memory(os.getpid()) >> 20) + megabytes


def segfault() -> None:
    ctypes.string_at(0)


def hang_in_native_code() -> None:
    ctypes.PyDLL(None).sleep(60)  # with Python's lock held: nothing in the process could stop it


def eat_memory() -> None:
    eaten = []
    while True:
        eaten.append(bytearray(b"x" * (32 << 20)))
        time.sleep(0.002)  # a real one computes in between


def ask_for_too_much() -> None:
    np.ones(1 << 60, np.uint8)


def ask_torch_for_too_much() -> None:
    raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to")


#: How a process is ended: the function, the row's reason, what its detail says.
ENDS = {
    "segfault": (segfault, "MODEL_CRASHED", "SIGSEGV"),
    "abort": (os.abort, "MODEL_CRASHED", "SIGABRT"),
    "exit": (lambda: os._exit(3), "MODEL_CRASHED", "ended with status 3"),
    "sys.exit": (lambda: sys.exit(5), "MODEL_CRASHED", "ended with status 5"),
    "hang": (hang_in_native_code, "MODEL_TIMEOUT", "no answer within"),
    "memory": (eat_memory, "OUT_OF_MEMORY", "took more than"),
    "allocation": (ask_for_too_much, "OUT_OF_MEMORY", "did not get the memory"),
    "tensor": (ask_torch_for_too_much, "OUT_OF_MEMORY", "did not get the memory"),
}


class Notes:
    """What a child process has to tell a test: lines of text in a file."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "notes"

    def add(self, text: object) -> None:
        with open(self._file, "a", encoding="utf-8") as stream:
            stream.write(f"{text}\n")

    def read(self) -> list[str]:
        return self._file.read_text(encoding="utf-8").splitlines() if self._file.exists() else []


def is_gone(pid: int, within_s: float = 10) -> bool:
    """True once the process has ended (nobody may have waited for it yet)."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)
    return False


def children() -> set[int]:
    """The process ids of this process's children; servers that other tests began are among them."""
    found = Path("/proc/self/task").glob("*/children")
    return {int(pid) for threads in found for pid in threads.read_text().split()}
