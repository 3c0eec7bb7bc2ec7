"""One call that touches hostile input, in a child process with limits on time and memory.

A crash, a hang or runaway memory in a decoder ends the child, not the job; the caller gets a
`failures.Failure` with the reason for the table. The child is a fork, which costs a few
milliseconds. It must be made before the parent starts threads or CUDA.
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
from typing import Any, TypeVar

from ferrari.processes.failures import ChildError, Failure, KilledError
from ferrari.processes.limits import (
    DIED_OF_MEMORY,
    FROM_OUTSIDE,
    POLL_S,
    end_with,
    inherited_memory,
    own_memory,
)

T = TypeVar("T")


def run_limited(
    function: Callable[..., T],
    *args: object,
    timeout_s: float,
    memory_mb: int | None,
    resident_mb: int | None = None,
    passing: tuple[type[Exception], ...] = (),
    **kwargs: object,
) -> T | Failure:
    """Call `function` in a forked child; its result, or a Failure if a limit or a signal ended it.

    The result must pickle. An exception of the child is raised here: an OSError (a full disk keeps
    its name) or one of `passing` as itself, any other as ChildError with the child's traceback. A
    signal from outside raises KilledError. `memory_mb` limits the address space that the child
    adds to what it inherits, so that a verdict does not depend on what this process has loaded;
    None sets no limit (CUDA needs that). `resident_mb` limits the memory that the child really
    holds (`own_memory`), which is measured every 20 ms.
    """
    parent = os.getpid()
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        end_with(parent)
        _run_child(writer, function, args, kwargs, memory_mb, (OSError, *passing))
    os.close(writer)
    try:
        payload, stopped = _read_all(reader, child, timeout_s, resident_mb)
    finally:
        os.close(reader)
        _kill(child)
        _, status = os.waitpid(child, 0)
    return stopped or _unpack(payload, status, memory_mb)


def _run_child(
    writer: int,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
    memory_mb: int | None,
    passing: tuple[type[Exception], ...],
) -> None:
    """Run in the child and leave it without the parent's clean-up handlers."""
    status = 1
    faulthandler.disable()  # the parent says how the child died
    try:
        if memory_mb is not None:
            limit = inherited_memory() + (memory_mb << 20)
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            message = ("result", function(*args, **kwargs))
        except MemoryError:
            os._exit(DIED_OF_MEMORY)
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


def _read_all(
    reader: int, child: int, timeout_s: float, resident_mb: int | None
) -> tuple[bytes, Failure | None]:
    """All that the child writes; if it goes over a limit, the Failure for that."""
    deadline = time.monotonic() + timeout_s
    pieces: list[bytes] = []
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return b"", Failure("DECODE_TIMEOUT", f"stopped after {timeout_s:g} s")
        if not select.select([reader], [], [], min(left, POLL_S) if resident_mb else left)[0]:
            if resident_mb and own_memory(child) > resident_mb << 20:
                return b"", Failure("OUT_OF_MEMORY", f"took more than {resident_mb} MB of memory")
            continue
        piece = os.read(reader, 1 << 20)
        if not piece:
            return b"".join(pieces), None
        pieces.append(piece)


def _kill(child: int) -> None:
    """End the child if it still runs; the exit status of one that has ended stays as it is."""
    process = os.pidfd_open(child)
    if not select.select([process], [], [], 0.01)[0]:  # else it was on its way out
        os.kill(child, signal.SIGKILL)
    os.close(process)


def _unpack(payload: bytes, status: int, memory_mb: int | None) -> Any:
    """What the child returned, or a Failure; raises what it raised."""
    code = os.waitstatus_to_exitcode(status)
    if code == DIED_OF_MEMORY:
        return Failure("OUT_OF_MEMORY", f"needed more than {memory_mb} MB of its own address space")
    try:
        kind, value = pickle.loads(payload)
    except (EOFError, pickle.UnpicklingError):
        name = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        if -code in FROM_OUTSIDE:
            raise KilledError(f"the decoding process was killed from outside ({name})") from None
        return Failure("DECODER_CRASHED", f"the decoding process died of {name}")
    if kind == "raise":
        raise value
    if kind == "error":
        raise ChildError(value)
    return value
