"""A run in its own process, watched: its text output, a progress line, and its exit status.

Everything that the run and its jobs print comes through one pipe, so nothing is written into the
line. On a terminal the line is updated in place; in a file it is written once a minute. The
progress comes from the run's file of events. A terminal's Ctrl-C reaches the run's processes too:
they end by themselves, and what they print then is not shown.
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from ferrari.common.command_line import INTERRUPTED
from ferrari.jobs import progress_line, run_events
from ferrari.jobs.engine_words import EngineWords
from ferrari.jobs.run_progress import RunProgress

#: In the environment of a run that is watched.
WATCHED = "FERRARI_WATCHED"
STOPPED = "stopped; run the same command to go on"
_STOPPING = "stopping: jobs that are at work end first ..."
_NOTHING = "Nothing to be done"
_TICK_S = 0.5
_LAST_LINES = 300
_EVERY_S = 60.0
_ERASE = "\r\x1b[K"


def is_watched(logger: logging.Logger) -> bool:
    """In the run's process: whether it is watched.

    If so, Snakemake's `logger` leaves out messages about Snakemake itself ("Select jobs to
    execute...") and the commands of failed jobs: the jobs' own errors are shown at the end.
    """
    if not os.environ.pop(WATCHED, ""):  # popped: a run that a job starts is not watched
        return False
    engine = Path(str(sys.modules["snakemake"].__file__)).parent
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(lambda record: is_for_people(record, engine))
    return True


def is_for_people(record: logging.LogRecord, engine: Path) -> bool:
    """True for what the workflow says, and for warnings and errors of Snakemake, whose modules lie
    in the folder `engine`.
    """
    if record.levelno >= logging.WARNING:
        return getattr(record, "exception", "") not in ("RuleException", "CalledProcessError")
    return engine not in Path(record.pathname).parents or _NOTHING in str(record.msg)


class Screen:
    """Text with a progress line below it, on a terminal; on any other stream text, and the line now
    and then.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._moves = stream.isatty()
        self._line = ""
        self._told = clock()

    def say(self, text: str) -> None:
        """Write a line of text."""
        self._write(f"{self._erased()}{text}\n{self._line}")

    def show(self, line: Callable[[int], str]) -> None:
        """Bring the moving line up to date; `line` is given how wide it may be."""
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
        """Take the moving line away."""
        self._write(self._erased())
        self._line = ""

    def _erased(self) -> str:
        return _ERASE if self._line else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


@dataclass
class Watch:
    """A run that is watched: in the folder `work`, of a `dataset`, with the raw files of clips by
    id (`clips`). `progress` is how far it is, `refused` the clips that it refused so far, `at_work`
    the line while nothing is known of jobs. `status` is that of its process, which has ended;
    `said` are the last lines that it printed, shown or not.
    """

    work: Path
    dataset: Path
    clips: Mapping[str, str]
    progress: RunProgress = field(default_factory=RunProgress)
    refused: set[str] = field(default_factory=set)
    stopped: bool = False
    began: float = field(default_factory=time.time)
    at_work: str = "looking at what there is to do ..."
    status: int | None = None
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _failed: set[str] = field(default_factory=set)  # names of jobs; some rules try them again
    _process: subprocess.Popen | None = None
    _events: run_events.EventReader | None = None

    def run(self, command: Sequence[str], stream: TextIO | None = None) -> int:
        """Run `command` to its end; its exit status, or INTERRUPTED after Ctrl-C. It is told on
        `stream`, by default standard error; once nobody reads that, the run is ended.
        """
        screen, words = Screen(stream or sys.stderr), EngineWords()
        with self._signals():
            process = self._process = subprocess.Popen(
                command,
                cwd=self.work,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, WATCHED: "1"},
            )
            with _ended_with_its_reader(process):
                for text in _lines(process):
                    for failure in self._take_events():
                        screen.say(failure)
                    if text is not None:
                        self.said.append(text)
                        if words.is_for_people(text) and not self.stopped:
                            screen.say(text)
                    screen.show(self._line)
                screen.clear()
            self.status = process.returncode
            if self.stopped:
                screen.say(STOPPED)
        return INTERRUPTED if self.stopped else process.returncode

    def _line(self, width: int) -> str:
        if self.stopped:
            return _STOPPING[:width]
        refused, now = len(self.refused), time.time()
        line = progress_line.line(self.progress, self.clips, refused, now, width)
        return line or self.at_work[:width]

    def _take_events(self) -> Iterator[str]:
        """Take in what happened since; a line for each job that failed, however often."""
        if self._events is None and self._process is not None:
            found = self._own_events(self._process.pid)
            self._events = run_events.EventReader(found) if found else None
        for job in self.progress.take(self._events.new() if self._events else ()):
            name = progress_line.job_name(job.rule, job.of, self.clips)
            if job.id in self.progress.failed:
                yield from self._failure(name)
                continue
            if name in self._failed:
                self._failed.remove(name)
                yield f"went well when it was tried again: {name}"
            if progress_line.is_refused(job, self.dataset):
                self.refused.add(job.of)

    def _failure(self, name: str) -> Iterator[str]:
        """The message about a failed job; nothing if it was already shown."""
        if name not in self._failed and not self.stopped:
            yield f"failed: {name}. Why, and what to do, is said at the end; the others go on."
        self._failed.add(name)

    def _own_events(self, pid: int) -> Path | None:
        """The run's file of events, once it is there: an earlier run may have had the same process
        id (in a container most do).
        """
        for path in run_events.files(self.work):
            if path.name.endswith(f"-{pid}.jsonl") and path.stat().st_mtime >= self.began:
                return path
        return None

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Meanwhile Ctrl-C is remembered, and an order to end is handed on."""

        def interrupt(number: int, frame: object) -> None:
            self.stopped = True

        def hand_on(number: int, frame: object) -> None:
            if self._process is not None:
                self._process.send_signal(number)

        handlers = {signal.SIGINT: interrupt, signal.SIGTERM: hand_on}
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _ended_with_its_reader(process: subprocess.Popen) -> Iterator[None]:
    """Let a run end by itself, as after Ctrl-C, if nobody reads what is told of it any more."""
    try:
        yield
    except SystemExit:
        process.terminate()
        for _ in _lines(process):  # what it says meanwhile, or it would wait for ever
            pass
        raise


def _lines(process: subprocess.Popen) -> Iterator[str | None]:
    """The lines that come from a process, and None at each tick. It ends with the process: what
    outlives that may hold the pipe open.
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
        if not piece and ready:  # closed at its other end, which is about to be over
            time.sleep(_TICK_S)
        yield None
    if waiting:
        yield waiting.decode("utf-8", "replace")
