"""The error messages of a watched run's failed jobs, with what to do: the last lines of the run."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ferrari.common.counts import number_of
from ferrari.common.job_messages import message_of
from ferrari.jobs import error_advice
from ferrari.jobs.progress_line import job_name
from ferrari.jobs.run_progress import FailedJob
from ferrari.jobs.run_watch import Watch
from ferrari.reports import run_end

_MUTE = 8  # jobs without a message that are told


def failures(watch: Watch) -> list[str]:
    """Each message once, with advice; of a run that was ended from outside, those of jobs that had
    failed before, if any.

    For a job without a message, the last line of its log; for a killed one, what that means. Where
    no job has said why, Snakemake itself may have failed, or could not start one: on a full disk it
    cannot even say so in its log.
    """
    work = watch.work
    failed = watch.progress.failed.values()
    if watch.stopped and not failed:
        return []
    known = {work / job.log for job in failed if job.log}  # by name: a clock may be put back
    messages = run_end.failures(work / "logs", watch.began, known)
    mute = [job for job in failed if not (job.log and message_of(work / job.log))]
    lines = messages + [_ended_mute(watch, job) for job in mute[:_MUTE]]
    if len(mute) > _MUTE:
        lines.append(f"\n... and {number_of(len(mute) - _MUTE, 'job')} more without a message")
    said = "".join(log.read_text("utf-8", "replace") for log in _of_snakemake(watch))
    killed = None if watch.stopped else error_advice.of_run(said, watch.status)
    if messages or killed or watch.stopped:
        return [*lines, *filter(None, [killed])]
    printed = "\n".join([said, *watch.said])
    full = error_advice.of_full_disk(work, printed, _other_disks(watch))
    return [*lines, *filter(None, [full])]


def _other_disks(watch: Watch) -> list[Path]:
    """Folders that Snakemake writes into and that may lie on another disk than the set's."""
    linked = (path for folder in (watch.work, watch.dataset) for path in sorted(folder.glob("*")))
    places = [*(path for path in linked if path.is_symlink()), Path(tempfile.gettempdir())]
    return [place for place in places if place.is_dir()]


def _ended_mute(watch: Watch, job: FailedJob) -> str:
    log = watch.work / job.log
    said = log.read_text("utf-8", "replace").strip() if job.log and log.is_file() else ""
    end = said.rpartition("\n")[2] or "nothing"
    name = job_name(job.rule, job.of, watch.clips)
    return f"\n{name} ended without a message; the last line of {log}: {end}"


def _of_snakemake(watch: Watch) -> list[Path]:
    """Snakemake's log of the run. A run that only looks leaves no events, which would name it: then
    those that were written since the run began.
    """
    if watch.progress.log:
        return [log for log in (watch.work / watch.progress.log,) if log.is_file()]
    logs = sorted((watch.work / ".snakemake/log").glob("*.log"))
    return [log for log in logs if log.stat().st_mtime >= watch.began]
