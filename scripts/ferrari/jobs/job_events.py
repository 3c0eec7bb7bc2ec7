"""What happens to the jobs of a run, told to the process that started it (`make run`).

Snakemake logs each event on its logger. A handler there writes those that tell of progress on
standard error, a line of JSON each behind a record separator (RFC 7464), among the text that people
read; and what Snakemake says of itself at level INFO ("Select jobs to execute...") is left out.
A run that nobody asked for events (`snakemake` by itself) is as Snakemake makes it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ferrari.jobs import error_advice

#: In the environment of a run: its events are to be told.
WANTED = "FERRARI_EVENTS"
#: What each line of an event begins with.
SEPARATOR = "\x1e"
NOTHING = "Nothing to be done"


def tell(logger: logging.Logger, clips: Mapping[str, str]) -> bool:
    """Have the events of Snakemake's `logger` told, if this process was asked for them; True then.

    `clips` has the raw file of each clip, by id: it is what people know the clip by.
    """
    if not os.environ.pop(WANTED, ""):  # popped: no job's process is to tell any
        return False
    import snakemake  # which called us

    engine = Path(snakemake.__file__).parent
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.addFilter(lambda record: for_people(record, engine))
    logger.addHandler(JobEvents(clips))
    return True


def for_people(record: logging.LogRecord, engine: Path) -> bool:
    """True for what the workflow says, and for warnings and errors of Snakemake (whose modules lie
    in the folder `engine`); not for the command of a job that failed: what the job said comes last.
    """
    if record.levelno >= logging.WARNING:
        return getattr(record, "exception", "") not in ("RuleException", "CalledProcessError")
    return engine not in Path(record.pathname).parents or NOTHING in str(record.msg)


class JobEvents(logging.Handler):
    """Writes a run's events on a file descriptor, each in one piece."""

    def __init__(self, clips: Mapping[str, str], descriptor: int = 2) -> None:
        super().__init__()
        self._clips, self._descriptor = clips, descriptor

    def emit(self, record: logging.LogRecord) -> None:
        event = self.told(record)
        if event:
            line = f"{SEPARATOR}{json.dumps(event)}\n"
            os.write(self._descriptor, line.encode("ascii"))

    def told(self, record: logging.LogRecord) -> dict[str, Any]:
        """The event as it is told; {} for a record that is none of progress."""
        said = record.__dict__
        match said.get("event"):
            case "run_info":
                return {"event": "planned", "jobs": said["stats"]}
            case "job_info":
                clip = said["wildcards"].get("video", "")
                return {
                    "event": "started",
                    "job": said["jobid"],
                    "rule": said["rule_name"],
                    "video": clip,
                    "clip": self._clips.get(clip, ""),
                }
            case "job_finished":
                return {"event": "finished", "job": said["job_id"]}
            case "job_error":
                return {"event": "failed", "job": said["jobid"], "logs": list(said["log"])}
            case "error":
                advice = error_advice.of_run(record.getMessage())
                return {"event": "advice", "text": advice} if advice else {}
        return {}
