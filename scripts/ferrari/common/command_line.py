"""How a command for people begins and ends: no traceback where nothing is wrong.

Two things end a command early that are no faults: Ctrl-C, and a reader that has had enough
(`| head`, or `| less` that was left). Standard library only: envs/install.py runs before there is
an environment.
"""

from __future__ import annotations

import io
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` takes as long to load as all the rest
    from collections.abc import Callable
    from typing import NoReturn, TextIO

    from _typeshed import ReadableBuffer

#: What a shell gives for a command that Ctrl-C ended, and for one whose output nobody reads.
INTERRUPTED, UNREAD = 128 + signal.SIGINT, 128 + signal.SIGPIPE
STOPPED = "stopped"


def begin() -> None:
    """The first call of a command, before its other modules load: that takes seconds, in which
    Ctrl-C would print where they stood. (While Python itself begins it still does.)
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else ignored, by `nohup`
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.stdout, sys.stderr = _read_by_somebody(sys.stdout), _read_by_somebody(sys.stderr)


def run(main: Callable[[], int]) -> NoReturn:
    """Run a command and end the process with its exit status: INTERRUPTED with one line after
    Ctrl-C, UNREAD without a word once nobody reads what it prints.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            status = main()
        finally:
            if sys.stdout is not None:  # None: called with `>&-`
                sys.stdout.flush()  # at the interpreter's end a lost reader would be an error
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # once more: at once
        print(STOPPED, file=sys.stderr)
        status = INTERRUPTED
    sys.exit(status)


class _ReadBySomebody(io.FileIO):
    """A stream that raises SystemExit once nobody reads it any more.

    Unlike SIGPIPE, which ends the process for any connection that is closed, it lets what is under
    way be cleaned up; unlike BrokenPipeError, it is not taken for an error of a file.
    """

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            with open(os.devnull, "wb") as nowhere:  # for what the buffer still holds
                os.dup2(nowhere.fileno(), self.fileno())
            raise SystemExit(UNREAD) from None


def _read_by_somebody(stream: TextIO) -> TextIO:
    """The same stream, if it is one of this process and not one that a test put in its place."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = _ReadBySomebody(stream.fileno(), "wb", closefd=False)
    return io.TextIOWrapper(
        raw if stream.write_through else io.BufferedWriter(raw),  # the former: PYTHONUNBUFFERED
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
