"""A job's log: everything that the process prints, including native libraries and tracebacks.

If the job fails, the last lines say what to do (see `error_advice`).
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
from pathlib import Path
from types import TracebackType

from ferrari.common.progress import log_to_stderr


def send_output_to(path: str | os.PathLike) -> None:
    """Point file descriptors 1 and 2 at `path`, so that native output lands there too.

    An error that ends the process is written there, with its traceback and advice. If the log's
    disk is full, the advice goes to the former standard error.
    """
    terminal = os.dup(2)
    sys.excepthook = functools.partial(_say_what_to_do, terminal)
    importlib.import_module("ferrari.jobs.run_lock").hold_for_job()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    log_to_stderr()


def _say_what_to_do(
    terminal: int,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    """Print the traceback, then advice: a `sys.excepthook` that knows the terminal's descriptor."""
    advice = importlib.import_module("ferrari.jobs.error_advice")
    sys.__excepthook__(kind, error, trace)
    text = advice.of_error(error)
    if text is None:
        return
    data = f"\n{text}\n".encode(errors="backslashreplace")
    try:
        written = os.write(2, data)
    except OSError:  # the log's disk is full, or its folder is gone
        written = 0
    if written < len(data):
        os.write(terminal, data)
