"""The events of a running run: a file that others may read as it grows.

`.snakemake/ferrari/events/<UTC time>-<pid>.jsonl`: one JSON object per line, each appended with one
write. They are Snakemake's own events, which it makes for its terminal anyway: a handler on its
logger records them, so a plain `snakemake` command leaves them too, whatever `--quiet` says. A
module of another workflow, and a run with --no-hooks, leave none. No result of a run depends on
them.

| event | what else it holds |
|---|---|
| start | `jobs` planned, by rule; `targets` requested; `pid`, `cores`, `log` of Snakemake |
| began | a job was started, or submitted to a cluster: `id`, `rule`, its clip or format (`of`) |
| ended | the job `id` is done |
| failed | the job `id` failed; `log`: its own |
| end | of the run: `status` is success or failed. A run that was killed leaves none |

`time` is in seconds since 1970. A job makes about 200 bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ferrari.jobs import run_lock
from ferrari.jobs.stage_command import STATE, make_state_folder

START, BEGAN, ENDED, FAILED, END = "start", "began", "ended", "failed", "end"
#: Below a run's working folder.
FOLDER = STATE / "events"
#: Files of earlier runs that are left there.
KEPT = 10
#: The rule that only names what a run is to make.
NO_WORK = "all"

Event = dict[str, Any]


class EventLog(logging.Handler):
    """Writes a run's events. A full disk ends the file, never the run.

    The process holds a lock on the file until it ends in any way, so that readers know whether more
    events may come.
    """

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._file: int | None = None

    def begin(self, workflow: Any, logger: logging.Logger, logs: Sequence[str] = ()) -> None:
        """Begin the file of a run that starts now in the working folder, and listen to Snakemake.

        `workflow` is Snakemake's, `logs` the logs that it writes. Raises OSError if there can be no
        file.
        """
        now = datetime.now(UTC)
        make_state_folder(FOLDER)
        for path in files(".")[KEPT - 1 :]:
            path.unlink(missing_ok=True)
        path = FOLDER / f"{now:%Y%m%dT%H%M%S%f}Z-{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        with contextlib.suppress(OSError):  # no such locks here
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        jobs = Counter(job.rule.name for job in workflow.dag.needrun_jobs())
        del jobs[NO_WORK]
        told = {
            "jobs": dict(sorted(jobs.items())),
            "targets": sorted({*map(str, workflow.dag_settings.targets)} - {NO_WORK}),
            "pid": os.getpid(),
            "log": next(map(os.path.relpath, logs), ""),
        }
        cores = workflow.resource_settings.cores  # None on a cluster
        self._write(START, now.timestamp(), cores=cores, **told)
        # Else `--quiet progress` has it say nothing of jobs that end; its terminal filters them.
        workflow.scheduler.print_progress = True
        logger.addHandler(self)

    def end(self, status: str) -> None:
        """Say that the run is over: `status` is success or failed."""
        self._write(END, datetime.now(UTC).timestamp(), status=status)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the event of a record, if it is one of those that count."""
        kind, known = getattr(record, "event", None), vars(record)
        if kind == "job_info" and known["rule_name"] != NO_WORK:
            of = " ".join(map(str, known["wildcards"].values()))
            told = {"id": known["jobid"], "rule": known["rule_name"], "of": of}
            self._write(BEGAN, record.created, **told)
        elif kind == "job_finished":
            self._write(ENDED, record.created, id=known["job_id"])
        elif kind == "job_error":
            log = next(iter(known["log"]), "")
            self._write(FAILED, record.created, id=known["jobid"], log=log)

    def _write(self, kind: str, time: float, **told: object) -> None:
        if self._file is None:
            return
        line = json.dumps({"event": kind, "time": round(time, 3), **told}) + "\n"
        try:
            written = os.write(self._file, line.encode())
        except OSError:
            written = 0
        if written < len(line):  # full: what came now would be glued to half a line
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None


class EventReader:
    """Reads a file of events as it grows; each call of `new` gives what came since the last."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        self._read = 0  # bytes

    def new(self) -> list[Event]:
        """The events since the last call. A half-written line comes later, a line that is not an
        event is skipped, a file that is gone has no more.
        """
        try:
            with open(self.path, "rb") as stream:
                stream.seek(self._read)
                data = stream.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [event for line in whole.splitlines() if (event := _event(line))]

    def is_written(self) -> bool | None:
        """Whether the run that writes the file is alive; None where the file system cannot tell."""
        return run_lock.is_held(self.path)


def files(working: str | os.PathLike) -> list[Path]:
    """The files of events of a working folder's runs, the latest first."""
    return sorted((Path(working) / FOLDER).glob("*.jsonl"), reverse=True)


def start_of(path: str | os.PathLike) -> Event:
    """The event with which a file begins; empty where there is none yet."""
    try:
        with open(path, "rb") as stream:
            return _event(stream.readline())
    except FileNotFoundError:
        return {}


def _event(line: bytes) -> Event:
    """The event of a line; empty if it is none."""
    try:
        event = json.loads(line)
    except ValueError:  # JSON's, or Unicode's
        return {}
    sound = isinstance(event, Mapping) and isinstance(event.get("time"), (int, float))
    return dict(event) if sound else {}
