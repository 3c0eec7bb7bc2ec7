"""Models in a child process of their own, which loads them once and then serves calls.

Networks, their runtimes and compiled matting are native code that runs on hostile input. A
segfault, a hang or runaway memory ends the child, not the job, and costs the one image that caused
it. The parent never imports what the child runs. While it waits for the child, it watches the time
and the memory that the child holds for itself. (The child's address space is not limited: CUDA and
torch reserve far more than they use.)

    with Isolated(load, harmless, Limits.of("mask", settings)) as model:
        results = model.run(items)       # or batching.halving(model.run, items, "crops")

`load` is called in the child. It returns `about` (what rows say of the model) and `run` (which
turns items into a list of as many results). Items, results and `about` must pickle. If `load`
pickles too, the process may be one that has served other jobs with the same model (`model_lease`).
When such a process dies, the items are tried again in a fresh one before they are blamed.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER
from ferrari.ledger.reasons import MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY
from ferrari.processes import array_messages, model_lease
from ferrari.processes.failures import ChildError, Failure
from ferrari.processes.limits import DIED_OF_MEMORY, FROM_OUTSIDE
from ferrari.processes.model_process import Child, Load, OverMemoryError

#: If so many images fail one after the other, without a success, the images are not to blame.
_TOO_MANY = 3


class ModelDiedError(FerrariError, RuntimeError):
    """The items given ended the model's process; `failure` has the reason and the detail."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure

    def __str__(self) -> str:
        return f"{self.failure.reason}: {self.failure.detail}"


class IsolationError(FerrariError, RuntimeError):
    """The model's process dies here on any input; the message says what to do."""


class _KilledError(FerrariError):
    """The child was killed from outside, or died after it had served another job."""


@dataclass(frozen=True)
class Limits:
    """Limits on a model's process; `section` is the part of the configuration to name in messages.

    `timeout_s` bounds one call, `load_timeout_s` the loading (which may compile a network for the
    first time), `memory_mb` the memory that the child holds for itself.
    """

    section: str
    timeout_s: float
    memory_mb: int
    load_timeout_s: float = 1800

    @classmethod
    def of(cls, section: str, settings: Mapping) -> Limits:
        """The limits in a section of the configuration."""
        return cls(section, settings["timeout_s"], settings["memory_mb"])

    def advice(self, reason: str) -> str:
        """What to do about a process that always ends for `reason`."""
        return {
            MODEL_CRASHED: (
                "the weights, or the runtime that reads them, are unusable on this machine: what "
                "it printed stands above; try device: cpu or other weights"
            ),
            MODEL_TIMEOUT: f"raise {self.section}.timeout_s, or take a smaller or faster network",
            OUT_OF_MEMORY: (
                f"raise {self.section}.memory_mb if the machine has more, else take a smaller "
                "network or a smaller image_size"
            ),
        }[reason]


