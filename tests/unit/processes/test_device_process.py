"""One process serves many jobs: batches, the same bytes, and whom a death costs something."""

import errno
import functools
import os
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from ferrari.processes import (
    array_messages,
    device_client,
    device_process,
    device_slots,
    forks,
    remarks,
)
from ferrari.processes.batching import halving
from ferrari.processes.device_client import DeviceModel
from ferrari.processes.device_page import Page
from ferrari.processes.device_process import Network, Queue, Request
from ferrari.processes.device_slots import Cards
from ferrari.processes.devices import DeviceMemoryError, context_is_lost
from ferrari.processes.endings import has_ended
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import IsolationError, Limits
from tests import device_loads
from tests.deadly import is_gone
from tests.device_loads import item, result
from tests.unit.jobs.waiting import wait_for

LIMITS = Limits("mask", timeout_s=20, memory_mb=8192)
ONE = Cards(((0, 1),))
HALVED = "GPU memory ran out with 4 at once: batches halved"


@pytest.fixture(autouse=True)
def own_locks(tmp_path, monkeypatch):
    monkeypatch.setenv("FERRARI_LOCKS", str(tmp_path / "ferrari"))
    monkeypatch.delenv("FERRARI_WARM", raising=False)


def load_in(folder: Path, **options):
    return functools.partial(device_loads.doubling, str(folder), **options)


def model(folder: Path, limits=LIMITS, **options) -> DeviceModel:
    return DeviceModel(load_in(folder, **options), limits, ONE)


def values(results) -> list:
    return [r.reason if isinstance(r, Failure) else int(r[0][0]) for r in results]


def notes(folder: Path, name: str) -> list[str]:
    return (folder / name).read_text().splitlines()


# --- what comes together --------------------------------------------------------------------------


def request(value=0, client="a", size=8, alone=False, job_began=0.0):
    return Request(client, 1, b"net", item(value, size), 20.0, alone, job_began)


def test_requests_of_one_shape_share_a_batch_whoever_sends_them():
    queue = Queue()
    for one in (request(1), request(2, "b"), request(3, "b", size=4), request(4, "c")):
        queue.put(one)
    batches = [queue.take(lambda kind: 4)[0] for _ in range(2)]
    assert [[int(r.item[0]) for r in batch] for batch in batches] == [[1, 2, 4], [3]]


def test_a_batch_holds_no_more_than_its_network_takes():
    queue = Queue()
    for number in range(5):
        queue.put(request(number))
    assert [len(queue.take(lambda kind: 2)[0]) for _ in range(3)] == [2, 2, 1]


def test_the_job_that_began_first_comes_first():
    """Jobs that began together ended together, and the card waited while all of them wrote."""
    queue = Queue()
    for number in (1, 2):
        queue.put(request(number, "late", job_began=9.0))
        queue.put(request(10 + number, "early", size=number, job_began=7.0))
    batches = [queue.take(lambda kind: 4)[0] for _ in range(3)]
    assert [[int(r.item[0]) for r in batch] for batch in batches] == [[11], [12], [1, 2]]
    for number, client in ((1, "late"), (2, "early"), (3, "late")):
        queue.put(request(number, client, job_began=7.0 if client == "early" else 9.0))
    assert [int(r.item[0]) for r in queue.take(lambda kind: 2)[0]] == [2, 1]


def test_a_full_batch_of_another_kind_does_not_wait_while_the_first_gathers(monkeypatch):
    """The device idled until nobody more could share the batch whose turn it was."""
    monkeypatch.setattr(device_process, "_GATHER_S", 0.5)
    queue = Queue()
    queue.put(request(1, "early", size=4, job_began=7.0))
    for number in (2, 3, 4):
        queue.put(request(number, "late", job_began=9.0))
    began = time.monotonic()
    assert [int(r.item[0]) for r in queue.take(lambda kind: 2)[0]] == [2, 3]
    assert time.monotonic() - began < 0.4
    assert [int(r.item[0]) for r in queue.take(lambda kind: 2)[0]] == [1], "nor is it forgotten"
    assert time.monotonic() - began > 0.4
    assert [int(r.item[0]) for r in queue.take(lambda kind: 2)[0]] == [4]


