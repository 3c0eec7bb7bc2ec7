"""The process of a device: it holds the networks of all jobs, and runs what they ask for together.

Many jobs are connected at once (see `device_client`). What they send for the same network, of the
same shape, is gathered into batches, so one CUDA context keeps the card busy with what comes in
small portions. It is forked before anything has touched CUDA, takes one of the device's slots
(`device_slots`), and sees that device alone.

A network is what a load gives: a pickled function without arguments that returns `about` and `run`.
`run` takes a list of arrays of one shape and dtype, always `about["batch"]` of them, and returns as
many tuples of arrays. Batches that are not full are padded, since libraries choose another
algorithm, with other last bits, for another shape. Where an item's result depends on its place or
its neighbours all the same, items are run one by one (`_batch_of_the_same_bytes`).

An item that raises an error gets it, alone. After an error that leaves the context unusable, or out
of the machine's memory, the process exits, and its clients find another.
"""

from __future__ import annotations

import bisect
import contextlib
import hashlib
import os
import pickle
import select
import selectors
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ferrari.common.progress import LOGGER, log_to_stderr
from ferrari.processes import device_slots, model_process, remarks
from ferrari.processes.array_messages import Channel
from ferrari.processes.device_page import MOST, Page
from ferrari.processes.devices import DeviceMemoryError, halved
from ferrari.processes.limits import call_this

#: An item's results: arrays.
Arrays = tuple[np.ndarray, ...]
#: What a load gives; see above.
Run = Callable[[Sequence[np.ndarray]], Sequence[Arrays]]

#: What the device is called in its process, which sees no other.
DEVICE = "cuda:0"
#: What clients ask for, and what they are answered.
LOAD, RUN = "load", "run"
RESULT, DIED = "result", "died"
#: How long a request waits for others to share its batch, while the device has nothing to do.
_GATHER_S = 0.002
#: How long answers wait for a client that does not read.
_FULL_S = 10.0


def name_of(load: bytes) -> bytes:
    """What a network is called between the process and its clients."""
    return hashlib.sha256(load).digest()


@dataclass(frozen=True)
class Request:
    """What a client asks for: a load (`item` is the pickled function), or a run of one item.

    `limit_s` is how long it may take; `job_began` says since when the client works for its job
    (`model_process.called_at`), by a clock that all processes share.
    """

    client: Channel
    ticket: int
    network: bytes
    item: Any
    limit_s: float
    alone: bool = False
    job_began: float = 0.0
    since: float = field(default_factory=time.monotonic)

    @property
    def kind(self) -> tuple:
        """Requests of one kind can share a batch."""
        return self.network, self.item.shape, self.item.dtype.str

    @property
    def turn(self) -> tuple[float, float]:
        """The job that began first comes first. By turns of single requests, jobs that began
        together would end together, and the device would wait while all of them write.
        """
        return self.job_began, self.since


class Queue:
    """Requests of all clients; `take` gathers them into batches. One thread takes."""

    def __init__(self) -> None:
        self._loads: deque[Request] = deque()
        self._runs: dict[tuple, list[Request]] = {}  # by turn
        self._changed = threading.Condition()

    def put(self, request: Request, load: bool = False) -> None:
        """Add a request; a load comes before all runs."""
        with self._changed:
            if load:
                self._loads.append(request)
            else:
                requests = self._runs.setdefault(request.kind, [])
                bisect.insort(requests, request, key=lambda each: each.turn)
            self._changed.notify()

    def drop(self, client: Channel) -> None:
        """Forget what a client asked for that is gone."""
        with self._changed:
            self._loads = deque(r for r in self._loads if r.client is not client)
            left = {
                kind: [r for r in requests if r.client is not client]
                for kind, requests in self._runs.items()
            }
            self._runs = {kind: requests for kind, requests in left.items() if requests}

    def take(self, most: Callable[[tuple], int]) -> tuple[list[Request], bool]:
        """The next requests that can be run together, and whether it is a load; waits for them.

        `most` says how many of a kind a batch may have. The request whose turn it is decides which
        kind comes next. It waits for others to fill its batch, but not for longer than `_GATHER_S`
        after it came; meanwhile a full batch of another kind goes first, so that the device has
        something to do. One that asks to be alone is.
        """
        with self._changed:
            while True:
                if self._loads:
                    return [self._loads.popleft()], True
                if not self._runs:
                    self._changed.wait()
                    continue
                by_turn = sorted(self._runs.values(), key=lambda each: each[0].turn)
                left = by_turn[0][0].since + _GATHER_S - time.monotonic()
                ready = by_turn if left <= 0 else (r for r in by_turn if _is_full(r, most))
                requests = next(iter(ready), None)
                if requests is None:
                    self._changed.wait(left)
                    continue
                count = _together(requests, most(requests[0].kind))
                batch, requests[:count] = requests[:count], []
                if not requests:
                    del self._runs[batch[0].kind]
                return batch, False


