"""Batches for a model: one is computed while others are read and written.

A batch that does not fit into memory, or that ends the model's process, is taken in smaller pieces.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ferrari.common.progress import CountedWarnings
from ferrari.processes.devices import DeviceMemoryError, halved
from ferrari.processes.failures import Failure
from ferrari.processes.model_verdicts import ModelDiedError

T = TypeVar("T")
R = TypeVar("R")
S = TypeVar("S")

#: Batches under way beside the caller's own: one being computed, one being read.
_AHEAD = 2
#: Pixels of a batch of frames: 64 MB of RGB. A job holds a few batches.
PIXELS = (64 << 20) // 3
#: Held by the thread that reads, and by the one that writes. A model's process that has died is
#: forked anew by the thread that calls it, which waits for the others to be out of native code: a
#: lock that such code held at the fork would stay locked in the child for ever.
_reading, _writing = threading.RLock(), threading.RLock()


def _wait_for_the_others() -> None:
    _writing.acquire()  # first: who writes may fork too, and must not wait for a fork that waits
    _reading.acquire()


def _go_on() -> None:
    _reading.release()
    _writing.release()


def _forget_the_others() -> None:
    global _reading, _writing
    _reading, _writing = threading.RLock(), threading.RLock()


os.register_at_fork(
    before=_wait_for_the_others, after_in_parent=_go_on, after_in_child=_forget_the_others
)


def by_size(
    images: Iterable[T], size_of: Callable[[T], int], most: int, pixels: int = PIXELS
) -> Iterator[list[T]]:
    """Consecutive images, of `size_of` pixels each: up to `most`, and up to `pixels` together.

    A model idles while one batch is exchanged for the next, so small images make large batches. An
    image larger than `pixels` is a batch of its own.
    """
    batch: list[T] = []
    held = 0
    for image in images:
        size = size_of(image)
        if batch and (len(batch) == most or held + size > pixels):
            yield batch
            batch, held = [], 0
        batch.append(image)
        held += size
    if batch:
        yield batch


def in_flight(
    batches: Iterable[T], read: Callable[[T], S], run: Callable[[S], R]
) -> Generator[R, None, None]:
    """`run(read(batch))` of each batch, in their order.

    While the caller works on one result, one thread runs the next batch and another reads the batch
    after that; `run` is always called from the same thread. If the caller may stop early, it must
    close the iterator (contextlib.closing), which waits for the two threads.
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
    run: Callable[[Sequence[T]], list[R]],
    items: Sequence[T],
    what: str,
    warnings: CountedWarnings | None = None,
) -> tuple[list[R | Failure], str]:
    """`run(items)`, in halves (of halves) where the device's memory does not suffice.

    Where the items end the model's process (ModelDiedError), they are run again one by one. Each
    death costs a new load of the model, and this way there are two, not one for each halving. The
    item that is to blame gets a Failure in place of a result; the others lose nothing. `warnings`
    are those of all calls of a job.

    Returns the results in order, and a remark for the row: empty, or that the batch did not fit
    into the GPU's memory. Raises DeviceMemoryError if a single item does not fit.
    """
    if not items:
        return [], ""
    warnings = warnings or CountedWarnings()
    try:
        return [*run(items)], ""
    except ModelDiedError as death:
        if len(items) == 1:
            kind = f"{what} that are quarantined for {death.failure.reason}"
            warnings.add(kind, f"one of the {what} is quarantined: {death}")
            return [death.failure], ""
        kind = f"batches of {what} that were gone through one by one"
        warnings.add(kind, f"with {len(items)} {what} at once: {death}; going on one by one")
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
        remark = halved(len(items))
        warnings.add(f"batches of {what} that were halved", remark)
    found = [halving(run, part, what, warnings) for part in parts]
    results = [result for results, _ in found for result in results]
    return results, next((smaller for _, smaller in found if smaller), remark)
