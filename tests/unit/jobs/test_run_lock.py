"""One run at a time; what a killed run left locked is free again at once."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from ferrari.jobs import run_lock
from ferrari.ledger.shards import Shard
from tests.settings import ENVIRONMENT

HOLD = (
    "import sys, time; from ferrari.jobs import run_lock; from ferrari.ledger.shards import Shard; "
    "{call}; print('holds', flush=True); time.sleep(60)"
)


@pytest.fixture
def working(tmp_path, monkeypatch):
    """A working folder with a dataset."""
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / "dataset").mkdir()
    monkeypatch.setattr(run_lock, "_held", {})
    monkeypatch.setattr(run_lock, "_shared", set())
    yield tmp_path
    for descriptor in run_lock._held.values():
        os.close(descriptor)


@pytest.fixture
def other(working):
    """Starts another process that calls a function of the module and then lives on."""
    started = []

    def start(call: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD.format(call=call)],
            cwd=working,
            env=ENVIRONMENT,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "holds\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_living_run_keeps_its_lock_until_it_is_killed(working, other):
    process = other("run_lock.require('dataset')")
    with pytest.raises(run_lock.RunningError, match="another run"):
        run_lock.require(working / "dataset", working)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_lock.require(working / "dataset", working)


def test_one_dataset_in_two_working_folders(working, other, tmp_path_factory):
    other("run_lock.require('dataset')")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with pytest.raises(run_lock.RunningError, match="another run"):
        run_lock.require(working / "dataset", elsewhere)


def test_two_datasets_in_one_working_folder(working, other):
    other("run_lock.require('dataset')")
    (working / "second").mkdir()
    with pytest.raises(run_lock.RunningError, match="another run"):
        run_lock.require(working / "second", working)


def test_jobs_that_outlive_their_run_keep_the_next_one_out(working, other):
    jobs = [other("run_lock.hold_for_job()") for _ in range(2)]
    with pytest.raises(run_lock.RunningError, match="still at work"):
        run_lock.require(working / "dataset", working)
    for job in jobs:
        job.kill()
        job.wait()
    run_lock.require(working / "dataset", working)


def test_a_file_system_without_such_locks_keeps_nobody_out(working, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    run_lock.require(working / "dataset", working)


def test_a_stage_run_by_hand_locks_nothing(tmp_path):
    run_lock.hold_for_job(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_only_asks_is_told_what_is_at_work(working, other):
    assert run_lock.at_work(working / "dataset", working) == run_lock.NOTHING
    job = other("run_lock.hold_for_job()")
    assert run_lock.at_work(working / "dataset", working) == run_lock.JOBS
    job.kill()
    job.wait()
    assert run_lock.at_work(working / "dataset", working) == run_lock.NOTHING
    run = other("run_lock.require('dataset')")
    assert run_lock.at_work(working / "dataset", working) == run_lock.RUN
    run.kill()
    run.wait()
    assert run_lock.at_work(working / "dataset", working) == run_lock.NOTHING


def test_who_only_asks_leaves_nothing_behind(tmp_path):
    assert run_lock.at_work(tmp_path / "dataset", tmp_path) == run_lock.NOTHING
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_another_folder_is_at_work_on_the_dataset(working, other, tmp_path_factory):
    other("run_lock.require('dataset')")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert run_lock.at_work(working / "dataset", elsewhere) == run_lock.RUN


def test_who_only_asks_where_there_are_no_such_locks(working, monkeypatch):
    def refuse(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(run_lock.fcntl, "flock", refuse)
    assert run_lock.at_work(working / "dataset", working) == run_lock.UNKNOWN


def test_a_run_starts_while_somebody_asks(working):
    """Asking holds a lock for a moment, which is waited for."""
    asking = os.open(working / "dataset", os.O_RDONLY)
    run_lock.fcntl.flock(asking, run_lock.fcntl.LOCK_SH)
    threading.Timer(0.03, os.close, [asking]).start()
    run_lock.require(working / "dataset", working)


# --- shards -------------------------------------------------------------------------------------

FIRST = "run_lock.require('dataset', shard=Shard(1, 3))"


def test_other_shards_go_beside_it_in_one_working_folder_and_in_two(working, other, tmp_path):
    other(FIRST)
    (tmp_path / "elsewhere").mkdir()
    run_lock.require(working / "dataset", working, Shard(2, 3))
    run_lock.require(working / "dataset", tmp_path / "elsewhere", Shard(3, 3))


def test_two_machines_on_one_shard_are_refused_until_the_first_is_gone(working, other, tmp_path):
    process = other(FIRST)
    (tmp_path / "elsewhere").mkdir()
    for folder in (working, tmp_path / "elsewhere"):
        with pytest.raises(run_lock.RunningError, match="at work on shard 1/3"):
            run_lock.require(working / "dataset", folder, Shard(1, 3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    run_lock.require(working / "dataset", working, Shard(1, 3))


def test_machines_that_count_otherwise_are_refused(working, other):
    other(FIRST)
    with pytest.raises(run_lock.RunningError, match="in 3 shards, and this run is shard 2/4"):
        run_lock.require(working / "dataset", working, Shard(2, 4))


def test_a_run_of_the_whole_set_and_shards_keep_each_other_out(working, other, tmp_path):
    process = other(FIRST)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(run_lock.RunningError, match="another run is at work"):
        run_lock.require(working / "dataset", elsewhere)
    process.kill()
    process.wait()
    other("run_lock.require('dataset')")
    with pytest.raises(run_lock.RunningError, match="another run of the whole set"):
        run_lock.require(working / "dataset", elsewhere, Shard(1, 3))


def test_where_folders_cannot_be_locked_the_files_of_shards_are(working, other, monkeypatch):
    """As on a network file system, whose locks are of files that are open for writing."""
    process = other(FIRST)
    lock = run_lock.fcntl.flock

    def as_on_nfs(descriptor, kind):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(9, "Bad file descriptor")
        lock(descriptor, kind)

    monkeypatch.setattr(run_lock.fcntl, "flock", as_on_nfs)
    (working / "elsewhere").mkdir()
    with pytest.raises(run_lock.RunningError, match="dataset are being worked on"):
        run_lock.require(working / "dataset", working / "elsewhere")
    process.kill()
    process.wait()
    for descriptor in run_lock._held.values():
        os.close(descriptor)
    run_lock._held.clear()
    run_lock.require(working / "dataset", working / "elsewhere")


@pytest.mark.parametrize(("shard", "at_work"), [(None, ""), (Shard(1, 3), "unknown")])
def test_who_asks_under_a_lock_of_their_own(working, shard, at_work):
    """Beside a shared lock there may be others', and they cannot be told from one's own."""
    dataset = working / "dataset"
    run_lock.require(dataset, working, shard)
    assert run_lock.is_held(dataset, run_lock.fcntl.LOCK_SH) is False
    assert run_lock.is_held(dataset, run_lock.fcntl.LOCK_EX) is (None if shard else False)
    assert run_lock.at_work(dataset, working) == at_work


def test_a_shared_lock_of_ones_own_does_not_hide_anothers(working, other):
    dataset = working / "dataset"
    run_lock.require(dataset, working, Shard(1, 3))
    (working / "elsewhere").mkdir()
    other("run_lock.require('dataset', 'elsewhere', Shard(2, 3))")
    assert run_lock.at_work(dataset, working) != run_lock.NOTHING


def test_locks_of_jobs_that_nobody_can_look_at_are_not_free(working, monkeypatch):
    (working / ".snakemake/jobs.lock").touch()
    held = run_lock.is_held
    monkeypatch.setattr(
        run_lock, "is_held", lambda path, kind: None if "jobs" in path.name else held(path, kind)
    )
    assert run_lock.at_work(working / "dataset", working) == run_lock.UNKNOWN


def test_jobs_of_a_killed_shard_keep_out_its_own_next_run_and_the_whole_set_s(
    working, other, monkeypatch
):
    monkeypatch.setitem(os.environ, run_lock.JOBS_LOCK, "")
    run_lock.tell_jobs(Shard(1, 3))
    name = os.environ[run_lock.JOBS_LOCK]
    other(f"import os; os.environ['{run_lock.JOBS_LOCK}'] = '{name}'; run_lock.hold_for_job()")
    for shard in (Shard(1, 3), None):
        with pytest.raises(run_lock.RunningError, match="still at work"):
            run_lock.require(working / "dataset", working, shard)
        for descriptor in run_lock._held.values():
            os.close(descriptor)
        run_lock._held.clear()
    run_lock.require(working / "dataset", working, Shard(2, 3))