def _is_full(requests: Sequence[Request], most: Callable[[tuple], int]) -> bool:
    """Whether nobody who came later could share the batch of the first of them."""
    first, size = requests[0], most(requests[0].kind)
    return first.alone or _together(requests, size) == size


def _together(requests: Sequence[Request], most: int) -> int:
    """How many of the first requests can be run at once; one at least."""
    if requests[0].alone:
        return 1
    count = 0
    for request in requests:
        if request.alone or count == most:
            break
        count += 1
    return count


class Network:
    """A loaded network, run in batches of one size for each kind of item."""

    def __init__(self, about: Mapping[str, object], run: Run) -> None:
        self.about = about
        self._remark = ""
        self._run = run
        self._batch = max(1, min(MOST, int(str(about.get("batch", 1)))))
        self._batches: dict[tuple, int] = {}  # of each kind that was seen

    def batch_of(self, kind: tuple) -> int:
        """How many items of a kind are run at once."""
        return self._batches.get(kind, self._batch)

    def run(self, kind: tuple, items: Sequence[np.ndarray]) -> list[Arrays]:
        """The results of items of one kind; in smaller batches from now on if the device's memory
        does not suffice, which is a remark on all that follow. Raises DeviceMemoryError if it does
        not suffice for one item.
        """
        while True:
            try:
                size = self._size_for(kind, items[0])
                parts = [items[start : start + size] for start in range(0, len(items), size)]
                results = [result for part in parts for result in self._padded(part, size)]
                remarks.add(self._remark)
                return results
            except DeviceMemoryError:
                size = self.batch_of(kind)
                if size == 1:
                    raise
                self._batch = size // 2
                self._batches.pop(kind, None)
                self._remark = halved(size)
                LOGGER.warning("%s", self._remark)

    def padding(self, kind: tuple, items: int) -> int:
        """How many places of the batches of so many items are empty."""
        return -items % self.batch_of(kind)

    def _size_for(self, kind: tuple, item: np.ndarray) -> int:
        if kind not in self._batches:
            size = _batch_of_the_same_bytes(self._padded, item, self._batch)
            if size != self._batch:
                LOGGER.warning(
                    "items of shape %s are run one by one: on this device their results depend on "
                    "what else is in a batch",
                    item.shape,
                )
            self._batches[kind] = size
        return self._batches[kind]

    def _padded(self, items: Sequence[np.ndarray], size: int) -> list[Arrays]:
        empty = [np.zeros_like(items[0])] * (size - len(items))
        results = [tuple(result) for result in self._run([*items, *empty])]
        if len(results) != size:
            raise RuntimeError(f"the network gave {len(results)} results for {size} items")
        return results[: len(items)]


def _batch_of_the_same_bytes(
    padded: Callable[[Sequence[np.ndarray], int], list[Arrays]], like: np.ndarray, size: int
) -> int:
    """`size` if an item's results do not depend on its place in a batch and on its neighbours.

    1 otherwise. An item of noise is run in the first place with nothing beside it, in the last one
    and in the middle among others, in the first one again, and in all places at once.
    """
    if size == 1:
        return 1
    noise = np.random.default_rng(size)
    item, *others = (_noise(noise, like) for _ in range(size))
    middle = size // 2
    tries = [
        (padded([item], size), 0),
        (padded([*others, item], size), -1),
        (padded([*others[:middle], item, *others[middle:]], size), middle),
        (padded([item, *others], size), 0),
    ]
    everywhere = padded([item] * size, size)
    tries += [(everywhere, place) for place in range(size)]
    seen = {tuple(array.tobytes() for array in results[place]) for results, place in tries}
    return size if len(seen) == 1 else 1


def _noise(noise: np.random.Generator, like: np.ndarray) -> np.ndarray:
    if np.issubdtype(like.dtype, np.integer):
        return noise.integers(0, 256, like.shape).astype(like.dtype)
    return noise.random(like.shape).astype(like.dtype)


def live(control: socket.socket, page: Page, device: int, slots: int) -> int:
    """What the process does until `control` is closed; clients come over it, as sockets.

    `device` is one of those that this process sees, of which `slots` processes may use it at once.
    """
    call_this(f"card {device}")
    model_process.prepare()
    log_to_stderr()
    with device_slots.hold(device_slots.CUDA, device, slots):
        os.environ["CUDA_VISIBLE_DEVICES"] = device_slots.shown_as(device)
        page.idle()
        _Serving(control, page).serve()
    return 0


