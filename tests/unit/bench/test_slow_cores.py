"""Slow cores made of fast ones: what a thread gets, and that nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import at_work, slow_cores, thread_births
from tests.settings import ROOT
from tests.unit.jobs.waiting import wait_for

TIMES = 8.0
WORK = [sys.executable, "-I", "-S", at_work.__file__]

needed = pytest.mark.usefixtures("slow_cores_here")


@pytest.fixture(scope="module")
def slow_cores_here():
    """Asked where a test needs them, and not by whoever only collects tests: it makes groups."""
    if reason := slow_cores.why_not():
        pytest.skip(reason)


def folder_of(watcher):
    """Where the groups are of a process that slows others; there are none if it is not there."""
    return slow_cores._place() / f"{slow_cores._PREFIX}{watcher}"


def got(capfd, *command):
    """What a slowed command that prints a number prints."""
    assert slow_cores.run(command, TIMES).status == 0
    return float(capfd.readouterr().out)


@needed
def test_a_thread_gets_its_share_and_four_get_four(capfd):
    assert 0.02 < got(capfd, *WORK, "1", "1.0") < 1.15 / TIMES
    # More than one share: each has its own. No more than four.
    assert 1.5 / TIMES < got(capfd, *WORK, "4", "1.0") < 1.15 * 4 / TIMES
    assert not folder_of(os.getpid()).exists()


@needed
def test_a_process_that_leaves_its_parents_is_slowed_too(capfd):
    work = " ".join(WORK)
    assert got(capfd, "sh", "-c", f"exec setsid sh -c '{work} 1 0.6 & wait'") < 1.2 / TIMES


@needed
def test_threads_of_which_nothing_was_heard_get_their_groups_all_the_same(capfd, monkeypatch):
    """The kernel drops messages that it has no room for: of the first three, none arrives."""
    new, lost = thread_births.Births.new, []

    def forgetful(births):
        if len(lost) < 3 and any(True for _ in new(births)):
            lost.append(True)
            time.sleep(0.1)
            raise thread_births.LostMessagesError
        yield from new(births)

    monkeypatch.setattr(thread_births.Births, "new", forgetful)
    assert got(capfd, *WORK, "4", "1.5") > 1.5 / TIMES
    assert lost


def test_the_group_of_a_thread_of_which_nothing_was_heard_is_not_given_to_another(tmp_path):
    """It was the group of a thread that had ended, and so was thought to be free."""
    groups = slow_cores.Groups(tmp_path, TIMES)
    group = groups.free()
    groups.own(1, group)
    groups.give_back(1)
    (group / "tasks").write_text("2\n3\n")  # began in it, and nobody was told
    groups.look()
    assert 2 in groups and 3 in groups
    assert (group / "tasks").read_text() == "2\n3\n", "3 has gone elsewhere"
    assert group not in [groups.free() for _ in range(3)]


@needed
def test_its_status_is_the_command_s_and_what_that_leaves_running_goes_on(tmp_path):
    said = tmp_path / "said"
    left = ["sh", "-c", f"sleep 30 & echo $! > {said}; exit 7"]
    report = slow_cores.run(left, TIMES)
    process = int(said.read_text())
    try:
        assert report.status == 7
        assert f"cpu:{slow_cores._own_group()}" in Path(f"/proc/{process}/cgroup").read_text()
        assert not folder_of(os.getpid()).exists()
    finally:
        os.kill(process, signal.SIGKILL)


def began(folder, *command):
    """A watcher with its command at work, in a process of its own."""
    said = folder / "said"
    given = [str(TIMES), folder / "report.json", "sh", "-c", f"echo $$ > {said}; sleep 30; true"]
    watcher = subprocess.Popen([sys.executable, "-m", "bench.slow_cores", *given], cwd=ROOT)
    return watcher, int(wait_for(lambda: said.is_file() and said.read_text().strip()))


@needed
@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(tmp_path, what):
    watcher, process = began(tmp_path)
    assert folder_of(watcher.pid).exists()
    watcher.send_signal(what)
    assert watcher.wait(20) != 0
    assert not folder_of(watcher.pid).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@needed
def test_the_next_one_clears_away_what_a_killed_one_left(tmp_path):
    watcher, process = began(tmp_path)
    watcher.kill()
    watcher.wait()
    assert folder_of(watcher.pid).exists()
    try:
        assert slow_cores.why_not() == ""
        assert not folder_of(watcher.pid).exists()
    finally:
        os.kill(process, signal.SIGKILL)


@needed
def test_one_at_work_is_left_alone_by_another(tmp_path):
    watcher, _ = began(tmp_path)
    assert slow_cores.why_not() == ""
    assert folder_of(watcher.pid).exists()
    watcher.terminate()
    watcher.wait(20)


def test_a_machine_without_such_groups_says_so(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n")
    monkeypatch.setattr(slow_cores, "_MOUNTS", mounts)
    monkeypatch.setattr(slow_cores, "_births", lambda: thread_births.socket.socket())
    assert "cgroup v1 is not mounted" in slow_cores.why_not()


def test_a_kernel_that_tells_of_no_threads_says_so(monkeypatch):
    def refused():
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(slow_cores, "Births", refused)
    assert "does not tell which threads begin" in slow_cores.why_not()
