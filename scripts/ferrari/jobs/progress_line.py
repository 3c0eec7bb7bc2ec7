"""The progress of a run in one line: stage and clip, jobs, time left, clips done and refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ferrari.common.visible_text import shown
from ferrari.jobs.run_progress import RunningJob, RunProgress, TimeLeft
from ferrari.ledger import clip_fates, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import EXTRACTOR_REJECTED
from ferrari.ledger.stages import FOLDERS, LAST_STAGE, WORDS, table

_NAME = 30  # characters of a clip's name
_UNKNOWN = "time left not known yet"


def line(
    progress: RunProgress, clips: Mapping[str, str], refused: int, now: float, width: int = 1000
) -> str:
    """The line, of at most `width` characters; "" until it is known what has to be done.

    `clips`: raw files by id; `refused`: clips refused in this run so far; `now`: seconds since
    1970. On a narrow terminal the least important parts are left out: the rate, the clip's name,
    the jobs.
    """
    if not progress.planned:
        return ""
    job = min(progress.running.values(), key=lambda one: one.since, default=None)
    stage, name = _at_work(job, progress, clips) if job else ("", "")
    jobs = f"jobs {progress.done.total():,} of {progress.planned.total():,}"
    failed = f"FAILED {len(progress.failed):,}" if progress.failed else ""
    left, done = _left(progress.time_left(now)), _clips(progress, refused)
    a_min = progress.rate(now)
    rate = f"{a_min:,.0f} jobs a min" if a_min >= 1 else ""
    short = [_shortened(part) for part in (stage, jobs, failed, left, done)]
    forms = (
        [stage, name, jobs, failed, left, done, rate],
        [stage, name, jobs, failed, left, done],
        [stage, jobs, failed, left, done],
        short,
        [short[0], *short[2:]],
    )
    lines = [" | ".join(filter(None, parts)) for parts in forms]
    return next((one for one in lines if len(one) <= width), lines[-1][:width])


def _shortened(part: str) -> str:
    """'mask 3/9' for 'stage 3 mask 3 of 9'."""
    return re.sub(r"\Astage \d+ ", "", part).replace(" of ", "/").replace(_UNKNOWN, "time left ?")


def job_name(rule: str, of: str, clips: Mapping[str, str]) -> str:
    """'mask of walk one.mp4': a job in words."""
    return f"{rule} of {shown(clips.get(of, of), 60)}" if of else rule


def is_refused(job: RunningJob, dataset: Path) -> bool:
    """True if the table that a job has just written says that stage 0 or 1 refused its clip.

    Copies, and files that are not videos, do not count.
    """
    if job.rule not in ("probe", "extract"):
        return False
    try:
        row = next(iter(tables.read_stage(dataset / table(job.rule, job.of), job.rule)), None)
    except (OSError, tables.LedgerError):  # reported where the table is used
        return False
    if row is None or job.rule == "extract":
        return row is not None and row["reason"] == EXTRACTOR_REJECTED
    return row["outcome"] != KEPT and row["reason"] not in (
        clip_fates.COPIES | clip_fates.OTHER_FILES
    )


def duration(seconds: float) -> str:
    """'1 h 05 min', '4 min 20 s', '9 s'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _at_work(job: RunningJob, progress: RunProgress, clips: Mapping[str, str]) -> tuple[str, ...]:
    stage = f"stage {WORDS[job.rule].number} {job.rule}" if job.rule in FOLDERS else job.rule
    ended, planned = progress.done[job.rule], progress.planned[job.rule]
    return f"{stage} {ended:,} of {planned:,}", shown(clips.get(job.of, job.of), _NAME)


def _left(left: TimeLeft) -> str:
    if left.seconds is None:
        return _UNKNOWN
    about = "at least" if left.without else "about"
    return f"{about} {duration(left.seconds)} left"


def _clips(progress: RunProgress, refused: int) -> str:
    whole = progress.planned[LAST_STAGE]
    done = f"clips {progress.done[LAST_STAGE]:,} of {whole:,}" if whole else ""
    return ", ".join(filter(None, (done, f"refused {refused:,}" if refused or whole else "")))
