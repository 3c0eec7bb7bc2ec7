"""Starts runs of the set that is served: a dry run, or a real one.

A run is its own process in its own session: it continues when the server ends, by Ctrl-C or
otherwise. There are never two at once: first the run started by this server is checked, then the
run's lock.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ferrari.common.errors import FerrariError
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.jobs import run_lock, snakemake_command
from ferrari.jobs.stage_command import STATE, make_state_folder

DRY, RUN = "dry", "run"
KINDS = (DRY, RUN)
#: Below the working folder: what the runs say that servers started.
LOGS = STATE / "started"
_KEPT = 10


class RunRefusedError(FerrariError, RuntimeError):
    """No run may be started now; the message says why, and what to do."""


@dataclass
class Started:
    """A run that this server started: what it says goes into the file `log`."""

    kind: str
    log: Path
    process: subprocess.Popen

    @property
    def status(self) -> int | None:
        """Its exit status; None while it goes on."""
        return self.process.poll()


class RunControl:
    """Starts runs of one set, and knows the last one that it started."""

    def __init__(
        self,
        the_set: ReviewedSet,
        command: Callable[[ReviewedSet, str], Sequence[str]] | None = None,
    ) -> None:
        self._set = the_set
        self._command = command or snakemake
        self._starting = threading.Lock()
        self.last: Started | None = None

    def start(self, kind: str) -> Started:
        """Start a run of a kind of `KINDS`. Raises RunRefusedError."""
        with self._starting:
            if why := self.why_not():
                raise RunRefusedError(why)
            folder = self._set.work / LOGS
            make_state_folder(folder)
            for old in sorted(folder.glob("*.log"), reverse=True)[_KEPT - 1 :]:
                old.unlink(missing_ok=True)
            log = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z-{kind}.log"
            with open(log, "wb") as output:
                process = subprocess.Popen(
                    list(self._command(self._set, kind)),
                    cwd=self._set.work,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self.last = Started(kind, log, process)
            return self.last

    def stop(self) -> None:
        """End the run that was started here as Ctrl-C would: jobs at work are ended, what is
        finished is kept. Raises RunRefusedError where there is none.
        """
        going = self.going
        if going is None:
            raise RunRefusedError(
                "No run that was started here is going: end another one where it was started."
            )
        going.process.send_signal(signal.SIGINT)

    def why_not(self) -> str:
        """Why no run can be started now, as a sentence; empty if one can."""
        if not self._set.may_start_runs:
            return (
                "This server starts no runs: start them where the pipeline runs "
                "(make run, or snakemake)."
            )
        if self.going is not None:
            kind = "dry run" if self.going.kind == DRY else "run"
            return f"A {kind} that was started here is still going: wait for it to end."
        state = run_lock.at_work(self._set.dataset, self._set.work)
        if state == run_lock.RUN:
            return "A run is at work on this set: wait for it, or end it where it was started."
        if state == run_lock.JOBS:
            return "Jobs of a run that was killed are still at work: wait for them to end."
        return ""

    @property
    def going(self) -> Started | None:
        """What this server started and goes on; None if there is no such thing."""
        return self.last if self.last is not None and self.last.status is None else None

    def farewell(self) -> str:
        """What the server says when it ends: that a run goes on, where its words go; else empty."""
        if self.going is None:
            return ""
        return (
            f"The run that was started here goes on (process {self.going.process.pid}; it writes "
            f"{os.path.relpath(self.going.log)}). To end it: kill -INT {self.going.process.pid}"
        )


def snakemake(the_set: ReviewedSet, kind: str) -> list[str]:
    """The command of a run of a kind of `KINDS`, with the set's own settings."""
    words = (*(("--dry-run",) if kind == DRY else ()), "--quiet", "rules", "host")
    return snakemake_command.command(*words, cores=the_set.cores, config_files=the_set.config_files)