def test_one_that_has_gathered_long_enough_comes_before_a_full_batch(monkeypatch):
    monkeypatch.setattr(device_process, "_GATHER_S", 0.0)
    queue = Queue()
    queue.put(request(1, "early", size=4, job_began=7.0))
    queue.put(request(2, "late", job_began=9.0))
    queue.put(request(3, "late", job_began=9.0))
    assert [int(r.item[0]) for r in queue.take(lambda kind: 2)[0]] == [1]


def test_one_that_asks_to_be_alone_does_not_wait_for_another_kind_to_gather(monkeypatch):
    monkeypatch.setattr(device_process, "_GATHER_S", 0.5)
    queue = Queue()
    queue.put(request(1, "early", size=4, job_began=7.0))
    queue.put(request(2, "late", alone=True, job_began=9.0))
    began = time.monotonic()
    assert [int(r.item[0]) for r in queue.take(lambda kind: 4)[0]] == [2]
    assert time.monotonic() - began < 0.4


def test_who_asks_to_be_alone_is_alone():
    queue = Queue()
    for one in (request(1), request(2, alone=True), request(3)):
        queue.put(one)
    batches = [queue.take(lambda kind: 4)[0] for _ in range(3)]
    assert [[int(r.item[0]) for r in batch] for batch in batches] == [[1], [2], [3]]


def test_what_a_client_asked_for_goes_with_it():
    queue = Queue()
    for one in (request(1), request(2, "b"), request(3, "b", size=4)):
        queue.put(one)
    queue.drop("b")
    queue.put(request(4))
    assert [int(r.item[0]) for r in queue.take(lambda kind: 4)[0]] == [1, 4]


# --- the same bytes -------------------------------------------------------------------------------


def alone_and_together(load, batch=4):
    """An item's bytes by itself, and in each place of a batch."""
    about, run = load(batch)
    network, kind = Network(about, run), ("net",)
    items = [np.random.default_rng(k).random(16).astype(np.float32) for k in range(batch)]
    alone = network.run(kind, items[:1])[0][0].tobytes()
    for place in range(batch):
        others = items[1:]
        others.insert(place, items[0])
        yield alone, network.run(kind, others)[place][0].tobytes(), network.batch_of(kind)


SECOND = functools.partial(device_loads.of_the_place, place=1)


@pytest.mark.parametrize(
    "load", [device_loads.of_the_whole_batch, device_loads.of_the_place, SECOND]
)
def test_a_network_whose_results_depend_on_the_batch_is_run_item_by_item(load, caplog):
    for alone, together, batch in alone_and_together(load):
        assert alone == together and batch == 1
    assert "run one by one" in caplog.text


def test_a_sound_network_is_run_in_whole_batches_of_one_size():
    sizes = []

    def run(items):
        sizes.append(len(items))
        return [(one * 3,) for one in items]

    network = Network({"batch": 4}, run)
    for count in (1, 3, 4, 6):
        got = network.run(("net",), [item(k) for k in range(count)])
        assert [int(one[0][0]) for one in got] == [3 * k for k in range(count)]
    assert set(sizes) == {4} and network.padding(("net",), 6) == 2


def test_a_network_that_gives_too_little_is_an_error():
    with pytest.raises(RuntimeError, match="1 results for 2 items"):
        Network({"batch": 2}, lambda items: [(items[0],)]).run(("net",), [item(1)])


def test_batches_halve_where_memory_runs_out_and_say_so():
    holds = []

    def run(items):
        holds.append(len(items))
        if len(items) > 3:
            raise DeviceMemoryError("CUDA out of memory")
        return [(one,) for one in items]

    network = Network({"batch": 16}, run)
    assert len(network.run(("net",), [item(1)] * 5)) == 5
    assert network.batch_of(("net",)) == 2 and remarks.taken() == HALVED
    holds.clear()
    network.run(("net",), [item(1)] * 5)
    assert set(holds) == {2}, "what did not fit is not tried again"
    assert remarks.taken() == HALVED, "and what comes later was computed so too"


def test_a_single_item_that_does_not_fit_is_an_error_with_advice(tmp_path):
    with (
        model(tmp_path, batch=4, holds=0) as network,
        pytest.raises(DeviceMemoryError, match="free the GPU"),
    ):
        halving(network.run, [item(1), item(2)], "crops")


# --- jobs and the process -------------------------------------------------------------------------


