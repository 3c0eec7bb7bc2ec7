"""A child process that loads a model once and serves calls: the other side of `isolated_model`."""

from __future__ import annotations

import faulthandler
import os
import pickle
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ferrari.common.errors import FerrariError
from ferrari.processes import array_messages, forks, remarks
from ferrari.processes.array_messages import Channel
from ferrari.processes.devices import context_is_lost
from ferrari.processes.endings import child_has_ended
from ferrari.processes.limits import DIED_OF_DEVICE, DIED_OF_MEMORY, POLL_S, own_memory

#: Turns items into as many results.
Run = Callable[[Sequence[Any]], list]
#: Called in the child; returns what rows say of the model (it must pickle), and what serves calls.
Load = Callable[[], tuple[Mapping[str, object], Run]]

#: What torch and OpenCV write when memory runs out; they do not raise MemoryError.
_NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "Insufficient memory", "bad_alloc")


#: What a child says that waits for another process (`device_client`): it does not hang.
_WAITS = ("waits", None, "")
_caller: Channel | None = None  # of this process, if it is such a child and is being called
_called_at = 0.0  # since when, by the machine's monotonic clock


def _nobody_tells() -> None:
    """A fork does not wait for a thread of its parent that was telling something just then."""
    global _telling
    _telling = threading.Lock()


_telling: threading.Lock  # several threads may wait for the process of a card
_nobody_tells()
os.register_at_fork(after_in_child=_nobody_tells)


class OverMemoryError(FerrariError):
    """The child holds more memory than it may."""


class Child:
    """A forked process that serves what `load` returns, and this end of the connection to it.

    `used` is True for a process that has served another job before (see `model_lease`).
    """

    used = False

    def __init__(self, load: Load) -> None:
        self.channel, theirs = array_messages.pair()
        self.pid = forks.fork(lambda: self._live(theirs, load))
        theirs.close()

    def _live(self, theirs: Channel, load: Load) -> int:
        """What the child does."""
        self.channel.close()
        prepare()
        call_by(theirs)
        kind, value = outcome(load)
        if kind != "result":
            theirs.send((kind, value, ""))
            return 0
        about, run = value
        theirs.send(("result", about, ""))
        serve(theirs, run)
        return 0

    def answer(self, timeout_s: float, memory: int) -> Any:
        """The next message: its kind, a value, and a remark on results. The clock begins anew
        whenever the child says that it waits itself.

        Raises EOFError or ConnectionError if the child ends first, TimeoutError, or OverMemoryError
        if it holds more than `memory` bytes.
        """
        while (message := self._message(timeout_s, memory)) == _WAITS:
            continue
        return message

    def _message(self, timeout_s: float, memory: int) -> Any:
        deadline = time.monotonic() + timeout_s

        def wait() -> None:
            while not select.select([self.channel], [], [], POLL_S)[0]:
                if time.monotonic() > deadline:
                    raise TimeoutError
                if own_memory(self.pid) > memory:
                    raise OverMemoryError
                # A process that the child has started may keep the connection open after its death.
                if self._ended() and not select.select([self.channel], [], [], 0)[0]:
                    raise EOFError

        return self.channel.receive(wait)

    def end(self) -> int:
        """Kill the child unless it has ended; its exit status, or minus the signal's number."""
        self.channel.close()
        # A child that has closed its end is about to exit: a signal would not change its status.
        os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def release(self) -> None:
        """Kill it: it has nothing to save, and unloading a runtime in order would take a second."""
        self.end()

    def _ended(self) -> bool:
        return child_has_ended(self.pid)


def prepare() -> None:
    """Ignore Ctrl-C, write no core dump, have a crash write its traceback into the log, and forget
    what the parent had to say of its own results.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.enable(2)  # the log says where the model died
    remarks.taken()


def call_by(channel: Channel) -> None:
    """From now on, this process works for whoever has the other end."""
    global _caller, _called_at
    _caller, _called_at = channel, time.monotonic()


def called_at() -> float:
    """Since when this process works for its caller, by the machine's monotonic clock."""
    return _called_at


def say_it_waits() -> None:
    """Tell whoever has called this process that it waits for another, and does not hang."""
    if _caller is not None:
        with _telling:
            _caller.send(_WAITS)


def serve(channel: Channel, run: Run) -> None:
    """Answer each message (a list of items) with `run`'s results and a remark on them, until the
    other end is gone.
    """
    while True:
        try:
            items = channel.receive()
        except (EOFError, ConnectionError):
            return
        answer = (*outcome(run, items), remarks.taken())
        del items  # the answer says that their memory is free for the next ones
        with _telling:
            channel.send(answer)
        del answer
        sys.stdout.flush()
        sys.stderr.flush()


def outcome(
    function: Callable[..., Any],
    *arguments: object,
    last_words: Callable[[str], None] = lambda text: None,
) -> tuple[str, Any]:
    """What `function` returns or raises, as a message.

    When memory runs out, the process exits, and so it does after an error that leaves its CUDA
    context unusable: whatever came next would fail too. `last_words` is told of that error first.
    """
    try:
        return "result", function(*arguments)
    except MemoryError:
        os._exit(DIED_OF_MEMORY)
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - handed on, raised in the parent
        if any(words in str(error) for words in _NO_MEMORY):
            os._exit(DIED_OF_MEMORY)
        if not isinstance(error, FerrariError) and context_is_lost(str(error)):
            traceback.print_exc()
            last_words(str(error).partition("\n")[0])
            sys.stderr.flush()
            os._exit(DIED_OF_DEVICE)
        return _as_message(error)


def _as_message(error: BaseException) -> tuple[str, object]:
    """An exception as itself if it pickles and its class is Python's or ours, else as text.

    Unpickling the exception of a library would import that library into the parent.
    """
    text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
    if type(error).__module__ == "builtins" or isinstance(error, FerrariError):
        try:
            copy = pickle.loads(pickle.dumps(error))
        except (TypeError, AttributeError, pickle.PicklingError):
            return "error", text
        copy.add_note(f"In the model's process:\n{text}")
        return "raise", copy
    return "error", text
