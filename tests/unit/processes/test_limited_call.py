"""What a child does to itself stays with it."""

import mmap
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from ferrari.processes.failures import ChildError, Failure
from ferrari.processes.limited_call import run_limited
from ferrari.processes.limits import own_memory
from tests.deadly import children, eat_memory, is_gone, room
from tests.settings import ENVIRONMENT

LIMITS = {"timeout_s": 10, "memory_mb": 4096}


def test_results_come_back_whatever_their_size():
    assert run_limited(lambda n: b"x" * n, 5_000_000, **LIMITS) == b"x" * 5_000_000


def _segfault():
    os.kill(os.getpid(), signal.SIGSEGV)


def test_a_crash_a_hang_and_hunger_are_failures_with_their_reason():
    crash = run_limited(_segfault, **LIMITS)
    assert crash == Failure("DECODER_CRASHED", "the decoding process died of SIGSEGV")
    started = time.monotonic()
    hang = run_limited(time.sleep, 60, timeout_s=0.3, memory_mb=4096)
    assert hang.reason == "DECODE_TIMEOUT" and time.monotonic() - started < 5
    hungry = run_limited(lambda: bytearray(8 << 30), timeout_s=10, memory_mb=1024)
    assert hungry.reason == "OUT_OF_MEMORY"


def test_the_limit_does_not_count_what_the_process_had_already():
    """Networks loaded before, by a warm worker or another test, once left decoders no room."""
    held = mmap.mmap(-1, 3 << 30)  # address space alone: nothing is written to it
    limits = {"timeout_s": 10, "memory_mb": 1024}
    assert run_limited(lambda: len(bytearray(256 << 20)), **limits) == 256 << 20
    assert run_limited(lambda: bytearray(2 << 30), **limits).reason == "OUT_OF_MEMORY"
    held.close()


def test_our_own_defects_are_raised_with_their_traceback():
    with pytest.raises(ChildError, match=r"ZeroDivisionError(.|\n)*Traceback"):
        run_limited(lambda: 1 / 0, **LIMITS)

    def full():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run_limited(full, **LIMITS)

    def passing():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run_limited(passing, passing=(KeyError,), **LIMITS)


def test_no_child_is_left_behind():
    before = children()
    run_limited(time.sleep, 60, timeout_s=0.2, memory_mb=4096)
    assert children() == before


def test_what_a_child_holds_is_limited_where_address_space_cannot_be():
    """A GPU's decoder reserves more than the machine has, and uses little of it."""
    before = children()
    limits = {"timeout_s": 30, "memory_mb": None, "resident_mb": room(200)}
    assert run_limited(lambda: np.empty(8 << 30, np.uint8).nbytes, **limits) == 8 << 30
    hungry = run_limited(eat_memory, **limits)
    detail = f"took more than {limits['resident_mb']} MB of memory"
    assert hungry == Failure("OUT_OF_MEMORY", detail)
    assert children() == before


def test_own_memory_counts_what_is_used_and_no_file():
    before = own_memory(os.getpid())
    with mmap.mmap(-1, 64 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as new:  # no freed memory
        np.frombuffer(new, np.uint8)[:] = 1
        assert 60 << 20 < own_memory(os.getpid()) - before < 80 << 20
    assert own_memory(2**22 + 1) == 0, "there is no such process"


PARENT = """
import os, time
from ferrari.processes.limited_call import run_limited

def decode():
    print(os.getpid(), flush=True)
    time.sleep(100)

run_limited(decode, timeout_s=100, memory_mb=None)
"""


def test_a_child_does_not_outlive_its_parent():
    """It would go on writing into the folder that the next run writes."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    with parent:
        child = int(parent.stdout.readline())
        parent.kill()
        assert is_gone(child)
