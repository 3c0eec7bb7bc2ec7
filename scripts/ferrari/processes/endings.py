"""Whether another process has ended."""

from __future__ import annotations

import os
import select


def has_ended(pidfd: int, wait_s: float = 0.0) -> bool:
    """True if the process of a pidfd has ended, or does within so many seconds."""
    return bool(select.select([pidfd], [], [], wait_s)[0])


def child_has_ended(pid: int) -> bool:
    """True if a child of this process has ended; its status still waits to be asked for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
