"""A model may do to its process what it likes: the image pays, the others and the job do not."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from ferrari.networks import weight_files
from ferrari.processes import devices, model_process, remarks
from ferrari.processes.batching import halving, in_flight
from ferrari.processes.failures import ChildError, Failure
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import IsolationError, Limits, ModelDiedError
from tests.deadly import ENDS, Notes, children, is_gone, room
from tests.settings import ENVIRONMENT

LIMITS = Limits("mask", timeout_s=20, memory_mb=8192)
SHORT = Limits("mask", timeout_s=0.7, memory_mb=8192)
HARMLESS = "harmless"


def isolated(run, limits=LIMITS, about=None):
    return Isolated(lambda: (about or {}, run), HARMLESS, limits)


def doubling(end=lambda: None, deadly=()):
    """A model that doubles numbers, and calls `end` on the deadly ones."""

    def run(items):
        for item in items:
            if item in deadly:
                end()
        return [item * 2 for item in items]

    return run


def outcomes(model, items, size):
    """What halving makes of the items in batches: results, and reasons where there is none."""
    found = []
    for start in range(0, len(items), size):
        found += halving(model.run, items[start : start + size], "items")[0]
    return [one.reason if isinstance(one, Failure) else one for one in found]


def test_the_model_is_loaded_once_in_another_process():
    loads = []

    def load():
        loads.append(os.getpid())
        return {"pid": os.getpid()}, lambda items: [(loads, item) for item in items]

    with Isolated(load, HARMLESS, LIMITS) as model:
        first, second = model.run([1])[0], model.run([2])[0]
        assert first[0] == second[0] == [model.about["pid"]] != [os.getpid()]
    assert loads == []


def test_what_the_parent_had_to_say_is_not_said_of_the_models_results():
    """A fork has its parent's memory: the first rows of a clip told of another's batches."""
    remarks.add("batches halved")
    try:
        with isolated(doubling()) as model:
            assert model.outcomes([1, 2], "items") == ([2, 4], "")
    finally:
        remarks.taken()


@pytest.mark.parametrize("how", ENDS)
def test_what_ends_the_process_costs_the_one_item_that_did_it(how):
    end, reason, detail = ENDS[how]
    memory_mb = room(200) if how == "memory" else 8192
    limits = Limits("mask", timeout_s=0.7 if how == "hang" else 20, memory_mb=memory_mb)
    with isolated(doubling(end, deadly=[2]), limits) as model:
        results, remark = halving(model.run, [0, 1, 2, 3], "items")
    assert [results[k] for k in (0, 1, 3)] == [0, 2, 6] and remark == ""
    assert results[2].reason == reason and detail in results[2].detail
    assert str(os.getpid()) not in results[2].detail, "a row must not differ between runs"
    if how in ("hang", "memory"):
        assert "mask." in results[2].detail, "names the setting"


def test_two_deaths_find_one_guilty_item_in_a_batch(tmp_path):
    notes = Notes(tmp_path)

    def load():
        notes.add("load")
        return {}, doubling(ENDS["exit"][0], deadly=[11])

    with Isolated(load, HARMLESS, LIMITS) as model:
        assert outcomes(model, list(range(16)), 16).count("MODEL_CRASHED") == 1
    assert notes.read() == ["load"] * 3


def test_after_a_death_native_threads_of_the_parent_do_no_harm():
    picture = np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), dtype=np.uint8)
    wanted = cv2.GaussianBlur(picture, (31, 31), 5)

    def run(items):
        if "deadly" in items:
            os.abort()
        return [cv2.GaussianBlur(picture, (31, 31), 5) for _ in items]

    with isolated(run) as model:
        (died,), _ = halving(model.run, ["deadly"], "items")
        assert died.reason == "MODEL_CRASHED"
        np.testing.assert_array_equal(model.run(["fine"])[0], wanted)


@pytest.mark.parametrize(
    ("how", "limits", "advice"),
    [
        ("segfault", lambda: LIMITS, "died of SIGSEGV.*weights"),
        ("hang", lambda: SHORT, r"raise mask\.timeout_s"),
        ("memory", lambda: Limits("mask", 20, room(200)), r"raise mask\.memory_mb"),
    ],
)
def test_a_process_that_ends_on_a_harmless_picture_too_is_our_defect(how, limits, advice):
    """`limits` are asked for in the test: a fork has what this process holds by then."""

    def run(items):
        ENDS[how][0]()

    with isolated(run, limits()) as model, pytest.raises(IsolationError, match=advice) as caught:
        halving(model.run, [1], "items")
    assert "harmless" in str(caught.value)


def test_three_items_in_a_row_without_one_success_are_our_defect():
    with isolated(doubling(os.abort, deadly=range(10))) as model:
        assert outcomes(model, [1, 2], 1) == ["MODEL_CRASHED"] * 2
        with pytest.raises(IsolationError, match=r"3 images.*never gave a result"):
            halving(model.run, [3], "items")


def test_a_model_that_has_worked_may_meet_any_number_of_bad_items():
    with isolated(doubling(os.abort, deadly=range(2, 7))) as model:
        found = outcomes(model, list(range(8)), 3)
    assert found == [0, 2, *["MODEL_CRASHED"] * 5, 14]


@pytest.mark.parametrize("how", ["segfault", "exit", "memory"])
def test_a_process_that_ends_while_loading_says_what_to_do(how):
    with (
        Isolated(ENDS[how][0], HARMLESS, Limits("detect", 20, room(200))) as model,
        pytest.raises(IsolationError, match=r"detect: .*while it loaded"),
    ):
        halving(model.run, [1], "items")


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_a_process_killed_from_outside_changes_no_result(tmp_path, name):
    notes = Notes(tmp_path)

    def run(items):
        if not notes.read():
            notes.add("killed")
            os.kill(os.getpid(), signal.Signals[name])
        return [item * 2 for item in items]

    with isolated(run) as model:
        assert halving(model.run, [1, 2], "items") == ([2, 4], "")


def test_the_clock_stands_still_while_a_model_waits_for_another_process():
    def run(items):
        for _ in range(8):
            time.sleep(0.2)
            model_process.say_it_waits()
        return items

    with isolated(run, SHORT) as model:
        assert model.run([1]) == [1]


def test_a_process_killed_again_and_again_is_the_machines_defect():
    def run(items):
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        isolated(run) as model,
        pytest.raises(IsolationError, match=r"keeps killing.*dmesg"),
    ):
        halving(model.run, [1, 2], "items")


@pytest.mark.parametrize(
    "error",
    [
        weight_files.ModelError("weights are missing"),
        devices.DeviceMemoryError("CUDA out of memory"),
        importlib.import_module("fetch_weights").FetchError("a stage's own"),
        OSError(28, "No space left on device"),
        KeyError("mine"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_python_s_exceptions_and_ours_are_raised_as_they_are(error):
    def fail(*_):
        raise error

    with isolated(fail) as model:
        with pytest.raises(type(error)) as caught:
            model.run([1])
        assert str(caught.value) == str(error)
        assert any("in fail" in note for note in caught.value.__notes__), (
            "no traceback of the child"
        )
    with Isolated(fail, HARMLESS, LIMITS) as model, pytest.raises(type(error)):
        assert model.about


def test_a_library_s_exception_comes_as_text_so_that_the_library_stays_out():
    def fail(items):
        json.loads("{")

    def closure(items):
        class LocalError(Exception):
            pass

        raise LocalError("mine")

    for run, name in ((fail, "JSONDecodeError"), (closure, "LocalError")):
        with isolated(run) as model, pytest.raises(ChildError, match=rf"{name}(.|\n)*Traceback"):
            model.run([1])


def test_a_child_that_raised_serves_on():
    def run(items):
        if 0 in items:
            raise ZeroDivisionError("zero")
        return items

    with isolated(run, about={"pid": 1}) as model:
        with pytest.raises(ZeroDivisionError):
            model.run([0])
        assert model.run([1]) == [1]


def test_gpu_memory_that_runs_out_halves_the_batch_and_says_so(tmp_path):
    notes = Notes(tmp_path)

    def run(items):
        notes.add(len(items))
        if len(items) > 2:
            raise devices.DeviceMemoryError("CUDA out of memory")
        return items

    with isolated(run) as model:
        results, remark = halving(model.run, list(range(5)), "crops")
    assert results == list(range(5))
    assert notes.read() == ["5", "2", "3", "1", "2"]
    assert remark == "GPU memory ran out with 3 at once: batches halved"


def test_one_item_that_does_not_fit_into_the_gpu_says_what_to_do():
    def run(items):
        raise devices.DeviceMemoryError("CUDA out of memory")

    with (
        isolated(run) as model,
        pytest.raises(devices.DeviceMemoryError, match=r"one of the crops alone.*device: cpu"),
    ):
        halving(model.run, [1, 2], "crops")


def test_closing_ends_a_busy_child_at_once():
    before = children()
    model = isolated(lambda items: ENDS["hang"][0](), SHORT, {})
    assert model.about == {}
    pid = model._child.pid
    model.close()
    model.close()
    assert is_gone(pid, within_s=1)
    assert children() == before


PARENT = """
import os, sys, time
from ferrari.processes.isolated_model import Isolated
from ferrari.processes.model_verdicts import Limits
model = Isolated(lambda: ({"pid": os.getpid()}, lambda items: time.sleep(100)), 0,
                 Limits("mask", 100, 2048))
