"""What a child does to itself stays with it."""

import os
import signal
import time

import pytest

from scripts.lib.sandbox import ChildError, Failure, run_limited

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
    run_limited(time.sleep, 60, timeout_s=0.2, memory_mb=4096)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
