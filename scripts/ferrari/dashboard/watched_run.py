"""The latest run of a set, for the live page: is it working, how did it end, why can no other be
started?

This is read from files: the run's lock and its file of events. A run does not know that it is being
watched, and does nothing for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from ferrari.dashboard import run_phases
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.dashboard.run_control import RunControl
from ferrari.dashboard.run_phases import (
    FAILED,
    KILLED,
    LEFTOVERS,
    NONE,
    RUNNING,
    SILENT,
    STARTING,
    STOPPED,
    SUCCESS,
)
from ferrari.jobs import run_events, run_lock
from ferrari.jobs.run_events import EventReader
from ferrari.jobs.run_progress import RunningJob, RunProgress
from ferrari.ledger import job_costs
from ferrari.ledger.stages import FOLDERS

#: A run that holds the lock for so long and has told nothing will not tell anything.
_SILENT_AFTER_S = 30.0


class WatchedRun:
    """The run that is working, else the last one; as of the last `look`."""

    def __init__(
        self, the_set: ReviewedSet, control: RunControl, clock: Callable[[], float]
    ) -> None:
        self._set, self._control, self._clock = the_set, control, clock
        self._reader: EventReader | None = None
        self._events = RunProgress()
        self._untold_since = 0.0  # when a run was first seen at work that had told nothing
        self.phase = NONE

    @property
    def progress(self) -> RunProgress:
        """How far it is; nothing while it has told nothing: what was read is an earlier one's."""
        return RunProgress() if self.phase in (STARTING, SILENT) else self._events

    def look(self) -> list[RunningJob]:
        """Take in what it has written since; the jobs that ended with it."""
        ended = self._new_events()
        self.phase = self._phase_now()
        return ended

    def sentence(self) -> str:
        """What goes on, or how the last run ended, for a person."""
        if self.phase == NONE:
            return run_phases.of_record(self._set)
        going = self._control.going
        return run_phases.sentence(self.phase, self._events, going.kind if going else "")

    def why_not(self) -> str:
        """Why no run can be started now; empty if one can."""
        if self._control.going is not None and self.phase in (SUCCESS, FAILED):
            return "The run that was started here is over, and its process is about to end."
        return self._control.why_not()

    def log(self) -> Path | None:
        """What a run that was started here says, if it is the last; else Snakemake's own log."""
        last = self._control.last
        events = self._events
        if last is not None and (last.process.pid == events.pid or last.status is None):
            return last.log
        if last is not None and _changed(last.log) >= events.last:
            return last.log
        return self._set.work / events.log if events.log else None

    def _new_events(self) -> list[RunningJob]:
        latest = self._latest()
        if latest is None:
            return []
        if self._reader is None or self._reader.path != latest:
            self._reader = EventReader(latest)
            self._events = RunProgress(costs=job_costs.known(self._set.work))
        return list(self._events.take(self._reader.new()))

    def _latest(self) -> Path | None:
        """The events of the run that goes on, else of the last one that made more than a report:
        somebody who looks at a page has that brought up to date, and asks what became of the night.
        """
        files = run_events.files(self._set.work)
        for path in files:
            if EventReader(path).is_written() or _makes_the_set(path):
                return path
        return files[0] if files else None

    def _phase_now(self) -> str:
        if self._is_told():
            self._untold_since = 0.0
            return self._end() or RUNNING  # its process ends a moment after its last word
        at_work = run_lock.at_work(self._set.dataset, self._set.work)
        if at_work == run_lock.RUN:
            now = self._clock()
            self._untold_since = self._untold_since or now
            return STARTING if now - self._untold_since < _SILENT_AFTER_S else SILENT
        self._untold_since = 0.0
        if self._control.going is not None:
            return STARTING
        if at_work == run_lock.JOBS:
            return LEFTOVERS
        return NONE if self._reader is None else self._end() or KILLED

    def _end(self) -> str:
        """How the run ended that the events are of; empty while it has not said."""
        said = self._events
        return STOPPED if said.status == FAILED and not said.failed else said.status

    def _is_told(self) -> bool:
        """Whether the run whose events are read is alive; where there are no locks, its process
        tells.
        """
        if self._reader is None:
            return False
        written = self._reader.is_written()
        return _lives(self._events.pid) if written is None else written


def _makes_the_set(path: Path) -> bool:
    """Whether a run was asked for everything, or had a job of a clip."""
    start = run_events.start_of(path)
    of_clips = not FOLDERS.keys().isdisjoint(start.get("jobs", ()))
    return of_clips or start.get("targets") == []


def _changed(path: Path) -> float:
    """When a file was last written, in seconds since 1970; -1 for one that is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return -1.0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
