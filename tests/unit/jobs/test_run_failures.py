"""What is told at the end of a watched run that failed."""

from __future__ import annotations

import os
import shutil
import signal
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
    watch.progress.failed |= {n: FailedJob("mask", str(n), "") for n in range(10, 5000)}
    told = failures(watch)
    assert len(told) < 20 and told[-1] == "\n... and 4,984 jobs more without a message"


def test_of_a_run_that_was_ended_from_outside_only_earlier_failures_are_told(tmp_path):
    """Those that it had promised to tell at its end; jobs that ended with it are no failures."""
    watch = Watch(tmp_path, tmp_path, {"a-0123456789": "a.mp4"}, stopped=signal.SIGTERM)
    assert failures(watch) == []
    log(tmp_path, "caption/a-0123456789.log", "here", watch.began + 5)
    watch.progress.failed[4] = FailedJob("caption", "a-0123456789", "logs/caption/a-0123456789.log")
    (told,) = [line for line in failures(watch) if "CaptionerError" in line]
    assert "no model here" in told


@pytest.mark.parametrize("full", [True, False])
def test_a_run_that_no_job_ended_is_told_of_a_full_disk(tmp_path, monkeypatch, full):
    """Snakemake ends with a traceback of its own where it cannot copy what a job makes anew."""
    free = (40 << 10) if full else (1 << 30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 0, free))
    watch = Watch(tmp_path, tmp_path, {"a-0123456789": "a.mp4"})
    told = " ".join("\n".join(failures(watch)).split())
    assert (f"WHAT TO DO: the disk that holds {str(tmp_path)!r} is full" in told) is full
    log(tmp_path, "caption/a-0123456789.log", "here", watch.began + 5)
    watch.progress.failed[4] = FailedJob("caption", "a-0123456789", "logs/caption/a-0123456789.log")
    assert "is full" not in "\n".join(failures(watch)), "the job has said why"


def told_of(tmp_path, said: str) -> str:
    watch = Watch(tmp_path, tmp_path / "dataset", {})
    watch.said.extend(said.splitlines())
    return " ".join("\n".join(failures(watch)).split())


def only_full(monkeypatch, *full: Path) -> None:
    def usage(place):
        free = 0 if Path(place).resolve() in full else 1 << 30
        return shutil._ntuple_diskusage(1 << 40, 0, free)

    monkeypatch.setattr(shutil, "disk_usage", usage)


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("[Errno 28] No space left on device: '/scratch/tmp1/x'", "/scratch/tmp1/x"),
        ("[Errno 28] No space left on device: '.snakemake/a' -> '/scratch/b'", "/scratch/b"),
        ("[Errno 28] No space left on device: 'dataset/c.csv'", "{work}/dataset/c.csv"),
    ],
)
def test_the_disk_that_snakemake_names_is_told_and_not_that_of_the_set(
    tmp_path, monkeypatch, words, file
):
    """The set's own disk is nearly full too, and not the one that was."""
    only_full(monkeypatch, tmp_path)
    told = told_of(tmp_path, f"Traceback:\nOSError: {words}\n")
    assert f"the disk that holds '{file.format(work=tmp_path)}' is full" in told


def test_a_job_that_could_not_even_start_leaves_the_disk_to_be_told(tmp_path, monkeypatch):
    """Without temporary files Snakemake starts no script: the job's log is empty."""
    only_full(monkeypatch)
    watch = Watch(tmp_path, tmp_path / "dataset", {})
    watch.said.append("OSError: [Errno 28] No space left on device: '/scratch/x'")
    watch.progress.failed[4] = FailedJob("select_final", "", "logs/select_final.log")
    told = " ".join("\n".join(failures(watch)).split())
    assert "select_final ended without a message" in told
    assert told.endswith("anew, never trusted.") and "that holds '/scratch/x' is full" in told


def test_a_quota_that_is_used_up_is_told(tmp_path, monkeypatch):
    only_full(monkeypatch)
    told = told_of(tmp_path, "OSError: [Errno 122] Disk quota exceeded: '/data/anna/x'")
    assert "your quota on the disk that holds '/data/anna/x' is used up" in told


def test_a_disk_behind_a_link_is_found_where_no_file_is_named(tmp_path, monkeypatch):
    disk = tmp_path / "other disk"
    disk.mkdir()
    work = tmp_path / "set"
    (work / "dataset").mkdir(parents=True)
    (work / "dataset/01_extracted_frames").symlink_to(disk)
    only_full(monkeypatch, disk)
    told = told_of(work, "OSError: [Errno 28] No space left on device")
    assert f"that holds '{work}/dataset/01_extracted_frames' is full" in told
    only_full(monkeypatch)
    assert "a disk is full, see above" in told_of(work, "[Errno 28] No space left on device")
    assert told_of(work, "KeyError: 28") == "", "no alarm where nobody speaks of a disk"
