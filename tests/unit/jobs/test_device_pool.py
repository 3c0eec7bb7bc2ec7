"""The process of a device serves the jobs of a run together, and each death costs one image."""

import functools
import logging
import os
import select
import selectors
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ferrari.jobs import device_pool
from ferrari.jobs.device_pool import DevicePool
from ferrari.processes import device_client, device_slots
from ferrari.processes.batching import halving
from ferrari.processes.device_client import DeviceModel
from ferrari.processes.device_slots import Cards
from ferrari.processes.failures import Failure
from ferrari.processes.model_verdicts import Limits
from tests import device_loads
from tests.device_loads import item, result
from tests.unit.jobs.waiting import is_gone, wait_for

LIMITS = Limits("mask", timeout_s=20, memory_mb=8192)
ONE, TWO = Cards(((0, 1),)), Cards(((0, 1), (1, 1)))


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "ferrari"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def load_in(folder: Path, **options):
    return functools.partial(device_loads.doubling, str(folder), **options)


def values(results) -> list:
    return [r.reason if isinstance(r, Failure) else int(r[0][0]) for r in results]


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def job(load, items, cards=ONE, limits=LIMITS) -> list:
    with DeviceModel(load, limits, cards) as network:
        return halving(network.run, items, "items")[0]


def at_once(jobs: int, work) -> list:
    """`work(number)` of so many jobs at the same time."""
    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(work, range(jobs)))


def numbers(job: int, count: int = 12) -> list[int]:
    return [(job * 7 + k) % 200 for k in range(count)]


