"""The error message of a failed job, from its log."""

from __future__ import annotations

from pathlib import Path

_TRACEBACK = "Traceback (most recent call last):\n"


def message_of(log: Path) -> str:
    """What follows the last traceback of a log, including the advice; empty if there is no log or
    no traceback, or if the job was only interrupted.
    """
    try:
        text = log.read_text("utf-8", "replace")
    except OSError:  # the job was ended before it could write one
        return ""
    _, found, last = text.rpartition(_TRACEBACK)
    lines = [line for line in last.splitlines() if line]
    start = next((n for n, line in enumerate(lines) if not line.startswith(" ")), len(lines))
    message = "\n".join(lines[start:])
    return "" if not found or message.startswith("KeyboardInterrupt") else message
