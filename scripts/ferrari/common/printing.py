"""What a command prints, and who reads it."""

from __future__ import annotations

import signal


def end_with_the_reader() -> None:
    """From here on, end without a word once nobody reads what is printed (`| head`, or `| less`
    that was left), as the system's own commands do. Python would raise BrokenPipeError instead.

    For commands that print and have no process or connection of their own to write to.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