def test_jobs_share_one_process_and_its_batches(server, tmp_path):
    load = load_in(tmp_path, seconds=0.01)
    found = at_once(6, lambda k: job(load, [item(n) for n in numbers(k)]))
    assert [values(each) for each in found] == [[result(n) for n in numbers(k)] for k in range(6)]
    assert len({int(r[0][1]) for each in found for r in each}) == 1
    assert len(lines(tmp_path / "loads")) == 1
    batches = [[int(word) for word in line.split()] for line in lines(tmp_path / "batches")]
    assert {len(batch) for batch in batches} == {4}, "always of one size"
    owners = [{n // 7 for n in batch if n} for batch in batches[4:]]
    assert any(len(each) > 1 for each in owners)


@pytest.mark.parametrize(
    "what, reason",
    [(device_loads.LOST, "MODEL_CRASHED"), (device_loads.ABORT, "MODEL_CRASHED")],
)
def test_a_hostile_item_costs_itself_alone_whoever_else_is_served(server, tmp_path, what, reason):
    load = load_in(tmp_path, seconds=0.005)

    def work(k):
        items = numbers(k)
        if k == 2:
            items[5] = what
        return values(job(load, [item(n) for n in items]))

    found = at_once(6, work)
    expected = [[result(n) for n in numbers(k)] for k in range(6)]
    expected[2][5] = reason
    assert found == expected
    assert len(lines(tmp_path / "loads")) <= 1 + 3 + 1


def test_killing_the_process_costs_nobody_anything(server, tmp_path):
    load = load_in(tmp_path, seconds=0.02)
    killer = threading.Thread(target=kill_the_first, args=(tmp_path,))
    killer.start()
    found = at_once(6, lambda k: values(job(load, [item(n) for n in numbers(k)])))
    killer.join()
    assert found == [[result(n) for n in numbers(k)] for k in range(6)]
    assert len(lines(tmp_path / "loads")) == 2


def kill_the_first(folder: Path, after: int = 4) -> None:
    """Kill the process that was loaded first, as soon as it has run some batches."""
    wait_for(lambda: len(lines(folder / "batches")) >= after)
    os.kill(int(lines(folder / "loads")[0]), signal.SIGKILL)


def test_killing_a_job_costs_the_others_nothing(server, tmp_path):
    load = load_in(tmp_path, seconds=0.01)
    killed = os.fork()
    if killed == 0:
        while True:
            job(load, [item(n) for n in numbers(9, 40)])
    wait_for(lambda: len(lines(tmp_path / "batches")) >= 4)
    threading.Timer(0.05, os.kill, [killed, signal.SIGKILL]).start()
    found = at_once(4, lambda k: values(job(load, [item(n) for n in numbers(k)])))
    os.waitpid(killed, 0)
    assert found == [[result(n) for n in numbers(k)] for k in range(4)]
    assert len(lines(tmp_path / "loads")) == 1


def test_jobs_are_spread_over_the_cards_and_each_process_sees_its_own(server, caplog):
    """Which card it was is for the log: rows, and so tables, are the same."""
    caplog.set_level(logging.INFO)
    models = [DeviceModel(device_loads.seeing, LIMITS, TWO) for _ in range(4)]
    seen = [int(model.run([item(1)])[0][0][0]) for model in models]
    assert sorted(seen) == [0, 0, 1, 1]
    assert {model.about["device"] for model in models} == {"cuda nothing"}
    said = [line for line in caplog.messages if "runs on" in line]
    assert said == [f"the network runs on cuda:{card}" for card in seen]
    for model in models:
        model.close()


@pytest.mark.parametrize("server", [{"fork_server.MODEL_IDLE_S": 0.1}], indirect=True)
def test_a_process_that_no_job_uses_is_ended_and_the_next_job_has_another(server, tmp_path):
    load = load_in(tmp_path)
    for _ in range(2):
        pid = int(job(load, [item(1)])[0][0][1])
        wait_for(lambda pid=pid: is_gone(pid))
    assert len(lines(tmp_path / "loads")) == 2


@pytest.fixture
def idle_process(monkeypatch):
    """A pool with one process, which has the card and no job any more."""
    monkeypatch.setattr(device_pool, "_YIELDS_S", 0.0)
    reader, writer = os.pipe()

    def fork(_) -> int:
        pid = os.fork()
        if pid == 0:
            with device_slots.hold("cuda", 0, 1):
                os.write(writer, b"!")
                signal.pause()
        return pid

    with selectors.DefaultSelector() as poller:
        pool = DevicePool(fork, poller)
        try:
            ours, theirs = socket.socketpair()
            pool.join(ours, [(0, 1)])
            assert os.read(reader, 1) == b"!"
            theirs.shutdown(socket.SHUT_RDWR)
            for key, _ in poller.select(20):
                key.data()
            yield pool
        finally:
            pool.end_all()


def test_a_process_without_jobs_gives_its_card_to_another_run(idle_process):
    """Soon, and not when its minute is over."""
    other_run = threading.Thread(target=lambda: device_slots.hold("cuda", 0, 1).__enter__())
    other_run.start()
    wait_for(lambda: device_slots.wanted("cuda", 0))
    idle_process.end_idle(60.0)
    other_run.join(20)
    assert not other_run.is_alive()


def test_a_process_without_jobs_stays_for_the_next_one_where_nobody_waits(idle_process):
    idle_process.end_idle(60.0)
    assert len(list(idle_process)) == 1


def test_jobs_go_on_by_themselves_when_somebody_kills_the_server(server, tmp_path, capfd):
    load = load_in(tmp_path, seconds=0.01)
    with (
        DeviceModel(load, LIMITS, ONE) as one,
        DeviceModel(load, LIMITS, ONE) as two,
    ):
        shared = {int(model.run([item(1)])[0][0][1]) for model in (one, two)}
        process = os.pidfd_open(next(iter(shared)))
        os.kill(server, signal.SIGKILL)
        assert select.select([process], [], [], 30)[0]  # it goes with the server, but not at once
        os.close(process)
        assert values(one.run([item(2)])) == [result(2)]
        one.close()  # its own process held the one slot of the device
        assert values(two.run([item(3)])) == [result(3)]
    assert len(shared) == 1 and "this job has its own" in capfd.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_work_that_hangs_is_ended_though_its_job_is_gone(server, tmp_path, monkeypatch, how):
    """The others would wait for it, each knowing that it is not theirs."""
    monkeypatch.setattr(device_client, "_GRACE_S", 0.2)
    load, hangs = load_in(tmp_path), str(device_loads.HANG)
    child = os.fork()
    if child == 0:
        try:
            job(load, [item(device_loads.HANG)], limits=Limits("mask", 0.5, 8192))
        finally:
            os._exit(0)
    wait_for(lambda: any(line.startswith(hangs) for line in lines(tmp_path / "batches")))
    os.kill(child, how)
    try:
        started = time.monotonic()
        assert values(job(load, [item(1)])) == [result(1)]
        assert time.monotonic() - started < 30, "the item hangs for a minute"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_job_that_comes_while_the_process_ends_is_given_the_next_one():
    """With a card open, it has let go of its connections long before it is gone."""
    begun = []
    told_to_end, end = os.pipe()

    def fork(live) -> int:
        pid = os.fork()
        if pid == 0:
            if not begun:
                os.read(told_to_end, 1)
                os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            time.sleep(30)
            os._exit(0)
        begun.append(pid)
        return pid

    with selectors.DefaultSelector() as poller:
        pool = DevicePool(fork, poller)
        jobs = [socket.socketpair() for _ in range(2)]
        pool.join(jobs[0][0], [(0, 1)])
        os.write(end, b"e")
        wait_for(lambda: len(os.listdir(f"/proc/{begun[0]}/fd")) <= 3)
        pool.join(jobs[1][0], [(0, 1)])
        told = [int.from_bytes(theirs.recv(16)[:8], "little") for _, theirs in jobs]
        pool.end_all()
    assert told == begun and len(begun) == 2


def test_the_server_does_not_wait_for_a_process_that_a_hanging_card_keeps(monkeypatch, capfd):
    """A kill does not end it; the server goes on, and the next job has another process."""
    begun = []

    def fork(_) -> int:
        pid = os.fork()
        if pid == 0:
            time.sleep(30)
            os._exit(0)
        begun.append(pid)
        return pid

    monkeypatch.setattr(device_pool, "_END_S", 0.1)
    with selectors.DefaultSelector() as poller:
        pool = DevicePool(fork, poller)
        jobs = [socket.socketpair() for _ in range(2)]
        pool.join(jobs[0][0], [(0, 1)])
        with monkeypatch.context() as patched:
            patched.setattr(device_pool.os, "kill", lambda pid, number: None)
            assert pool.end(begun[0]) == -signal.SIGKILL
        assert "may hang" in capfd.readouterr().err
        pool.join(jobs[1][0], [(0, 1)])
        pool.end_all()
    os.kill(begun[0], signal.SIGKILL)
    os.waitpid(begun[0], 0)
    assert len(begun) == 2


def test_two_networks_are_in_one_process(server, tmp_path):
    with (
        DeviceModel(load_in(tmp_path), LIMITS, ONE) as one,
        DeviceModel(load_in(tmp_path, batch=2), LIMITS, ONE) as two,
    ):
        pids = {int(model.run([item(1)])[0][0][1]) for model in (one, two)}
        assert (one.about["batch"], two.about["batch"]) == (4, 2)
    assert len(pids) == 1 and len(lines(tmp_path / "loads")) == 2


@pytest.mark.slow
def test_24_jobs_through_everything_that_can_happen_to_the_process(server, tmp_path):
    """Kills from outside, killed jobs, hostile items of every kind: each clip has its results."""
    hostile = {3: device_loads.ABORT, 11: device_loads.LOST, 17: device_loads.HANG}
    limits = Limits("mask", timeout_s=3, memory_mb=8192)
    load = load_in(tmp_path, batch=8, seconds=0.004)

    def work(k):
        items = numbers(k, 60)
        if k in hostile:
            items[30] = hostile[k]
        arrays = [item(n) for n in items]
        with DeviceModel(load, limits, ONE) as network:
            parts = [
                halving(network.run, arrays[at : at + 12], "items")[0] for at in range(0, 60, 12)
            ]
        return values([one for part in parts for one in part])

    stop = threading.Event()

    def disturb():
        rng = np.random.default_rng(4)
        for _ in range(4):
            time.sleep(float(rng.uniform(0.3, 1.5)))
            loaded = lines(tmp_path / "loads")
            if loaded and not is_gone(int(loaded[-1])):
                os.kill(int(loaded[-1]), signal.SIGKILL)
            killed = os.fork()
            if killed == 0:
                while True:
                    job(load, [item(n) for n in numbers(99, 12)])
            stop.wait(0.3)
            os.kill(killed, signal.SIGKILL)
            os.waitpid(killed, 0)

    disturbing = threading.Thread(target=disturb)
    disturbing.start()
    found = at_once(24, work)
    stop.set()
    disturbing.join()
    expected = [[result(n) for n in numbers(k, 60)] for k in range(24)]
    for k, what in hostile.items():
        expected[k][30] = "MODEL_TIMEOUT" if what == device_loads.HANG else "MODEL_CRASHED"
    assert found == expected
