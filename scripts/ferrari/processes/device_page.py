"""What the process of a device is at, in memory that its clients can read even when it is dead.

A client whose process has died reads here whether its own request was being run just then, and one
that waits, for how long, and how long that may take. The figures are what the process has done so
far.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

#: What it does: it waits for a slot of the device, or serves.
WAITING, SERVING = 0, 1
_SIZE = 4096
_NOW = struct.Struct("<QdQd")  # state, since when (0: idle), how many tickets, seconds that it may
_DONE = struct.Struct("<dQQQ")  # seconds, batches, items, items run for padding alone
_DONE_AT, _TICKETS_AT = 32, 128
#: A batch has at most so many items.
MOST = (_SIZE - _TICKETS_AT) // 8


@dataclass(frozen=True)
class Done:
    """What a process has run: seconds that it was busy, batches, items, and items of padding."""

    busy_s: float = 0.0
    batches: int = 0
    items: int = 0
    padding: int = 0


class Page:
    """A page of shared memory; one process writes, others read."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._memory = mmap.mmap(descriptor, _SIZE, mmap.MAP_SHARED)

    @classmethod
    def new(cls) -> Page:
        """An empty page."""
        descriptor = os.memfd_create("ferrari device", os.MFD_CLOEXEC)
        os.ftruncate(descriptor, _SIZE)
        return cls(descriptor)

    def close(self) -> None:
        """Let go of it."""
        self._memory.close()
        os.close(self.descriptor)

    def begin(self, tickets: Sequence[int], limit_s: float = math.inf) -> None:
        """Work for the requests with these tickets begins, which may take so long."""
        struct.pack_into(f"<{len(tickets)}Q", self._memory, _TICKETS_AT, *tickets)
        _NOW.pack_into(self._memory, 0, SERVING, time.monotonic(), len(tickets), limit_s)

    def end(self, items: int = 0, padding: int = 0) -> None:
        """The work is done; it counts if it was for items."""
        _, began, _, _ = _NOW.unpack_from(self._memory)
        done = self.done
        if items:
            busy_s = done.busy_s + time.monotonic() - began
            figures = (busy_s, done.batches + 1, done.items + items, done.padding + padding)
            _DONE.pack_into(self._memory, _DONE_AT, *figures)
        self.idle()

    def idle(self) -> None:
        """It serves, and nothing is being run."""
        _NOW.pack_into(self._memory, 0, SERVING, 0.0, 0, math.inf)

    @property
    def waits(self) -> bool:
        """Whether the process still waits for a slot of its device."""
        return _NOW.unpack_from(self._memory)[0] == WAITING

    @property
    def running(self) -> frozenset[int]:
        """The tickets of what is being run, or was when the process ended."""
        count = min(_NOW.unpack_from(self._memory)[2], MOST)
        return frozenset(struct.unpack_from(f"<{count}Q", self._memory, _TICKETS_AT))

    @property
    def running_s(self) -> float:
        """For how long it has been run; 0 if nothing is."""
        began = _NOW.unpack_from(self._memory)[1]
        return time.monotonic() - began if began else 0.0

    @property
    def limit_s(self) -> float:
        """For how long it may be run."""
        return _NOW.unpack_from(self._memory)[3]

    @property
    def done(self) -> Done:
        """What has been run so far."""
        return Done(*_DONE.unpack_from(self._memory, _DONE_AT))
