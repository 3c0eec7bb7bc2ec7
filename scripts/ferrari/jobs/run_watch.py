"""A run in its own process, watched: its text output, a progress line, and its exit status.

Everything that the run and its jobs print comes through one pipe, so nothing is written into the
line. On a terminal the line is updated in place; in a file it is written once a minute, with the
time. The progress comes from the run's file of events. A terminal's Ctrl-C, or its end, reaches the
run's processes too: they end by themselves, and what they print then is not shown.
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TextIO

from ferrari.jobs import progress_line, run_events
from ferrari.jobs.engine_words import EngineWords
from ferrari.jobs.run_progress import RunProgress

#: In the environment of a run that is watched.
WATCHED = "FERRARI_WATCHED"
#: What ends a run from outside, and what is said of it.
STOPPED: Mapping[int, str] = {
    signal.SIGINT: "stopped; run the same command to go on",
    signal.SIGTERM: "the run was ended from outside (SIGTERM: by somebody, by a scheduler, or the "
    "machine shuts down); run the same command to go on",
    signal.SIGHUP: "the run was ended since its terminal was closed (SIGHUP); run the same command "
    "to go on, a long run with nohup before it or in tmux",
}
#: The exit statuses of a run that was ended so.
ENDED = frozenset(128 + number for number in STOPPED)
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
    """Text with a progress line below it, on a terminal; on any other stream text, and the line
    once a minute.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self.moves = stream.isatty()
        self._line = ""
        self._phase: object = None
        self._next = clock() + _EVERY_S

    def say(self, text: str) -> None:
        """Write a line of text."""
        self._write(f"{self._erased()}{text}\n{self._line}")

    def show(self, line: Callable[[int], str], phase: object = None) -> None:
        """Bring the moving line up to date; `line` is given how wide it may be. In a file it is
        written at once where a new `phase` begins.
        """
        if self.moves:
            new = line(shutil.get_terminal_size().columns - 1)
            if new != self._line:
                self._write(f"{self._erased()}{new}")
                self._line = new
        elif self._clock() >= self._next or phase != self._phase:
            self._next, self._phase = self._clock() + _EVERY_S, phase
            text = line(1000)
            self._write(f"{datetime.now():%H:%M} {text}\n" if text else "")

    def clear(self) -> None:
        """Take the moving line away."""
        self._write(self._erased())
        self._line = ""

    def _erased(self) -> str:
        return _ERASE if self._line else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def listeners() -> list[TextIO]:
    """Where a run is told: on standard error, as the terminal has it, and in the file that standard
    output was sent to (`> log`). A pipe has it alone: `| tee log` shows it on the terminal.
    """
    if sys.stdout.isatty() or not sys.stderr.isatty():
        return [sys.stderr]
    kind = os.fstat(sys.stdout.fileno()).st_mode
    if stat.S_ISFIFO(kind):
        return [sys.stdout]
    return [sys.stderr, sys.stdout] if stat.S_ISREG(kind) else [sys.stderr]


@dataclass
class Watch:
    """A run that is watched: in the folder `work`, of a `dataset`, with the raw files of clips by
    id (`clips`). `progress` is how far it is, `refused` the clips that it refused so far, `at_work`
    the line while nothing is known of jobs. `stopped` is the signal that ended it from outside, and
    from then on nothing counts as failed. `status` is that of its process, which has ended; `said`
    are the last lines that it printed, shown or not.
    """

    work: Path
    dataset: Path
    clips: Mapping[str, str]
    progress: RunProgress = field(default_factory=RunProgress)
    refused: set[str] = field(default_factory=set)
    stopped: int | None = None
    began: float = field(default_factory=time.time)
    at_work: str = "looking at what there is to do ..."
    status: int | None = None
    said: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    _failed: set[str] = field(default_factory=set)  # names of jobs; some rules try them again
    _process: subprocess.Popen | None = None
    _events: run_events.EventReader | None = None

    def run(self, command: Sequence[str], streams: Sequence[TextIO] = ()) -> int:
        """Run `command` to its end; its exit status, or one of ENDED. It is told on `streams`, by
        default standard error; once nobody reads one, the run is ended.
        """
        screens, words = [Screen(stream) for stream in streams or [sys.stderr]], EngineWords()
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
                    if self.stopped == signal.SIGHUP:
                        screens = [screen for screen in screens if not screen.moves]
                    said = [] if self.stopped else [*self._take_events()]
                    if text is not None:
                        self.said.append(text)
                        said += [text] if words.is_for_people(text) and not self.stopped else []
                    for screen in screens:
                        for line in said:
                            screen.say(line)
                        screen.show(self._line, self._phase())
            self.status = process.returncode
            for screen in screens:
                screen.clear()
                if self.stopped:
                    screen.say(STOPPED[self.stopped])
        return 128 + self.stopped if self.stopped else process.returncode

    def _phase(self) -> object:
        """What a file is told at once: the first jobs, and an end from outside."""
        return self.stopped or bool(self.progress.planned) or None

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
        if name not in self._failed:
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
        """Meanwhile what ends the run is remembered, and handed on as an order to end. Ctrl-C the
        terminal has sent to the run itself; what is ignored (by `nohup`) stays so.
        """

        def end(number: int, frame: object) -> None:
            self.stopped = self.stopped or number
            if number != signal.SIGINT and self._process is not None:
                self._process.terminate()

        taken = [number for number in STOPPED if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, end) for number in taken}
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
