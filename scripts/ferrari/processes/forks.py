"""Processes that live as long as the one that forks them, whichever of its threads asks for one.

What the kernel watches for `limits.end_with` is the thread that forked, not its process: the fork
of a pool's thread would be killed with the pool. The main thread lasts as long as its process. For
all others, one thread forks that does too.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ferrari.processes.limits import end_with


def _renew() -> None:
    """A fork has no threads but the one that forked it."""
    global _lasting
    _lasting = ThreadPoolExecutor(1, "forks")


_lasting: ThreadPoolExecutor
_renew()
os.register_at_fork(after_in_child=_renew)


def fork(life: Callable[[], int]) -> int:
    """Fork a process that does `life` and exits with the status that it returns; its id.

    The kernel kills it when this process ends. It runs none of this process's clean-up handlers.
    What forks wait for (`os.register_at_fork`) must not be held by a thread that asks, unless that
    is the main thread.
    """
    if threading.current_thread() is threading.main_thread():
        return _fork(life)
    return _lasting.submit(_fork, life).result()


def _fork(life: Callable[[], int]) -> int:
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if pid:
        return pid
    status = 1
    try:
        end_with(parent)
        status = life()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 - handed on: into the log, and as the exit status
        sys.excepthook(*sys.exc_info())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # the log's disk is full: the status says enough
                stream.flush()
        os._exit(status)
