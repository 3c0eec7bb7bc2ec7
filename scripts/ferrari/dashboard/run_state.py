"""The contents of the live page: whether a run is working, how far it is, what it refused."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from ferrari.common.job_messages import message_of
from ferrari.common.visible_text import shown
from ferrari.dashboard.ledger_sums import FINAL, Key, LedgerSums, StageSums
from ferrari.dashboard.machine import Machine
from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.dashboard.run_control import RunControl
from ferrari.dashboard.run_phases import RUNNING
from ferrari.dashboard.watched_run import WatchedRun
from ferrari.jobs.run_progress import FailedJob, RunningJob, RunProgress
from ferrari.ledger import tables
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.reason_words import advice, sentence
from ferrari.ledger.stages import FOLDERS, table
from ferrari.reports import titles

#: All that does not run once a clip is counted together.
_WHOLE_SET = "whole set"
#: Time that a look at the page may spend on counting tables.
_COUNT_S = 0.4
#: How often all tables are looked at; in between, those of jobs that ended.
_LOOK_AT_ALL_S = 60.0
#: Looks within this time get the same answer: several tabs cost no more than one.
_SAME_S = 1.0
_LOG_BYTES = 64 << 10
_FAILED_NAMED = 20


class RunState:
    """Watches one set for the live page; may be asked from several threads."""

    def __init__(
        self, the_set: ReviewedSet, control: RunControl, clock: Callable[[], float] = time.time
    ) -> None:
        self._set, self._control, self._clock = the_set, control, clock
        self._run = WatchedRun(the_set, control, clock)
        self._sums = LedgerSums(the_set.dataset)
        self._machine = Machine(the_set.dataset)
        self._looked = self._answered = 0.0  # monotonic
        self._last_phase = ""
        self._names: dict[str, str] = {}  # raw files by clip
        self._answer: dict = {}
        self._asked = threading.Lock()

    def state(self) -> dict:
        """All that the page shows, as JSON holds it; times in seconds, sizes in bytes."""
        with self._asked:
            now = time.monotonic()
            if not self._answer or now - self._answered >= _SAME_S:
                self._answer, self._answered = self._look(), time.monotonic()
            return self._answer

    def look_anew(self) -> None:
        """Something was done: the next answer is no earlier one."""
        with self._asked:
            self._answer = {}

    def log_tail(self) -> str:
        """The end of what the run says: of the one that goes on, else of the last one."""
        with self._asked:
            path = self._run.log()
        if path is None:
            return ""
        try:
            with open(path, "rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(0, size - _LOG_BYTES))
                data = stream.read()
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
        cut = data[data.find(b"\n") + 1 :] if size > _LOG_BYTES else data
        return cut.decode("utf-8", "replace")

    def _look(self) -> dict:
        now = self._clock()
        ended = self._run.look()
        self._note_tables(ended)
        uncounted = self._sums.count(_COUNT_S)
        sums = self._sums.sums()
        told = self._run.progress
        return {
            "phase": self._run.phase,
            "sentence": self._run.sentence(),
            "run": _figures(told, now),
            "stages": list(_stages(told)),
            "now": [self._running_job(job, now) for job in self._running_jobs()],
            "failed": [self._failed_job(job) for job in _some(told.failed.values())],
            "pace": self._pace(now),
            "ledger": [_sums(one) for one in sums],
            "uncounted": uncounted,
            "damaged": [shown(text) for text in self._sums.damaged.values()][:_FAILED_NAMED],
            "refused": [
                {
                    "stage": titles.of_rule(one.stage),
                    **{"outcome": outcome, "reason": shown(reason, 60), "rows": rows},
                    **{"means": sentence(reason), "to_do": advice(reason)},
                }
                for one in sums
                for outcome, reason, rows in one.refused
            ],
            "machine": self._machine.state(),
            "why_not": self._run.why_not(),
            "started": self._started(),
        }

    def _note_tables(self, ended: Iterable[RunningJob]) -> None:
        now, phase = time.monotonic(), self._run.phase
        changed, self._last_phase = phase != self._last_phase, phase
        if changed or now - self._looked > _LOOK_AT_ALL_S:
            self._looked = now
            self._sums.look()
            return
        of_clips: list[Key] = [(job.rule, job.of) for job in ended if job.rule in FOLDERS]
        self._sums.look([*of_clips, (FINAL, "")])

    def _running_jobs(self) -> list[RunningJob]:
        running = self._run.progress.running.values() if self._run.phase == RUNNING else ()
        return sorted(running, key=lambda job: job.since)

    def _running_job(self, job: RunningJob, now: float) -> dict:
        return {
            "rule": job.rule,
            "title": titles.of_rule(job.rule),
            "of": shown(self._name_of(job.of)),
            "seconds": max(0.0, now - job.since),
        }

    def _failed_job(self, job: FailedJob) -> dict:
        said = message_of(self._set.work / job.log) if job.log else ""
        return {
            "title": titles.of_rule(job.rule),
            **{"of": shown(self._name_of(job.of)), "log": shown(job.log), "said": said},
        }

    def _name_of(self, of: str) -> str:
        """The raw file's name of a clip, which people know it by; else what was given."""
        if of not in self._names and re.fullmatch(VIDEO_ID, of):
            try:
                (row,) = tables.iter_table(self._set.dataset / table("probe", of))
            except (OSError, ValueError):  # stage 0 has not come to it, or is at it
                return of
            self._names[of] = row["file"]
        return self._names.get(of, of)

    def _pace(self, now: float) -> dict:
        if self._run.phase != RUNNING:
            return {"rate": None, "left_s": None, "without": []}
        left = self._run.progress.time_left(now)
        rate = self._run.progress.rate(now)
        without = [
            titles.of_rule(rule) for rule in (*FOLDERS, *left.without) if rule in left.without
        ]
        return {"rate": rate, "left_s": left.seconds, "without": list(dict.fromkeys(without))}

    def _started(self) -> dict | None:
        last = self._control.last
        return None if last is None else {"kind": last.kind, "status": last.status}


def _figures(said: RunProgress, now: float) -> dict:
    return {
        "began": said.began,
        "ended": said.last if said.status else None,
        "quiet_s": max(0.0, now - said.last) if said.last else None,
        "cores": said.cores,
        "planned": said.planned.total(),
        "done": said.done.total(),
        "failed": len(said.failed),
        "clips_planned": said.planned["caption"],
        "clips_done": said.done["caption"],
    }


def _stages(said: RunProgress) -> Iterator[dict]:
    """Jobs by stage, and those of the rules over the whole set together; what is not planned is
    left out.
    """
    groups = {rule: (titles.of_rule(rule), {rule}) for rule in FOLDERS}
    groups[_WHOLE_SET] = ("The whole set", set(said.planned) - set(FOLDERS))
    for name, (title, rules) in groups.items():
        planned = sum(said.planned[rule] for rule in rules)
        if planned:
            yield {
                "stage": name,
                "title": title,
                "planned": planned,
                "done": sum(said.done[rule] for rule in rules),
                "running": sum(job.rule in rules for job in said.running.values()),
                "failed": sum(job.rule in rules for job in said.failed.values()),
                "blocked": sum(said.blocked[rule] for rule in rules),
            }


def _some(jobs: Iterable[FailedJob]) -> list[FailedJob]:
    return list(jobs)[:_FAILED_NAMED]


def _sums(one: StageSums) -> dict:
    told = asdict(one) | {"title": titles.of_rule(one.stage)}
    del told["refused"]
    return told
