"""Batches for a network: halved when the GPU's memory does not suffice, and said so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from scripts.lib.devices import DeviceMemoryError
from scripts.lib.logs import LOGGER

T = TypeVar("T")
R = TypeVar("R")


def halving(
    run: Callable[[Sequence[T]], list[R]], items: Sequence[T], what: str
) -> tuple[list[R], str]:
    """`run(items)`, in halves (of halves) where the device's memory does not suffice.

    Returns the results in order, and a remark for the row: empty, or that the batch was too large.
    Raises DeviceMemoryError if a single item is too much.
    """
    if not items:
        return [], ""
    try:
        return run(items), ""
    except DeviceMemoryError as error:
        if len(items) == 1:
            raise DeviceMemoryError(
                f"one of the {what} alone needs more GPU memory than is free ({error}); free the "
                "GPU, set device: cpu, or lower the network's input size"
            ) from error
    middle = len(items) // 2
    LOGGER.warning(
        "GPU memory ran out with %d %s at once: going on by %d", len(items), what, middle
    )
    first, _ = halving(run, items[:middle], what)
    second, _ = halving(run, items[middle:], what)
    return first + second, f"GPU memory ran out with {len(items)} {what} at once: batch halved"
