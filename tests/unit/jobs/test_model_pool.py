"""Models stay loaded from job to job: who gets which, and when one is ended."""

import functools
import os
import signal
import socket
from pathlib import Path

import pytest

from ferrari.processes import model_lease
from ferrari.processes.batching import halving
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
from tests import warm_loads
from tests.unit.jobs.waiting import is_gone, wait_for

LIMITS = Limits("mask", timeout_s=20, memory_mb=8192)


def load_from(note: Path):
    return functools.partial(warm_loads.telling_pid, str(note))


def loads(note: Path) -> int:
    return len(note.read_text().split())


def test_a_model_is_loaded_once_for_jobs_one_after_the_other(server, tmp_path):
    note = tmp_path / "note"
    pids = set()
    for item in range(3):
        with Isolated(load_from(note), "harmless", LIMITS) as model:
            pids.add(model.about["pid"])
            assert model.run([item])[0][1] == item
    assert len(pids) == 1 and loads(note) == 1


def test_two_jobs_at_a_time_have_a_model_each(server, tmp_path):
    note = tmp_path / "note"
    with Isolated(load_from(note), "", LIMITS) as one, Isolated(load_from(note), "", LIMITS) as two:
        assert one.about["pid"] != two.about["pid"]
    with Isolated(load_from(note), "", LIMITS) as three:
        three.run([1])
    assert loads(note) == 2


def test_other_weights_are_another_model(server, tmp_path):
    pids = []
    for name in ("one", "two"):
        with Isolated(load_from(tmp_path / name), "", LIMITS) as model:
            pids.append(model.about["pid"])
    assert pids[0] != pids[1]


def test_what_ends_a_warm_model_costs_the_one_item(server, tmp_path):
    note = tmp_path / "note"
    with Isolated(load_from(note), "harmless", LIMITS) as model:
        model.run(["first"])
    with Isolated(load_from(note), "harmless", LIMITS) as model:
        results, _ = halving(model.run, ["a", "deadly", "b"], "items")
    assert isinstance(results[1], Failure) and results[1].reason == "MODEL_CRASHED"
    assert [result[1] for result in (results[0], results[2])] == ["a", "b"]


def test_an_item_does_not_pay_for_what_other_jobs_did_to_the_model(server, tmp_path):
    note = tmp_path / "note"
    with Isolated(load_from(note), "harmless", LIMITS) as model:
        model.run(["first"])
    with Isolated(load_from(note), "harmless", LIMITS) as model:
        results, _ = halving(model.run, ["deadly after others"], "items")
    assert results[0][1] == "deadly after others" and loads(note) == 2


def test_a_warm_model_that_somebody_kills_is_replaced(server, tmp_path):
    note = tmp_path / "note"
    with Isolated(load_from(note), "harmless", LIMITS) as model:
        os.kill(model.about["pid"], signal.SIGKILL)
        assert model.run(["a"])[0][1] == "a"
        assert model.run(["killed once"])[0][1] == "killed once"
    assert loads(note) == 3


def test_a_model_whose_cuda_context_is_broken_serves_nobody_else(server, tmp_path):
    """Each later call of such a process fails, whoever makes it."""
    note = tmp_path / "note"
    for item in ("first", "breaks the context", "third"):
        with Isolated(load_from(note), "harmless", LIMITS) as model:
            assert model.outcomes([item], "items")[0][0][1] == item
    assert loads(note) == 2


def test_a_warm_model_out_of_time_is_ended(server, tmp_path):
    short = Limits("mask", timeout_s=0.5, memory_mb=8192)
    with Isolated(load_from(tmp_path / "note"), "harmless", short) as model:
        pid = model.about["pid"]
        results, _ = halving(model.run, ["slow"], "items")
    assert results[0].reason == "MODEL_TIMEOUT"
    wait_for(lambda: is_gone(pid))


def test_what_a_model_cannot_load_is_told_each_job(server):
    for _ in range(2):
        model = Isolated(warm_loads.not_to_be_loaded, "", LIMITS)
        with model, pytest.raises(ValueError, match="wrong weights"):
            model.run([1])


def test_what_a_model_prints_is_in_the_log_of_the_job_that_it_serves(server, tmp_path):
    note = tmp_path / "note"
    for name in ("one", "two"):
        log, before = os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT), os.dup(2)
        os.dup2(log, 2)
        try:
            with Isolated(load_from(note), "", LIMITS) as model:
                model.run(["print"])
        finally:
            os.dup2(before, 2)
        said, logged = (tmp_path / name).read_text().splitlines()
        assert said == "said by the model" and logged.endswith("INFO logged by the model")


@pytest.mark.parametrize("server", [{"fork_server.MODEL_IDLE_S": 0.1}], indirect=True)
def test_a_model_that_nobody_asks_for_is_ended(server, tmp_path):
    with Isolated(load_from(tmp_path / "note"), "", LIMITS) as model:
        pid = model.about["pid"]
    wait_for(lambda: is_gone(pid))


def test_a_model_whose_server_is_gone_ends_without_a_word():
    """Else each that is idle would leave a traceback in what the run says as it ends."""
    servers, models = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            servers.close()
            status = model_lease.live(models, b"")
        finally:
            os._exit(status)
    servers.close()
    models.close()
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("server", [{"model_pool.GRACE_S": 0.1}], indirect=True)
def test_a_model_that_works_for_nobody_is_ended(server, tmp_path):
    note = tmp_path / "note"
    worker = os.fork()
    if worker == 0:
        model = Isolated(load_from(note), "", LIMITS)
        (tmp_path / "pid").write_text(str(model.about["pid"]))
        model.run(["slow"])
        os._exit(0)
    pid = int(wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text()))
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    wait_for(lambda: is_gone(pid))


def test_models_go_with_a_server_that_is_killed_and_jobs_load_their_own(server, tmp_path, capfd):
    note = tmp_path / "note"
    with Isolated(load_from(note), "", LIMITS) as model:
        pid = model.about["pid"]
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: is_gone(pid))
    with Isolated(load_from(note), "", LIMITS) as model:
        assert model.run(["a"])[0][1] == "a"
    assert "this job loads its own" in capfd.readouterr().err