print(model.about["pid"], flush=True)
if sys.argv[1] == "busy":
    model.run([1])
time.sleep(100)
"""


@pytest.mark.parametrize("state", ["busy", "idle"])
def test_a_child_does_not_outlive_its_parent(state):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, state], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        child = int(parent.stdout.readline())
        assert not is_gone(child, within_s=0.2)
        parent.kill()
        assert is_gone(child)


def test_a_process_that_a_pools_thread_had_to_start_again_does_not_end_with_the_pool():
    """The kernel ends a fork with the thread that forked it: the next call found it killed, and a
    second one would have ended the job.
    """
    with isolated(doubling(os.abort, deadly=[2]), about={}) as model:
        batches = in_flight([[1], [2], [3]], list, lambda items: model.outcomes(items, "items"))
        assert [result for results, _ in batches for result in results][::2] == [2, 6]
        pid = model._child.pid
        assert not is_gone(pid, within_s=0.3)
        assert model.run([4]) == [8] and model._child.pid == pid


def test_a_child_answers_although_its_parent_was_telling_that_it_waits_when_it_was_forked():
    """It had the parent's lock, which nobody was left to open."""
    with model_process._telling, isolated(doubling(), SHORT) as model:
        assert model.run([1]) == [2]


def test_a_dead_process_is_told_although_another_holds_its_connection(tmp_path):
    """A library may fork a helper of its own."""
    notes = Notes(tmp_path)

    def run(items):
        if items == ["deadly"]:
            helper = os.fork()
            if helper == 0:
                signal.pause()
            notes.add(helper)
            os.abort()
        return items

    with isolated(run) as model:
        with pytest.raises(ModelDiedError, match="SIGABRT"):
            model.run(["deadly"])
        os.kill(int(notes.read()[0]), signal.SIGKILL)
        assert model.run([1]) == [1]
