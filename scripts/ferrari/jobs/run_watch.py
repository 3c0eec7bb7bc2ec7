"""A run in a process of its own, watched: its text, one line that moves, and how it ended.

Everything that the run and its jobs print comes through one pipe, so nothing is written into the
line. On a terminal the line moves; in a file it is written once a minute. A terminal's Ctrl-C
reaches the run's processes too: they end by themselves, and nothing that they say then is shown.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ferrari.jobs import job_events
from ferrari.jobs.run_progress import RunProgress

STOPPED = "stopped; run the same command to go on"
#: What a shell gives for a command that Ctrl-C ended.
INTERRUPTED = 128 + signal.SIGINT
_TICK_S = 0.5
_EVERY_S = 60.0
_ERASE = "\r\x1b[K"
_STOPPING = "stopping: jobs that are at work end first ..."


class Screen:
    """Text with a moving line below it, on a terminal; on any other stream, text and now and then
    the line.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._moves = stream.isatty()
        self._line = ""
        self._told = clock()

    def say(self, text: str) -> None:
        """Write lines of text."""
        self._write(f"{self._erased()}{text}\n{self._line}")

    def show(self, line: Callable[[int], str]) -> None:
        """Bring the line up to date; `line` is given how wide it may be."""
        if self._moves:
            new = line(shutil.get_terminal_size().columns - 1)
            if new != self._line:
                self._write(f"{self._erased()}{new}")
                self._line = new
        elif self._clock() - self._told >= _EVERY_S:
            self._told = self._clock()
            text = line(1000)
            self._write(f"{text}\n" if text else "")

    def clear(self) -> None:
        """Take the line away."""
        self._write(self._erased())
        self._line = ""

    def _erased(self) -> str:
        return _ERASE if self._line else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def watch(
    command: Sequence[str], folder: Path, progress: RunProgress, stream: TextIO = sys.stderr
) -> int:
    """Run `command` in `folder` to its end; its exit status, or INTERRUPTED after Ctrl-C."""
    screen = Screen(stream)
    with _signals() as signals:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, job_events.WANTED: "1"},
        )
        signals.process = process
        for line in _lines(process):
            if line is not None:
                _take(line, progress, screen, signals.stopped)
            screen.show(lambda width: _STOPPING if signals.stopped else progress.line(width))
        screen.clear()
        if signals.stopped:
            screen.say(STOPPED)
            return INTERRUPTED
        return process.returncode


def _take(line: str, progress: RunProgress, screen: Screen, stopped: bool) -> None:
    """A line of the run: text, an event, or text that a job left without an end before an event."""
    text, marked, event = line.partition(job_events.SEPARATOR)
    if marked:
        failures = len(progress.failed)
        progress.take(json.loads(event))
        for job, _ in progress.failed[failures:]:
            text += f"failed: {job}. Why, and what to do, comes at the end; other clips go on."
    if not stopped and (text or not marked):
        screen.say(text)


def _lines(process: subprocess.Popen) -> Iterator[str | None]:
    """The lines that come from the process, and None at each tick. It ends with the process: what
    outlives it may hold the pipe open.
    """
    assert process.stdout is not None
    pipe, waiting = process.stdout.fileno(), b""
    while True:
        ended = process.poll() is not None
        ready = select.select([pipe], [], [], 0 if ended else _TICK_S)[0]
        piece = os.read(pipe, 1 << 16) if ready else b""
        *whole, waiting = (waiting + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)
        if not piece and ended:
            break
        if not piece and ready:  # closed by its other end, which is about to be over
            time.sleep(_TICK_S)
        yield None
    if waiting:
        yield waiting.decode("utf-8", "replace")


class _Signals:
    """What came while a run goes on: Ctrl-C is remembered, an order to end is handed on."""

    def __init__(self) -> None:
        self.stopped = False
        self.process: subprocess.Popen | None = None

    def interrupt(self, number: int, frame: object) -> None:
        self.stopped = True

    def hand_on(self, number: int, frame: object) -> None:
        if self.process is not None:
            self.process.send_signal(number)


@contextmanager
def _signals() -> Iterator[_Signals]:
    signals = _Signals()
    handlers = {signal.SIGINT: signals.interrupt, signal.SIGTERM: signals.hand_on}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
