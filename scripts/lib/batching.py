"""Batches for a model: made smaller where they end it or do not fit, and said so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from scripts.lib.devices import DeviceMemoryError
from scripts.lib.isolation import ModelDiedError
from scripts.lib.logs import LOGGER
from scripts.lib.sandbox import Failure

T = TypeVar("T")
R = TypeVar("R")


def halving(
    run: Callable[[Sequence[T]], list[R]], items: Sequence[T], what: str
) -> tuple[list[R | Failure], str]:
    """`run(items)`, in halves (of halves) where the device's memory does not suffice.

    Where the items end the model's process (ModelDiedError), they go on one by one: each death
    costs a new load of the model, so the guilty one is found with two deaths rather than with one
    for each halving. It has a Failure in place of a result; the others lose nothing.

    Returns the results in order, and a remark for the row: empty, or that the batch did not fit
    into the GPU's memory. Raises DeviceMemoryError if a single item does not.
    """
    if not items:
        return [], ""
    try:
        return run(items), ""
    except ModelDiedError as death:
        if len(items) == 1:
            LOGGER.warning("one of the %s is quarantined: %s", what, death)
            return [death.failure], ""
        LOGGER.warning("with %d %s at once: %s; going on one by one", len(items), what, death)
        parts, remark = [[item] for item in items], ""
    except DeviceMemoryError as error:
        if len(items) == 1:
            raise DeviceMemoryError(
                f"one of the {what} alone needs more GPU memory than is free ({error}); free the "
                "GPU, set device: cpu, or lower the network's input size"
            ) from error
        middle = len(items) // 2
        parts = [items[:middle], items[middle:]]
        remark = f"GPU memory ran out with {len(items)} {what} at once: batch halved"
        LOGGER.warning("%s", remark)
    results = [result for part in parts for result in halving(run, part, what)[0]]
    return results, remark