def test_a_job_without_a_server_has_a_process_of_its_own(tmp_path):
    with model(tmp_path) as network:
        assert network.about["batch"] == 4 and network.about["device"] == "cuda nothing"
        results = network.run(item(k) for k in range(10))
        pid = int(results[0][0][1])
    assert values(results) == [result(k) for k in range(10)]
    assert pid != os.getpid() and not Path(f"/proc/{pid}").exists()


def test_the_networks_of_a_job_without_a_server_share_one_process_and_one_slot(tmp_path):
    """Each had a process of its own, and the second waited for the slot of the first for ever."""
    with model(tmp_path) as one:
        with model(tmp_path, batch=2) as other:
            found = [network.run([item(1)])[0][0] for network in (one, other)]
            assert [int(values_[0]) for values_ in found] == [result(1)] * 2
            (pid,) = {int(values_[1]) for values_ in found}
        assert int(one.run([item(2)])[0][0][1]) == pid, "it stays for the network that is left"
    assert not Path(f"/proc/{pid}").exists()
    with model(tmp_path) as later:
        assert values(later.run([item(3)])) == [result(3)]


def test_what_ends_the_process_of_two_networks_costs_the_other_nothing(tmp_path):
    with model(tmp_path) as one, model(tmp_path, batch=2) as other:
        before = int(other.run([item(1)])[0][0][1])
        results, _ = halving(one.run, [item(1), item(device_loads.ABORT)], "items")
        assert values(results) == [result(1), "MODEL_CRASHED"]
        (after,) = other.run([item(2)])
        assert int(after[0][0]) == result(2) and int(after[0][1]) != before
        assert int(one.run([item(4)])[0][0][1]) == int(after[0][1]), "and they share it again"


def test_whether_the_process_of_two_networks_is_gone_is_asked_while_one_has_it_ended(
    tmp_path, monkeypatch
):
    """Its status can be had once: who asked just then got an error, of which the job died."""
    waitpid, taken, go_on = os.waitpid, threading.Event(), threading.Event()

    def slow(pid, options):
        status = waitpid(pid, options)
        taken.set()
        go_on.wait(20)
        return status

    with model(tmp_path) as one, model(tmp_path, batch=2) as other:
        assert values(one.run([item(1)])) == [result(1)]
        monkeypatch.setattr(os, "waitpid", slow)
        ending = threading.Thread(target=one._link.end)
        ending.start()
        assert taken.wait(20)
        threading.Timer(0.2, go_on.set).start()
        assert other._link.gone()
        ending.join(20)
        one._link = None
        assert values(other.run([item(2)])) == [result(2)]


def test_a_process_that_a_pools_thread_had_to_start_again_does_not_end_with_the_pool(tmp_path):
    """The kernel ends a fork with the thread that forked it, and the networks went with it."""
    with model(tmp_path) as network:
        first = int(network.run([item(1)])[0][0][1])
        os.kill(first, signal.SIGKILL)
        with ThreadPoolExecutor(1) as pool:
            pid = int(pool.submit(network.run, [item(2)]).result()[0][0][1])
        assert pid != first and not is_gone(pid, within_s=0.3)
        assert int(network.run([item(3)])[0][0][1]) == pid
    assert is_gone(pid)


def test_a_process_that_is_forked_while_another_joins_a_card_can_join_one_too(
    tmp_path, monkeypatch
):
    """It waited for ever for the lock of a thread that it does not have."""
    forked, join = [], device_client._OwnProcess.join

    def forks_meanwhile(process):
        if not forked:
            forked.append(forks.fork(in_the_fork))
        return join(process)

    def in_the_fork() -> int:
        with model(tmp_path, batch=2) as own:
            return int(values(own.run([item(2)])) != [result(2)])

    monkeypatch.setattr(device_client._OwnProcess, "join", forks_meanwhile)
    with model(tmp_path) as network:
        assert values(network.run([item(1)])) == [result(1)]
    # Its turn has come: it has a process of its own, which waited for this one's slot.
    pidfd = os.pidfd_open(forked[0])
    try:
        assert has_ended(pidfd, wait_s=20), "it hangs"
    finally:
        os.kill(forked[0], signal.SIGKILL)
        status = os.waitpid(forked[0], 0)[1]
    assert status == 0


