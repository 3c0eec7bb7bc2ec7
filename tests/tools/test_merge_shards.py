"""`make merge`: whole files or none, and nothing while a run is at work."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys

import pytest

from ferrari.jobs import run_lock
from tests.settings import ENVIRONMENT
from tests.unit.provenance.test_last_run import record
from tools import merge_shards

AT_WORK = (
    "import time; from ferrari.jobs import run_lock; run_lock.require('dataset'); "
    "print('holds', flush=True); time.sleep(60)"
)


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """Two working folders that share a table; the second has one of its own."""
    monkeypatch.setattr(run_lock, "_held", {})
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        record(folder, "1", {})
        (folder / "dataset").mkdir()
        (folder / "dataset/shared.csv").write_text("item\n")
        (folder / ".snakemake").mkdir()
    (folders[1] / "dataset/own.csv").write_text("item\nwalk\n" * 1000)
    os.utime(folders[1] / "dataset/own.csv", ns=(5, 5))
    yield folders
    for descriptor in run_lock._held.values():
        os.close(descriptor)


def merge(machines) -> int:
    return merge_shards.main([*map(str, machines), "--into", str(machines[0])])


def test_what_is_missing_comes_with_its_time(machines):
    assert merge(machines) == 0
    came = machines[0] / "dataset/own.csv"
    assert came.read_bytes() == (machines[1] / "dataset/own.csv").read_bytes()
    assert came.stat().st_mtime_ns == 5


def test_a_full_disk_leaves_no_half_file_and_the_same_command_goes_on(
    machines, monkeypatch, capsys
):
    copy2 = shutil.copy2

    def half(source, target):
        with open(target, "wb") as stream:
            stream.write(b"item\nwa")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copy2", half)
    assert merge(machines) == 1
    said = capsys.readouterr().err
    assert "own.csv" in said and "No space left" in said and "same command again" in said
    assert os.listdir(machines[0] / "dataset") == ["shared.csv"]
    monkeypatch.setattr(shutil, "copy2", copy2)
    assert merge(machines) == 0 and (machines[0] / "dataset/own.csv").exists()


@pytest.mark.parametrize("busy", [0, 1])
def test_nothing_is_merged_while_a_run_is_at_work(machines, busy, capsys):
    running = subprocess.Popen(
        [sys.executable, "-c", AT_WORK],
        cwd=machines[busy],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout.readline() == "holds\n"
        assert merge(machines) == 2
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert "at work" in capsys.readouterr().err
    assert not (machines[0] / "dataset/own.csv").exists()
