"""Code that touches hostile input, in a child process with limits on time and memory.

A crash, a hang or runaway memory in a decoder ends the child, not the job; the caller gets a
`Failure` with the reason for the table. The child is a fork, so it costs a few milliseconds; call
it before threads or CUDA are started in the parent.
"""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
_DIED_OF_MEMORY = 97


@dataclass(frozen=True)
class Failure:
    """Why a child gave no result: DECODER_CRASHED, DECODE_TIMEOUT or OUT_OF_MEMORY."""

    reason: str
    detail: str


class ChildError(RuntimeError):
    """The child raised an ordinary exception: a defect of ours, with the child's traceback."""


def run_limited(
    function: Callable[..., T],
    *args,
    timeout_s: float,
    memory_mb: int | None,
    passing: tuple[type[Exception], ...] = (),
    **kwargs,
) -> T | Failure:
    """Call `function` in a forked child; its result, or a Failure if a limit or a signal ended it.

    Its result must pickle. An exception of the child is raised here: as itself if it is an
    OSError (a full disk keeps its name) or one of `passing`, else as ChildError with the child's
    traceback. `memory_mb` limits the address space; None leaves it alone (CUDA needs that).
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run_child(writer, function, args, kwargs, memory_mb, (OSError, *passing))
    os.close(writer)
    try:
        payload, in_time = _read_all(reader, time.monotonic() + timeout_s)
    finally:
        os.close(reader)
        _kill(child)
    _, status = os.waitpid(child, 0)
    if not in_time:
        return Failure("DECODE_TIMEOUT", f"stopped after {timeout_s:g} s")
    return _unpack(payload, status, memory_mb)


def _run_child(writer: int, function, args, kwargs, memory_mb: int | None, passing) -> None:
    """Run in the child and leave it without the parent's clean-up handlers."""
    status = 1
    faulthandler.disable()  # the parent says how the child died
    try:
        if memory_mb is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            message = ("result", function(*args, **kwargs))
        except MemoryError:
            os._exit(_DIED_OF_MEMORY)
        except passing as error:
            message = ("raise", error)
        except BaseException as error:  # noqa: BLE001 - handed on, raised in the parent
            message = ("error", f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
        with os.fdopen(writer, "wb") as stream:
            pickle.dump(message, stream)
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _read_all(reader: int, deadline: float) -> tuple[bytes, bool]:
    pieces = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([reader], [], [], left)[0]:
            return b"".join(pieces), False
        piece = os.read(reader, 1 << 20)
        if not piece:
            return b"".join(pieces), True
        pieces.append(piece)


def _kill(child: int) -> None:
    """End the child if it still runs; one that ended by itself stays as it is until waited for."""
    if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.01)  # it has closed its pipe and is on its way out
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            os.kill(child, signal.SIGKILL)


def _unpack(payload: bytes, status: int, memory_mb: int | None):
    code = os.waitstatus_to_exitcode(status)
    if code == _DIED_OF_MEMORY:
        return Failure("OUT_OF_MEMORY", f"needed more than {memory_mb} MB of address space")
    try:
        kind, value = pickle.loads(payload)
    except (EOFError, pickle.UnpicklingError):
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return Failure("DECODER_CRASHED", f"the decoding process died of {name}")
    if kind == "raise":
        raise value
    if kind == "error":
        raise ChildError(value)
    return value
