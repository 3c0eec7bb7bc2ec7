"""Who is to blame when a model's process ends: an image, the model, or somebody outside.

What `isolated_model` (a process of one job) and `device_client` (one that many jobs share) have in
common: limits, the errors, and how an exit status is read.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER
from ferrari.ledger.reasons import MODEL_CRASHED, MODEL_TIMEOUT, OUT_OF_MEMORY
from ferrari.processes.failures import Failure
from ferrari.processes.limits import DIED_OF_DEVICE, DIED_OF_MEMORY, FROM_OUTSIDE
from ferrari.processes.model_process import OverMemoryError

T = TypeVar("T")

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


class KilledModelError(FerrariError):
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


class Verdicts:
    """What is concluded from the deaths of a model's process, one after the other."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._worked, self._in_a_row = False, 0

    def worked(self) -> None:
        """The model gave a result."""
        self._worked, self._in_a_row = True, 0

    def blame(self, death: ModelDiedError, try_harmless: Callable[[], object]) -> None:
        """Raise IsolationError unless the image, not the model, is to blame for its death.

        `try_harmless` has the model look at a harmless picture; ModelDiedError if that ends it too.
        """
        self._in_a_row += 1
        reason, detail = death.failure.reason, death.failure.detail
        if self._in_a_row >= _TOO_MANY and not self._worked:
            raise IsolationError(
                f"{self._limits.section}: the model's process ended on {_TOO_MANY} images one "
                f"after the other and never gave a result ({reason}: {detail}); "
                f"{self._limits.advice(reason)}"
            )
        try:
            try_harmless()
        except ModelDiedError as again:
            reason, detail = again.failure.reason, again.failure.detail
            raise IsolationError(
                f"{self._limits.section}: the model's process ends even on a harmless picture "
                f"({reason}: {detail}); {self._limits.advice(reason)}"
            ) from again

    def retried(self, work: Callable[..., T], *arguments: object, kills: int = 1) -> T:
        """`work`, and again after each of so many kills from outside, which must change no result.

        Raises IsolationError, with what to do, after one more.
        """
        while True:
            try:
                return work(*arguments)
            except KilledModelError as killed:
                if kills == 0:
                    raise IsolationError(
                        f"{self._limits.section}: somebody keeps killing the model's process "
                        f"({killed}). If that was the system, short of memory (dmesg tells), run "
                        f"fewer jobs at once, or set {self._limits.section}.memory_mb below what "
                        "is free: an image that takes more becomes a row then"
                    ) from killed
                kills -= 1
                LOGGER.warning("the model's process was killed (%s): starting it again", killed)

    def ended_while_loading(self, death: ModelDiedError) -> IsolationError:
        """The error for a process that ended before it had loaded its model."""
        reason, detail = death.failure.reason, death.failure.detail
        return IsolationError(
            f"{self._limits.section}: the model's process ended while it loaded the model "
            f"({reason}: {detail}); {self._limits.advice(reason)}"
        )

    def of_exit(self, error: BaseException, code: int, timeout_s: float) -> Exception:
        """The exception for a process that ended with `code`, after `error` was raised here.

        ModelDiedError, or KilledModelError for a signal that only others send.
        """
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
        if code == DIED_OF_DEVICE:
            return ModelDiedError(Failure(MODEL_CRASHED, "it left the GPU's context unusable"))
        if -code in FROM_OUTSIDE:
            return KilledModelError(signal.Signals(-code).name)
        how = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
        return ModelDiedError(Failure(MODEL_CRASHED, f"the model's process {how}"))
