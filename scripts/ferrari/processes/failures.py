"""How work in a child process failed, as errors and as a value."""

from __future__ import annotations

from dataclasses import dataclass

from ferrari.common.errors import FerrariError


@dataclass(frozen=True)
class Failure:
    """Why a child gave no result: DECODER_CRASHED, DECODE_TIMEOUT or OUT_OF_MEMORY, and for a model
    (see `isolated_model`) MODEL_CRASHED or MODEL_TIMEOUT in place of the first two.
    """

    reason: str
    detail: str


class KilledError(FerrariError, RuntimeError):
    """Killed by a user, a scheduler or a kernel short of memory: not the fault of a clip."""


class ChildError(FerrariError, RuntimeError):
    """The child raised an exception: a defect of the pipeline; the message has its traceback."""
