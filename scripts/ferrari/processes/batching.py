"""Batches for a model: on their way while others are read and written, and made smaller where they
end the model or do not fit, and said so.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ferrari.common.progress import LOGGER
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.failures import Failure
from ferrari.processes.isolated_model import ModelDiedError

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

#: Batches beyond the one that the caller has: one that is computed, one that is read.
_AHEAD = 2
#: Pixels of a batch of frames: 64 MB of RGB, of which a job holds a few.
_PIXELS = (64 << 20) // 3
#: Held by the thread that reads, and by the one that writes. A model's process that has died is
#: forked anew by the thread that calls it, which waits for the others to be out of native code: a
#: lock that such code held at the fork would stay locked in the child for ever.
_reading, _writing = threading.RLock(), threading.RLock()


def _wait_for_the_others() -> None:
    _reading.acquire()
    _writing.acquire()


def _go_on() -> None:
    _writing.release()
    _reading.release()


def _forget_the_others() -> None:
    global _reading, _writing
    _reading, _writing = threading.RLock(), threading.RLock()


os.register_at_fork(
    before=_wait_for_the_others, after_in_parent=_go_on, after_in_child=_forget_the_others
)


def by_size(
    lines: Iterable[Mapping[str, str]], most: int, pixels: int = _PIXELS
) -> Iterator[list[Mapping[str, str]]]:
    """Consecutive rows of images (`width`, `height`): up to `most`, and up to `pixels` together.

    A model idles while one batch is exchanged for the next, so small images come in large batches;
    an image larger than `pixels` comes by itself.
    """
    batch: list[Mapping[str, str]] = []
    held = 0
    for line in lines:
        size = int(line["width"]) * int(line["height"])
        if batch and (len(batch) == most or held + size > pixels):
            yield batch
            batch, held = [], 0
        batch.append(line)
        held += size
    if batch:
        yield batch


def in_flight(batches: Iterable[T], read: Callable[[T], S], run: Callable[[S], R]) -> Iterator[R]:
    """`run(read(batch))` of each batch, in their order.

    The caller has one while the next is run in a thread and the one after it is read in another, so
    whatever `run` calls is called from one thread alone. Close the iterator (contextlib.closing) if
    it may not be used up: what is under way is waited for.
    """

    def reads(batch: T) -> S:
        with _reading:
            return read(batch)

    reader, runner = ThreadPoolExecutor(1, "reading"), ThreadPoolExecutor(1, "model")
    ahead: deque[Future[R]] = deque()
    try:
        for batch in batches:
            ready = reader.submit(reads, batch)
            ahead.append(runner.submit(lambda ready: run(ready.result()), ready))
            if len(ahead) > _AHEAD:
                result = ahead.popleft().result()
                with _writing:
                    yield result
        while ahead:
            result = ahead.popleft().result()
            with _writing:
                yield result
    finally:
        runner.shutdown(cancel_futures=True)
        reader.shutdown(cancel_futures=True)


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
        return [*run(items)], ""
    except ModelDiedError as death:
        if len(items) == 1:
            LOGGER.warning("one of the %s is quarantined: %s", what, death)
            return [death.failure], ""
        LOGGER.warning("with %d %s at once: %s; going on one by one", len(items), what, death)
        parts: list[Sequence[T]] = [[item] for item in items]
        remark = ""
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
