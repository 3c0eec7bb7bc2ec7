"""What is told at the end of a watched run that failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ferrari.jobs.run_failures import failures
from ferrari.jobs.run_progress import FailedJob
from ferrari.jobs.run_watch import Watch

_LOG = "Traceback (most recent call last):\n  File x\nCaptionerError: no model {}\n"


def log(work: Path, name: str, word: str, time: float) -> None:
    path = work / "logs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_LOG.format(word))
    os.utime(path, (time, time))


@pytest.mark.parametrize("clock", [-3600, 0, 3600], ids=["put back", "steady", "put ahead"])
def test_a_job_that_failed_is_told_whatever_the_clock_did_meanwhile(tmp_path, clock):
    watch = Watch(tmp_path, tmp_path, {"a-0123456789": "a.mp4"})
    log(tmp_path, "caption/a-0123456789.log", "here", watch.began + 5 + clock)
    log(tmp_path, "caption/b-0123456789.log", "of an earlier run", watch.began - 90)
    watch.progress.failed[4] = FailedJob("caption", "a-0123456789", "logs/caption/a-0123456789.log")
    told = "\n".join(failures(watch))
    assert told.count("CaptionerError: no model here") == 1 and "earlier" not in told


def test_a_job_that_left_no_log_is_told(tmp_path):
    watch = Watch(tmp_path, tmp_path, {"a-0123456789": "a.mp4"})
    watch.progress.failed[4] = FailedJob("caption", "a-0123456789", "logs/caption/a-0123456789.log")
    watch.progress.failed[5] = FailedJob("who", "", "")
    told = "\n".join(failures(watch))
    assert "caption of a.mp4 ended without a message" in told and "who ended without" in told
