"""Work beside a loop, in threads: files are read ahead of it and written behind it.

The loop itself stays in its order; only what does not depend on it is done elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ahead(
    pool: Executor, items: Iterable[T], read: Callable[[T], R], most: int
) -> Iterator[tuple[T, R]]:
    """Each item with `read(item)`, in their order; up to `most` later ones are read meanwhile.

    What `read` raises is raised when the item's turn has come.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(read, item)))
        if len(waiting) > most:
            yield _read(*waiting.popleft())
    while waiting:
        yield _read(*waiting.popleft())


def _read(item: T, future: Future[R]) -> tuple[T, R]:
    return item, future.result()


class Behind:
    """Work that a loop hands over; what becomes of it is told in the order of handing over."""

    def __init__(self, pool: Executor, most: int) -> None:
        """No more than `most` pieces of work are waited for at a time."""
        self._pool, self._most = pool, most
        self._waiting: deque[tuple[Future, Callable]] = deque()

    def add(self, work: Callable[[], R], then: Callable[[R], object]) -> None:
        """Have `work` done, and `then` called with its result, in the loop's own thread."""
        self._waiting.append((self._pool.submit(work), then))
        self.finish(self._most)

    def finish(self, most: int = 0) -> None:
        """Wait until no more than `most` pieces are left; raises what one of them raised."""
        while len(self._waiting) > most:
            future, then = self._waiting.popleft()
            then(future.result())
