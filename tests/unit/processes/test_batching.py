"""Batches on their way: in order, from one thread each, and safe to fork among."""

from __future__ import annotations

import os
import threading
import time
from contextlib import closing

import pytest

from ferrari.common.progress import CountedWarnings
from ferrari.processes import batching
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.failures import Failure
from ferrari.processes.model_verdicts import ModelDiedError


def test_batches_come_in_order_and_are_run_from_one_thread():
    readers, runners = set(), set()

    def read(batch):
        readers.add(threading.get_ident())
        return batch * 10

    def run(ready):
        runners.add(threading.get_ident())
        return ready + 1

    assert list(batching.in_flight(range(9), read, run)) == [k * 10 + 1 for k in range(9)]
    assert len(readers) == len(runners) == 1
    assert len(readers | runners | {threading.get_ident()}) == 3
    assert list(batching.in_flight([], read, run)) == []


def test_small_images_come_in_larger_batches_than_large_ones():
    def lines(*sides):
        return [
            {"width": str(side), "height": "10", "item": index} for index, side in enumerate(sides)
        ]

    def pixels_of(line):
        return int(line["width"]) * int(line["height"])

    def sizes(sides, most=4, pixels=100):
        batches = list(batching.by_size(lines(*sides), pixels_of, most, pixels))
        assert [line["item"] for batch in batches for line in batch] == list(range(len(sides)))
        return [len(batch) for batch in batches]

    assert sizes([1] * 9) == [4, 4, 1]
    assert sizes([5] * 5) == [2, 2, 1]
    assert sizes([20, 1, 20, 20]) == [1, 1, 1, 1]
    assert sizes([4, 3, 3, 1]) == [3, 1]
    assert sizes([]) == []


def test_the_next_batch_is_run_and_another_read_meanwhile():
    """Three hands that wait for each other: one after the other they would never get there."""
    together = threading.Barrier(3, timeout=20)

    def read(batch):
        if batch == 2:
            together.wait()
        return batch

    def run(ready):
        if ready == 1:
            together.wait()
        return ready

    done = []
    for ready in batching.in_flight(range(4), read, run):
        if ready == 0:
            together.wait()
        done.append(ready)
    assert done == [0, 1, 2, 3]


def test_no_more_is_read_than_two_batches_ahead():
    read = []
    batches = batching.in_flight(range(20), lambda batch: read.append(batch) or batch, lambda b: b)
    with closing(batches):
        assert next(batches) == 0
        time.sleep(0.05)
        assert len(read) <= 3
    assert len(read) <= 3


@pytest.mark.parametrize("where", ["read", "run"])
def test_an_error_comes_at_its_batch(where):
    def maybe(step):
        def work(batch):
            if step == where and batch == 2:
                raise OSError("disk full")
            return batch

        return work

    done = []
    batches = batching.in_flight(range(9), maybe("read"), maybe("run"))
    with closing(batches), pytest.raises(OSError, match="disk full"):
        done.extend(batches)
    assert done == [0, 1]


def test_a_fork_waits_until_the_others_are_out_of_native_code():
    """A process forked in the midst of another thread's work may inherit a lock for ever."""
    inside = {"read": False, "caller": False}
    seen = []

    def read(batch):
        inside["read"] = True
        time.sleep(0.02)
        inside["read"] = False
        return batch

    def run(ready):
        time.sleep(0.01)  # the others are at work
        pid = os.fork()
        if pid == 0:
            os._exit(10 + inside["read"] + 2 * inside["caller"])
        seen.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        return ready

    for _ in batching.in_flight(range(6), read, run):
        inside["caller"] = True
        time.sleep(0.02)
        inside["caller"] = False
    assert seen == [10] * 6


def test_what_comes_with_each_of_many_items_is_warned_of_once_and_counted(caplog):
    def run(items):
        if "deadly" in items:
            raise ModelDiedError(Failure("MODEL_CRASHED", "it died"))
        if len(items) > 2:
            raise DeviceMemoryError("full")
        return items

    warnings = CountedWarnings()
    for batch in (["a", "deadly"], ["deadly", "deadly"], ["deadly"], ["a"] * 4, ["a"] * 4):
        results, _ = batching.halving(run, batch, "crops", warnings)
        assert len(results) == len(batch)
    said = [record.getMessage() for record in caplog.records]
    assert [sum(line.startswith(start) for line in said) for start in ("with", "one of")] == [1, 1]
    assert len(said) == 3, "a batch that was halved is the third kind"
    caplog.clear()
    warnings.sum_up()
    assert [record.getMessage() for record in caplog.records] == [
        "batches of crops that were gone through one by one: 2 in all",
        "crops that are quarantined for MODEL_CRASHED: 4 in all",
        "batches of crops that were halved: 2 in all",
    ]
    caplog.clear()
    warnings.sum_up()
    assert not caplog.records