def test_the_model_processes_of_a_job_have_one_card_of_several():
    """Each took one by its own number. Of two jobs on two cards each waited for what the other had,
    which would have been free at its end.
    """
    cards = Cards(((0, 1), (1, 1)))

    def seen() -> int:
        with DeviceModel(device_loads.seeing, LIMITS, cards) as network:
            return int(network.run([item(1)])[0][0][0])

    with device_slots.of_one_job(device_slots.CUDA, cards):
        pids = [forks.fork(seen) for _ in range(4)]
        found = {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids}
    assert found == {os.getpid() % 2}


def test_memory_that_ran_out_is_said_in_the_jobs_log(tmp_path, caplog):
    with model(tmp_path, batch=4, holds=2) as network:
        results = network.run([item(k) for k in range(4)])
    assert values(results) == [result(k) for k in range(4)]
    assert caplog.text.count(HALVED) == 1


def test_items_are_taken_as_they_are_needed_and_no_more_than_a_few_ahead(tmp_path):
    taken = []

    def coming():
        for k in range(40):
            taken.append(k)
            yield item(k)

    with model(tmp_path, batch=4) as network:
        for k, (values_,) in enumerate(network.stream(coming())):
            assert values_[0] == result(k) and len(taken) <= k + 1 + 2 * 4
            assert len(taken) >= 2 * 4, "one batch waits while another is run"
    assert len(taken) == 40


@pytest.mark.parametrize(
    "what, reason, said",
    [
        (device_loads.ABORT, "MODEL_CRASHED", "SIGABRT"),
        (device_loads.SEGFAULT, "MODEL_CRASHED", "SIGSEGV"),
        (device_loads.LOST, "MODEL_CRASHED", "illegal memory access"),
        (device_loads.EXIT, "MODEL_CRASHED", "status 3"),
        (device_loads.HANG, "MODEL_TIMEOUT", "no answer within 0.7 s (mask.timeout_s)"),
    ],
)
def test_an_item_that_ends_the_process_costs_itself_alone(tmp_path, what, reason, said):
    seconds = 0.7 if what == device_loads.HANG else 20
    with model(tmp_path, Limits("mask", timeout_s=seconds, memory_mb=8192)) as network:
        results, _ = halving(network.run, [item(1), item(what), item(3)], "items")
    assert values(results) == [result(1), reason, result(3)]
    assert said in results[1].detail and "\n" not in results[1].detail
    assert str(os.getpid()) not in results[1].detail, "a row must not differ between runs"
    assert len(notes(tmp_path, "loads")) == 4, "it is not tried again when it is asked for again"


def test_an_item_that_raises_costs_its_job_the_error_and_other_jobs_nothing(tmp_path):
    with model(tmp_path) as network:
        with pytest.raises(ValueError, match="cannot be run"):
            network.run([item(1), item(device_loads.RAISE), item(3)])
        assert values(network.run([item(1), item(3)])) == [result(1), result(3)]
    assert len(notes(tmp_path, "loads")) == 1


def test_a_process_that_somebody_kills_is_replaced_and_nobody_pays(tmp_path):
    with model(tmp_path) as network:
        pid = int(network.run([item(1)])[0][0][1])
        os.kill(pid, signal.SIGKILL)
        found = network.run([item(2), item(device_loads.KILL_ONCE), item(3)])
    assert values(found) == [result(2), result(device_loads.KILL_ONCE), result(3)]
    assert len(notes(tmp_path, "loads")) == 3


def test_a_process_that_does_not_read_is_left_and_no_request_is_lost(tmp_path):
    """It is stopped until the buffer is full; what is not sent would be waited for in vain."""
    items = [item(k, 30_000) for k in range(16)]
    with model(tmp_path, Limits("mask", timeout_s=0.5, memory_mb=8192), batch=16) as network:
        pid = int(network.run(items[:1])[0][0][1])
        os.kill(pid, signal.SIGSTOP)
        found = network.run(items)
    assert values(found) == [result(k, 30_000) for k in range(16)]
    assert {int(r[0][1]) for r in found} != {pid}