class _Serving:
    """One thread hears the clients, one runs their requests, and one sends the answers."""

    def __init__(self, control: socket.socket, page: Page) -> None:
        self._control, self._page = control, page
        self._poller = selectors.DefaultSelector()
        self._queue = Queue()
        self._networks: dict[bytes, Network] = {}
        self._answers = ThreadPoolExecutor(1, "answers")
        self._over = False

    def serve(self) -> None:
        threading.Thread(target=self._work, name="device", daemon=True).start()
        self._poller.register(self._control, selectors.EVENT_READ, self._join)
        while not self._over:
            for key, _ in self._poller.select():
                key.data()

    def _join(self) -> None:
        sign, descriptors, _, _ = socket.recv_fds(self._control, 1, 1)
        if not sign:
            self._over = True
            return
        client = Channel(socket.socket(fileno=descriptors[0]))
        client.connection.setblocking(False)  # nobody may keep the others waiting
        self._poller.register(client, selectors.EVENT_READ, lambda: self._hear(client))

    def _hear(self, client: Channel) -> None:
        try:
            what, ticket, network, item, limit_s, alone, job_began = client.receive()
        except (EOFError, ConnectionError):
            self._poller.unregister(client)
            self._queue.drop(client)
            self._answers.submit(client.close)  # after what is on its way to it
            return
        request = Request(client, ticket, network, item, limit_s, alone, job_began)
        self._queue.put(request, load=what == LOAD)

    def _work(self) -> None:
        """Run requests for ever; whatever ends this thread ends the process."""
        try:
            while True:
                requests, load = self._queue.take(self._most)
                self._begin(requests)
                if load:
                    self._load(requests[0])
                else:
                    self._run(requests)
                del requests  # a client's memory is free again with its last array
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(1)

    def _begin(self, requests: Sequence[Request]) -> None:
        limit_s = max(request.limit_s for request in requests)
        self._page.begin([request.ticket for request in requests], limit_s)

    def _most(self, kind: tuple) -> int:
        network = self._networks.get(kind[0])
        return network.batch_of(kind) if network else 1

    def _load(self, request: Request) -> None:
        known = self._networks.get(request.network)
        if known is None:
            kind, value = model_process.outcome(
                pickle.loads(request.item), last_words=lambda text: self._farewell([request], text)
            )
            if kind != RESULT:
                self._page.end()
                self._answer(request, kind, value)
                return
            known = self._networks[request.network] = Network(*value)
        self._page.end()
        self._answer(request, RESULT, known.about)

    def _run(self, requests: Sequence[Request]) -> None:
        """Run a batch and answer it; if it raises an error, item by item, so only the one pays."""
        network, kind = self._networks[requests[0].network], requests[0].kind
        what, value = model_process.outcome(
            network.run,
            kind,
            [request.item for request in requests],
            last_words=lambda text: self._farewell(requests, text),
        )
        self._page.end(len(requests), network.padding(kind, len(requests)))
        remark = remarks.taken()
        if what == RESULT:
            for request, result in zip(requests, value, strict=True):
                self._answer(request, RESULT, result, remark)
        elif len(requests) == 1:
            self._answer(requests[0], what, value)
        else:
            for request in requests:
                self._begin([request])
                self._run([request])

    def _answer(self, request: Request, what: str, value: object, remark: str = "") -> Future:
        message = (what, request.ticket, value, remark)
        answer = self._answers.submit(_send, request.client, message)
        answer.add_done_callback(_require_sent)
        return answer

    def _farewell(self, requests: Sequence[Request], text: str) -> None:
        """Tell whose items were being run of what the process is about to end."""
        for told in [self._answer(request, DIED, text) for request in requests]:
            told.result()


def _send(client: Channel, message: tuple) -> None:
    """Send a client its answer. One that cannot be given it, since it is stopped and has its buffer
    full, or no memory for it is to be had, is let go of: it asks again, and must not wait in vain.
    """
    try:
        try:
            client.send(message)
        except BlockingIOError:
            room = select.poll()  # `select` takes no descriptors beyond 1023
            room.register(client, select.POLLOUT)
            room.poll(_FULL_S * 1000)
            client.send(message)
    except OSError as error:
        if not isinstance(error, ConnectionError):
            LOGGER.warning("a job is let go of, which could not be answered: %s", error)
        with contextlib.suppress(OSError):  # it is gone
            client.connection.shutdown(socket.SHUT_RDWR)


def _require_sent(answer: Future) -> None:
    """An answer that could not even be tried ends the process, or its job would wait for ever."""
    error = answer.exception()
    if error is not None:
        traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(1)
