"""Causes faults on a copy of a finished run, and holds what comes after against the original."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ferrari.ledger import stages
from tests.processes import jobs_in
from tests.workflow.demo_run import Demo
from tests.workflow.small_run import FINAL

#: Per-clip stages in the order of flow, and the folder of their tables; `probe` is left alone.
STAGES = {stage: folder for stage, folder in stages.FOLDERS.items() if stage != "probe"}
#: What takes up the space of a disk made by `tmpfs`; to be removed before a run is to succeed.
FILLER = ".filler.part"


def table(run: Demo, stage: str, clip: str) -> Path:
    """The table of `stage` of the one clip whose id begins with `clip`."""
    (found,) = (run.dataset / STAGES[stage]).glob(f"{clip}-*.csv")
    return found


def undo(run: Demo, stage: str, clip: str) -> None:
    """Take away a clip's tables from `stage` on, and the final one, so that jobs are to be done."""
    for name in list(STAGES)[list(STAGES).index(stage) :]:
        for made in (run.dataset / STAGES[name]).glob(f"{clip}-*.csv"):
            made.unlink()
    (run.folder / FINAL).unlink(missing_ok=True)


def attempt(run: Demo, *arguments: str, **options) -> str:
    """One run up to the final table that is to fail; its output on long lines."""
    output = run.run("--cores", "2", *(arguments or (FINAL,)), check=False, **options)
    assert "Error" in output, output[-2000:]
    return unwrapped(output)


def unwrapped(output: str) -> str:
    """Text with the line breaks that laid out its sentences taken out."""
    return re.sub(r"\s+", " ", output)


def assert_resumes(run: Demo, unbroken: Demo) -> None:
    """The same command again ends in the dataset of the unbroken run, with nothing left beside."""
    run.run("--cores", "2", FINAL)
    differs = set(run.digests().items()) ^ set(unbroken.digests().items())
    assert not differs, sorted({name for name, _ in differs})


@contextlib.contextmanager
def tmpfs(folder: Path, spare_kb: int) -> Iterator[None]:
    """The content of `folder` on a file system of its own, with `spare_kb` of space left in it."""
    content = folder.with_name(folder.name + ".content")
    folder.rename(content)
    folder.mkdir()
    need = sum(4096 + path.stat().st_size for path in content.rglob("*")) // 1024
    mount("-t", "tmpfs", "-o", f"size={need + 4096}k", "tmpfs", str(folder))
    try:
        shutil.copytree(content, folder, symlinks=True, dirs_exist_ok=True)
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize - (spare_kb << 10)
        (folder / FILLER).write_bytes(bytes(free))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def mount(*arguments: str) -> None:
    """`mount`, or a skipped test where that may not be done."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here (needs root): {done.stderr.strip()}")


def job_of(run: Demo, script: str, started: Callable[[], bool]) -> int:
    """The process id of the first job of `script` that works in the run's folder."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not started():
        for pid, at_work in jobs_in(run.folder):
            if at_work == script:
                return pid
        time.sleep(0.005)
    raise AssertionError(f"no job of {script} was seen")
