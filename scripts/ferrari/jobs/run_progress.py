"""The progress of a run from its events (`run_events`): what is done, what is running, what is
left.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ferrari.jobs.run_events import BEGAN, END, ENDED, FAILED, START, Event
from ferrari.ledger.stages import FOLDERS

_STAGES = list(FOLDERS)
#: So many of a rule's last jobs say how long the next one takes: what the first ones load is not
#: loaded again, and jobs that find nothing to do are among their like.
_LAST = 30
_RATE_OVER_S = 300.0
#: Where more than this of the stages' jobs to do are of stages of which none has ended, the time
#: left is unknown. Jobs over the whole set are as many in a small set as in a large one, each of a
#: rule of its own: in a first run none is measured before its time, and one of them tells of the
#: others.
_UNMEASURED = 0.2
#: Rules that tell nothing of a job over the whole set: a download takes as long as it takes.
_OTHERWISE = frozenset({*FOLDERS, "fetch_weights"})


@dataclass(frozen=True)
class RunningJob:
    """A job at work; `of` is its clip, or what else its rule has a job of. `since`: see `time`."""

    id: int
    rule: str
    of: str
    since: float


@dataclass(frozen=True)
class FailedJob:
    """A job that failed; `log` is its own, from the working folder."""

    rule: str
    of: str
    log: str


@dataclass(frozen=True)
class TimeLeft:
    """Seconds until the run is through; None: unknown. `without`: rules of which none has ended
    yet, so that the time is a lower bound.
    """

    seconds: float | None
    without: tuple[str, ...] = ()


@dataclass
class RunProgress:
    """A run as far as its events were `take`n. Times are in seconds since 1970.

    `costs`: seconds of a job by rule, as known from earlier runs, for rules of which no job has
    ended in this one.
    """

    costs: Mapping[str, float] = field(default_factory=dict)
    planned: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    running: dict[int, RunningJob] = field(default_factory=dict)
    failed: dict[int, FailedJob] = field(default_factory=dict)
    began: float = 0.0
    last: float = 0.0  # the moment of the last event
    pid: int = 0
    cores: int | None = None
    log: str = ""  # Snakemake's own, from the working folder
    status: str = ""  # how it ended; empty while it has not said
    _took: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(_last_ones))
    _ends: deque[float] = field(default_factory=lambda: deque(maxlen=2000))
    _busy_s: float = 0.0
    _first: float = 0.0  # when the first job began

    def take(self, events: Iterable[Event]) -> Iterator[RunningJob]:
        """Take events in; gives the jobs that ended or failed with them."""
        for event in events:
            self.last = event["time"]
            kind = event.get("event")
            if kind == START:
                self._start(event)
            elif kind == BEGAN:
                job = RunningJob(event["id"], event["rule"], event["of"], self.last)
                self.running[job.id] = job
                self.failed.pop(job.id, None)  # it is tried again
                self._first = self._first or self.last
            elif kind in (ENDED, FAILED) and event["id"] in self.running:
                yield self._end_job(event, failed=kind == FAILED)
            elif kind == END:
                self.status = event["status"]
                self.running.clear()

    def _start(self, event: Event) -> None:
        self.planned = Counter(event["jobs"])
        self.began, self.pid = self.last, event["pid"]
        self.cores, self.log = event["cores"], event["log"]

    def _end_job(self, event: Event, *, failed: bool) -> RunningJob:
        job = self.running.pop(event["id"])
        if failed:
            self.failed[job.id] = FailedJob(job.rule, job.of, event["log"])
            return job
        took = max(0.0, self.last - job.since)  # a clock may be put back
        self._took[job.rule].append(took)
        self._busy_s += took
        self._ends.append(self.last)
        self.done[job.rule] += 1
        return job

    @property
    def blocked(self) -> Counter[str]:
        """Jobs by rule that will not run: those of later stages of a clip with a failed job."""
        found: Counter[str] = Counter()
        for job in self.failed.values():
            if job.rule in FOLDERS:
                found.update(_STAGES[_STAGES.index(job.rule) + 1 :])
        return found & self.planned

    @property
    def to_do(self) -> Counter[str]:
        """Jobs by rule that will run and have not ended, those at work included."""
        failed = Counter(job.rule for job in self.failed.values())
        return self.planned - self.done - failed - self.blocked

    def rate(self, now: float) -> float:
        """Jobs that ended a minute, over the last five minutes."""
        span = min(_RATE_OVER_S, now - self.began)
        recent = sum(end > now - _RATE_OVER_S for end in self._ends)
        return 60 * recent / span if span > 0 else 0.0

    def time_left(self, now: float) -> TimeLeft:
        """How long the run will still take, if jobs take as long as those of their rules did, with
        as many in parallel as until now.
        """
        to_do = self.to_do
        measured = self._measured(to_do)
        without = tuple(rule for rule in to_do if rule not in measured)
        of_clips = {rule: count for rule, count in to_do.items() if rule in FOLDERS}
        unknown = sum(of_clips.get(rule, 0) for rule in without)
        if unknown > _UNMEASURED * sum(of_clips.values()) or len(without) == len(to_do) > 0:
            return TimeLeft(None, without)
        work = sum(count * measured[rule] for rule, count in to_do.items() if rule in measured)
        spent = 0.0
        for job in self.running.values():
            elapsed = max(0.0, now - job.since)
            work -= min(elapsed, measured.get(job.rule, 0.0))
            spent += elapsed
        side_by_side = (self._busy_s + spent) / max(now - self._first, 1e-3)
        return TimeLeft(max(0.0, work) / max(1.0, side_by_side), without)

    def _measured(self, to_do: Iterable[str]) -> dict[str, float]:
        """Seconds of a job, by rule. A rule over the whole set that was never measured gets the
        median of such rules.
        """
        measured = {**self.costs, **self.means()}
        alike = [took for rule, took in measured.items() if rule not in _OTHERWISE]
        if alike:
            usual = statistics.median(alike)
            measured |= {r: usual for r in to_do if r not in measured and r not in _OTHERWISE}
        return measured

    def means(self) -> Mapping[str, float]:
        """Mean seconds of a rule's last jobs."""
        return {rule: sum(took) / len(took) for rule, took in self._took.items()}


def _last_ones() -> deque[float]:
    return deque(maxlen=_LAST)
