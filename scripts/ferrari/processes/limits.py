"""Limits for a process: how much memory it holds, that it ends with its parent, open files; and
its name.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal

DIED_OF_DEVICE = 96  # exit status of a child whose GPU context has become unusable
DIED_OF_MEMORY = 97  # exit status of a child that could not get the memory it asked for
POLL_S = 0.02  # how often a child's memory is looked at: it may grow by some 50 MB in between

#: Signals from outside. Our own limits end a child by a signal too, but are recorded before.
FROM_OUTSIDE = frozenset(
    {signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
)

_PR_SET_PDEATHSIG = 1  # prctl of Linux: the signal that a process gets when its parent dies


def end_with(parent: int) -> None:
    """Have the kernel kill this process when the thread of `parent` that forked it is gone.

    Without it, the child of a killed job would go on writing into the folders of the next run.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before the line above
        os._exit(1)


def call_this(what: str) -> None:
    """Set the name that `ps` and `top` show for this process; its first 15 bytes."""
    with open("/proc/self/comm", "wb") as stream:
        stream.write(what.encode()[:15])


def open_as_many_as_may_be() -> None:
    """Raise how many files this process and its children may have open to what the system allows.

    Usual are 1024, and the process of a card holds dozens a job: a piece of memory for each answer.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def own_memory(pid: int) -> int:
    """Bytes that a process holds for itself: anonymous and shared memory, 0 if it is gone.

    Libraries and weights that are mapped from files do not count: the kernel drops them when it
    needs the space. With CUDA they are gigabytes, and so is the address space.
    """
    try:
        with open(f"/proc/{pid}/status", "rb") as stream:
            lines = stream.read().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    held = (line.split() for line in lines if line.startswith((b"RssAnon:", b"RssShmem:")))
    return sum(int(kilobytes) for _, kilobytes, _ in held) << 10


def inherited_memory() -> int:
    """Bytes of address space that this process has, as a fork of it does when it starts."""
    with open("/proc/self/statm", "rb") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()
