"""Faults of the machine while a run goes on: what is killed, what goes away, who else is there."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from ferrari.jobs import error_advice
from ferrari.processes.failures import KilledError
from ferrari.video import probing
from tests.faults.injecting import assert_resumes, attempt, job_of, table, undo, unwrapped
from tests.generator import faults
from tests.stage.clip_run import Run
from tests.stage.test_probe import SPEC
from tests.workflow.demo_run import Demo
from tests.workflow.small_run import FINAL

pytestmark = pytest.mark.timeout(600)


def begun(run: Demo) -> subprocess.Popen:
    """A run up to the final table, at work; what it says comes by its pipe."""
    return subprocess.Popen(
        run.command("--cores", "1", FINAL),
        cwd=run.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_killed_job_and_a_second_run(demo, tmp_path):
    """SIGKILL of one job: the run fails, speaks of memory, and the next resumes; while it lived,
    a second run on the same folder was refused."""
    copy = demo.copy(tmp_path / "copy")
    made = table(copy, "augment", "portrait-hall")
    undo(copy, "augment", "portrait-hall")
    made.with_name(f".{made.name}.12345.part").write_text("item,parent\nhalf of a ro")
    first = begun(copy)
    job = job_of(copy, "04_replace_background", lambda: first.poll() is not None)
    os.kill(job, signal.SIGSTOP)
    second = attempt(copy)
    assert "another run is at work" in second and "localrule" not in second
    os.kill(job, signal.SIGKILL)
    output, _ = first.communicate()
    assert first.returncode != 0 and "died with <Signals.SIGKILL: 9>" in output
    assert "the system running out of memory" in unwrapped(error_advice.of_run(output))
    assert not made.exists()
    assert_resumes(copy, demo)


@pytest.mark.slow
def test_a_killed_fork_server(demo, tmp_path):
    """SIGKILL of the process that does the jobs: the one at work is done again, the run goes on."""
    copy = demo.copy(tmp_path / "copy")
    undo(copy, "augment", "portrait-hall")
    run = begun(copy)
    job = job_of(copy, "04_replace_background", lambda: run.poll() is not None)
    os.kill(job, signal.SIGSTOP)
    server = int(Path(f"/proc/{job}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    output, _ = run.communicate()
    assert run.returncode == 0, output[-3000:]
    assert "the fork server is gone" in output
    assert_resumes(copy, demo)


def test_a_killed_decoder(tmp_path, monkeypatch):
    """SIGKILL of a decoding process from outside: an error of the machine, no clip's verdict."""
    raw = faults.good(tmp_path / "good.mp4", SPEC).path
    monkeypatch.setattr(probing, "look", lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
    run = Run(tmp_path / "dataset")
    with pytest.raises(KilledError) as killed:
        run.probe(raw)
    assert "running out of memory" in unwrapped(error_advice.of_error(killed.value))
    assert not list(run.dataset.rglob("*.csv"))


@pytest.mark.slow
def test_a_raw_file_that_goes_away(demo, tmp_path):
    """A clip removed after stage 0 saw it: an error, not a verdict; put back, the run resumes."""
    copy = demo.copy(tmp_path / "copy")
    undo(copy, "extract", "portrait-hall")
    raw = copy.dataset / "00_raw_videos/portrait_hall.mp4"
    aside = copy.folder / "aside.mp4"
    process = begun(copy)
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Job stats"):
            raw.rename(aside)
    assert process.wait() != 0 and aside.exists()
    output = unwrapped("".join(said))
    assert "portrait_hall.mp4' is not there" in output or "portrait_hall.mp4' is gone" in output
    assert "WHAT TO DO:" in output and "run the same command again" in output
    assert not list(copy.dataset.glob("01_extracted_frames/portrait-hall-*.csv"))
    aside.rename(raw)
    assert_resumes(copy, demo)


@pytest.mark.slow
def test_a_clock_that_jumps(demo, tmp_path):
    """A table dated a day ahead: what depends on it is made again, to the same bytes."""
    copy = demo.copy(tmp_path / "copy")
    ahead = table(copy, "mask", "portrait-hall")
    stamp = ahead.stat().st_mtime + 86400
    os.utime(ahead, (stamp, stamp))
    (copy.folder / FINAL).unlink()
    assert_resumes(copy, demo)
