"""Cores: of this process and its container, whatever OMP_NUM_THREADS says."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from ferrari.common import usable_cores
from tests.settings import ROOT


def in_group(tmp_path, own, files):
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return usable_cores.usable_cores(tmp_path / "groups", tmp_path / "own")


@pytest.mark.parametrize(
    ("own", "files", "cores"),
    [
        ("0::/\n", {}, 12),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 12),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/a/b\n", {"a/cpu.max": "350000 100000", "a/b/cpu.max": "max 100000"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        (
            "5:cpu,cpuacct:/box\n1:name=systemd:/\n",
            {
                "cpu,cpuacct/box/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/box/cpu.cfs_period_us": "100000",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            2,
        ),
    ],
)
def test_a_containers_limit_counts(tmp_path, monkeypatch, own, files, cores):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(12))
    assert in_group(tmp_path, own, files) == cores


def test_make_hands_on_the_cores_of_the_process_and_not_the_threads_of_a_job():
    """With two threads a job on a machine of 24 cores a run had two cores."""
    first = min(os.sched_getaffinity(0))
    for bound in ({first}, os.sched_getaffinity(0)):
        shown = subprocess.run(
            ["make", "-n", "-o", ".venv/.ready", "run", "WORK=/nowhere"],
            **{"cwd": ROOT, "capture_output": True, "text": True, "check": True},
            env={**os.environ, "OMP_NUM_THREADS": "77", "OMP_THREAD_LIMIT": "77"},
            preexec_fn=lambda cores=bound: os.sched_setaffinity(0, cores),
        ).stdout
        (cores,) = re.findall(r"--cores (\d+)", shown)
        assert 1 <= int(cores) <= len(bound)


def test_as_a_program_it_needs_nothing_but_python(tmp_path):
    """The Makefile asks before there is an environment."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", usable_cores.__file__],
        **{"capture_output": True, "text": True, "check": True, "cwd": tmp_path},
    )
    assert int(done.stdout) == usable_cores.usable_cores()