class Isolated:
    """A model in a process of its own, which starts at once and loads while the caller goes on.

    `harmless` is an item that any sound model survives. When an image ends the process, `harmless`
    is tried: if it ends the process too, the image is not to blame.
    """

    def __init__(self, load: Load, harmless: object, limits: Limits) -> None:
        self._load, self._harmless, self._limits = load, harmless, limits
        self._about: Mapping[str, object] | None = None
        self._worked, self._in_a_row = False, 0
        self._child: Child | None = model_lease.begin(load)
        self._loaded = False

    @property
    def about(self) -> Mapping[str, object]:
        """What rows say of the model; waits for it. Raises what `load` raises."""
        while self._about is None:
            self._retry_once(self._ready)
        return self._about

    def run(self, items: Sequence[Any]) -> list:
        """One result for each item.

        Raises ModelDiedError if the items ended the process; if there was only one, it is to blame.
        Raises what the model raises (an exception of a library as ChildError, with its traceback),
        and IsolationError if the process dies here on any input.
        """
        try:
            results = self._retry_once(self._ask, items)
        except ModelDiedError as death:
            if len(items) == 1:
                self._blame(death)
            raise
        self._worked, self._in_a_row = True, 0
        return results

    def close(self) -> None:
        """Give the process up: a warm one goes back to its server, a child of this process ends."""
        if self._child is not None:
            self._child.release()
        self._child, self._loaded = None, False

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _blame(self, death: ModelDiedError) -> None:
        """Raise IsolationError unless the image, not the model, is to blame for its death."""
        self._in_a_row += 1
        reason, detail = death.failure.reason, death.failure.detail
        if self._in_a_row >= _TOO_MANY and not self._worked:
            raise IsolationError(
                f"{self._limits.section}: the model's process ended on {_TOO_MANY} images one "
                f"after the other and never gave a result ({reason}: {detail}); "
                f"{self._limits.advice(reason)}"
            )
        try:
            self._retry_once(self._ask, [self._harmless])
        except ModelDiedError as again:
            reason, detail = again.failure.reason, again.failure.detail
            raise IsolationError(
                f"{self._limits.section}: the model's process ends even on a harmless picture "
                f"({reason}: {detail}); {self._limits.advice(reason)}"
            ) from again

    def _retry_once(self, work: Callable[..., Any], *arguments: object) -> Any:
        """`work`, and again if the process was killed from outside, which must change no result."""
        try:
            return work(*arguments)
        except _KilledError as killed:
            LOGGER.warning("the model's process was killed (%s): starting it again", killed)
        try:
            return work(*arguments)
        except _KilledError as killed:
            raise IsolationError(
                f"{self._limits.section}: somebody killed the model's process twice ({killed}). If "
                "that was the system, short of memory (dmesg tells), run fewer jobs at once, or "
                f"set {self._limits.section}.memory_mb below what is free: an image that takes "
                "more becomes a row then"
            ) from killed

    def _ready(self) -> Child:
        """A child that has loaded the model."""
        if self._child is None:
            self._child = model_lease.begin(self._load, fresh=True)
        if self._loaded:
            return self._child
        try:
            self._about = self._answer(self._child, self._limits.load_timeout_s)
        except ModelDiedError as death:
            reason, detail = death.failure.reason, death.failure.detail
            raise IsolationError(
                f"{self._limits.section}: the model's process ended while it loaded the model "
                f"({reason}: {detail}); {self._limits.advice(reason)}"
            ) from death
        self._loaded = True
        return self._child

    def _ask(self, items: Sequence[Any]) -> list:
        child = self._ready()
        child.connection.settimeout(self._limits.timeout_s)
        try:
            array_messages.send(child.connection, items)
        except OSError:  # it is gone, or does not read: `_answer` finds out which
            LOGGER.debug("the model's process did not take its items")
        return self._answer(child, self._limits.timeout_s)

    def _answer(self, child: Child, timeout_s: float) -> Any:
        """The child's answer; without one, the child is ended: ModelDiedError or _KilledError."""
        try:
            kind, value = child.answer(timeout_s, self._limits.memory_mb << 20)
        except (EOFError, ConnectionError, TimeoutError, OverMemoryError) as error:
            code, used = child.end(), child.used
            self._child, self._loaded = None, False
            verdict = self._classify_exit(error, code, timeout_s)
            raise _KilledError(f"after other jobs: {verdict}") if used else verdict from None
        if kind == "result":
            return value
        raise value if kind == "raise" else ChildError(value)

    def _classify_exit(self, error: BaseException, code: int, timeout_s: float) -> Exception:
        """The exception for a child that ended with `code`, after `error` was raised here."""
        section = self._limits.section
        if isinstance(error, TimeoutError):
            name = f" ({section}.timeout_s)" if timeout_s == self._limits.timeout_s else ""
            return ModelDiedError(Failure(MODEL_TIMEOUT, f"no answer within {timeout_s:g} s{name}"))
        if isinstance(error, OverMemoryError):
            limit = f"{self._limits.memory_mb} MB of memory ({section}.memory_mb)"
            return ModelDiedError(Failure(OUT_OF_MEMORY, f"took more than {limit}"))
        if code == DIED_OF_MEMORY:
            return ModelDiedError(
                Failure(OUT_OF_MEMORY, "did not get the memory that it asked for")
            )
        if -code in FROM_OUTSIDE:
            return _KilledError(signal.Signals(-code).name)
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return ModelDiedError(Failure(MODEL_CRASHED, f"the model's process {how}"))