def test_a_fresh_process_with_room_is_no_reason_for_a_warning(tmp_path, caplog):
    with DeviceModel(functools.partial(device_loads.short_once, str(tmp_path)), LIMITS, ONE) as net:
        pid = int(net.run([item(1)])[0][0][1])
        os.kill(pid, signal.SIGKILL)
        net.run([item(1)])
    assert caplog.text.count(HALVED) == 1
    assert all(record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("how, error", [("raise", ValueError), ("abort", IsolationError)])
def test_what_cannot_be_loaded_is_an_error_each_time(how, error):
    load = functools.partial(device_loads.never_loads, how)
    with DeviceModel(load, LIMITS, ONE) as network:
        for _ in range(2):
            with pytest.raises(error, match=r"wrong weights|while it loaded"):
                network.run([item(1)])


def test_a_job_waits_for_a_device_that_another_process_holds(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(device_client, "_SAID_AFTER_S", 0.0)
    caplog.set_level("INFO")
    done, told = [], "waiting for cuda:0, which other processes use"
    with ExitStack() as open_:
        with device_slots.hold(device_slots.CUDA, 0, 1):
            network = open_.enter_context(model(tmp_path))
            waiting = threading.Thread(target=lambda: done.extend(network.run([item(2)])))
            waiting.start()
            wait_for(lambda: told in caplog.text)
            assert not done
        waiting.join(20)
    assert caplog.text.count(told) == 1
    assert values(done) == [result(2)]


def test_two_cards_share_the_processes():
    assert Cards.spread([0, 1], 3).slots == ((0, 2), (1, 1))
    assert Cards.spread([0, 1], 1).slots == ((0, 1),)
    assert Cards.spread([1], 2).slots == ((1, 2),)


def test_the_page_outlives_its_writer():
    page = Page.new()
    child = os.fork()
    if child == 0:
        page.begin([7], 20.0)
        page.end(items=3, padding=1)
        page.begin([5, 6])
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert page.running == {5, 6} and page.running_s > 0
    assert (page.done.batches, page.done.items, page.done.padding) == (1, 3, 1)


# --- errors that leave a context unusable ---------------------------------------------------------


@pytest.mark.parametrize(
    "text, lost",
    [
        ("CUDA error: an illegal memory access was encountered", True),
        ("CUDA failure 700: an illegal memory access was encountered ; GPU=0", True),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", True),
        ("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx", True),
        ("CUDNN_STATUS_ALLOC_FAILED", False),
        ("CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)", False),
        ("CUDA error: out of memory", False),
        ("CUDA failure 2: out of memory ; GPU=0", False),
        ("Failed to allocate memory for requested buffer of size 1024", False),
        ("Got invalid dimensions for input: images", False),
    ],
)
def test_which_errors_leave_a_context_unusable(text, lost):
    assert context_is_lost(text) is lost


def lost_context(folder: str):
    """A model of one job at a time whose context breaks on one item, and stays so."""
    broken = []

    def run(items):
        if "bad" in items and not Path(folder, "once").exists():
            Path(folder, "once").touch()
            broken.append(True)
        if broken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return items

    return {}, run


def test_a_model_of_one_job_does_not_go_on_with_a_broken_context(tmp_path):
    with Isolated(functools.partial(lost_context, str(tmp_path)), "ok", LIMITS) as network:
        found, _ = network.outcomes(["ok", "bad", "fine"], "items")
        assert found == ["ok", "bad", "fine"], "the fresh process has another context"
        assert network.run(["ok"]) == ["ok"]


def test_an_answer_does_not_wait_for_a_client_that_is_stopped(monkeypatch):
    """Its buffer fills; the others get theirs all the same."""
    monkeypatch.setattr(device_process, "_FULL_S", 0.2)
    ours, theirs = array_messages.pair()
    ours.connection.setblocking(False)
    for _ in range(100):
        device_process._send(ours, ("result", 1, np.zeros(20_000, np.uint8), ""))
    with pytest.raises(BrokenPipeError):
        ours.send("it was let go of")
    theirs.close()


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOMEM, errno.ETOOMANYREFS])
def test_a_client_that_cannot_be_answered_is_let_go_of_and_asks_again(monkeypatch, error, caplog):
    """It would wait for ever for an answer that was lost."""

    def no_more(*_):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(array_messages.os, "memfd_create", no_more)
    ours, theirs = array_messages.pair()
    device_process._send(ours, ("result", 1, np.zeros(100_000, np.uint8), ""))
    with pytest.raises(EOFError):
        theirs.receive()
    assert os.strerror(error) in caplog.text


def test_an_answer_that_cannot_be_made_ends_the_process():
    child = os.fork()
    if child == 0:
        try:
            answer = Future()
            answer.add_done_callback(device_process._require_sent)
            answer.set_exception(MemoryError())
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
