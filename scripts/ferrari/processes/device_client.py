"""A network in the process of a device, which serves other jobs too (see `device_process`).

    with DeviceModel(load, Limits.of("mask", settings), cards) as network:
        for arrays in network.stream(images): ...

The process is one of the run's fork server; where there is none, the job's networks have the device
open in one child of their own, under the same locks.

If the process ends, the job sends again what is not answered, to a fresh one. Only a job whose
items were being run just then counts it: after two such deaths it sends its items one by one, each
alone in a batch, and whichever ends the process then raises ModelDiedError. Then it is tried
whether a harmless picture ends it too (see `isolated_model`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Protocol

import numpy as np

from ferrari.common.errors import FerrariError
from ferrari.common.progress import LOGGER
from ferrari.ledger.reasons import MODEL_CRASHED
from ferrari.processes import (
    device_process,
    device_slots,
    forks,
    model_lease,
    model_process,
    remarks,
)
from ferrari.processes.array_messages import Channel, pair
from ferrari.processes.device_page import Page
from ferrari.processes.device_process import DIED, LOAD, RESULT, RUN, Arrays
from ferrari.processes.device_slots import Cards
from ferrari.processes.endings import child_has_ended, has_ended
from ferrari.processes.failures import ChildError, Failure
from ferrari.processes.model_process import Load
from ferrari.processes.model_verdicts import (
    IsolationError,
    KilledModelError,
    Limits,
    ModelDiedError,
    Verdicts,
)

#: How often a job that waits looks whether the process still works.
_POLL_S = 0.1
_SAID_AFTER_S = 2.0
#: Work that takes longer than it may is ended by the job that asked for it, which then knows which
#: item it was; so much later by any other: that job may be gone, or stopped.
_GRACE_S = 10.0
#: How often whoever waits for this process is told that it waits itself.
_TELL_S = 0.5
#: Deaths that others caused, one after the other, until something else must be wrong.
_PATIENCE = 50
#: Kills from outside that one item bears: who kills this process may mean another job of many.
_KILLS = 4
#: A job has so many requests in flight, or two batches: one is run while the next waits.
_IN_FLIGHT = 4


class _Link(Protocol):
    """A connection to a process that has the device `device` open, or waits for it."""

    channel: Channel
    page: Page
    device: int

    def gone(self) -> bool: ...
    def end(self) -> int: ...
    def release(self) -> None: ...


class _Joined:
    """A connection to a process of the run's fork server."""

    def __init__(self, cards: Cards) -> None:
        self._server = model_lease.ask({"kind": "device", "slots": cards.slots}, [])
        answer, descriptors, _, _ = socket.recv_fds(self._server, 16, 3)
        if len(answer) != 16 or len(descriptors) != 3:
            raise model_lease.LostServerError("the fork server has no process for the device")
        self._pid = int.from_bytes(answer[:8], "little")
        self.device = int.from_bytes(answer[8:], "little")
        self.channel = Channel(socket.socket(fileno=descriptors[0]))
        self._pidfd, self.page = descriptors[1], Page(descriptors[2])

    def gone(self) -> bool:
        return has_ended(self._pidfd)

    def end(self) -> int:
        """Have the process end unless it has; its exit status, or minus the signal's number."""
        self.channel.close()
        try:
            return model_lease.ended(self._pid)
        finally:
            self.release()

    def release(self) -> None:
        self.channel.close()
        self._server.close()
        self.page.close()
        os.close(self._pidfd)


class _OwnProcess:
    """A child of this process that has a card open for all networks of this process: one slot may
    be all there is, and a second child would wait for the first for ever. `users` are connected.
    """

    def __init__(self, cards: Cards) -> None:
        self.users = 0
        self._status: int | None = None
        self._asking = threading.Lock()  # for the status, which can be had once
        self.device, slots = cards.of_this_process()
        self.page = Page.new()
        self._control, theirs = socket.socketpair()

        def live() -> int:
            self._control.close()
            return device_process.live(theirs, self.page, self.device, slots)

        self._pid = forks.fork(live)
        theirs.close()

    def join(self) -> Channel:
        """A connection to it; a closed one if it has ended."""
        ours, theirs = pair()
        with contextlib.suppress(ConnectionError):
            socket.send_fds(self._control, [b"c"], [theirs.fileno()])
        theirs.close()
        self.users += 1
        return ours

    def gone(self) -> bool:
        with self._asking:
            return self._status is not None or child_has_ended(self._pid)

    def end(self) -> int:
        """Kill it unless it has ended; its exit status, or minus the signal's number."""
        with self._asking:
            if self._status is None:
                os.kill(self._pid, 9)  # no status changes of one that has ended, or is about to
                self._status = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
                self._control.close()
            return self._status

    def leave(self) -> None:
        """One user less; it ends with the last."""
        self.users -= 1
        if not self.users:
            self.end()
            self.page.close()


def _none_yet() -> None:
    """This process has no child with a card. In a fork, the lock may be held by a thread that did
    not come along: by the one that had a child of its parent forked.
    """
    global _own, _joining
    _own, _joining = {}, threading.Lock()


_own: dict[Cards, _OwnProcess]
_joining: threading.Lock
_none_yet()
os.register_at_fork(after_in_child=_none_yet)


class _Own:
    """A connection to the child of this process that has a card open for it alone."""

    def __init__(self, cards: Cards) -> None:
        with _joining:
            process = _own.get(cards)
            if process is None or process.gone():
                process = _own[cards] = _OwnProcess(cards)
            self._process, self.channel = process, process.join()
        self.device, self.page = process.device, process.page

    def gone(self) -> bool:
        return self._process.gone()

    def end(self) -> int:
        with _joining:
            status = self._process.end()
        self.release()
        return status

    def release(self) -> None:
        self.channel.close()
        with _joining:
            self._process.leave()


def _linked(cards: Cards) -> _Link:
    """A connection to a process for one of the cards: the run's, or our own without a server.

    Raises SlotFolderError where the process could not take a slot, of which it would die.
    """
    device_slots.folder()
    if "FERRARI_WARM" in os.environ:
        try:
            return _Joined(cards)
        except OSError as error:
            print(f"no process for the device ({error}): this job has its own", file=sys.stderr)
    return _Own(cards)


def _digest(item: np.ndarray) -> bytes:
    return hashlib.sha256(item.tobytes()).digest()


class _Died(FerrariError):
    """The process ended while it ran requests of ours; `verdict` says of what."""

    def __init__(self, verdict: Exception, tickets: frozenset[int]) -> None:
        super().__init__(verdict, tickets)
        self.verdict, self.tickets = verdict, tickets


@dataclass
class _Flow:
    """Items on their way through the process, by their place in the order that they came in:
    `held` are without an answer, `found` with one; `asked` are the places by ticket.
    """

    coming: Iterator[np.ndarray]
    held: dict[int, np.ndarray] = field(default_factory=dict)
    found: dict[int, Arrays] = field(default_factory=dict)
    asked: dict[int, int] = field(default_factory=dict)
    taken: int = 0
    given: int = 0
    over: bool = False

    def take(self, most: int) -> bool:
        """Hold the next item, if fewer than `most` are on their way and there is one."""
        if self.over or len(self.held) + len(self.found) >= most:
            return False
        item = next(self.coming, None)
        if item is None:
            self.over = True
            return False
        self.held[self.taken] = item
        self.taken += 1
        return True

    def in_order(self) -> Iterator[Arrays]:
        """The results whose turn it is."""
        while self.given in self.found:
            yield self.found.pop(self.given)
            self.given += 1


class DeviceModel:
    """A network in a device's process, which starts to load at once. `load` must pickle.

    It is a `networks.network.Network`, and what the child process of a job (`isolated_model`) uses
    in place of one of its own.
    """

    def __init__(self, load: Load, limits: Limits, cards: Cards) -> None:
        self._load, self._limits, self._cards = pickle.dumps(load), limits, cards
        self._name = device_process.name_of(self._load)
        self._verdicts = Verdicts(limits)
        self._link: _Link | None = None
        self._about: Mapping[str, object] | None = None
        self._loading, self._others = 0, 0
        self._remark = ""
        self._guilty: dict[bytes, Failure] = {}
        self._connect()

    @property
    def about(self) -> Mapping[str, object]:
        """What rows say of the network; waits for it. Raises what `load` raises."""
        if self._about is None:
            self._until_loaded()
        return self._about or {}

    def run(self, items: Iterable[np.ndarray]) -> list[Arrays]:
        """The results of each item, as `stream` gives them."""
        return list(self.stream(items))

    def stream(self, items: Iterable[np.ndarray]) -> Iterator[Arrays]:
        """The results of each item, in their order; some are sent ahead while others are used.

        Raises ModelDiedError if one of them ended the process, and for the same item again; what
        the network raises (an exception of a library as ChildError, with its traceback); and
        IsolationError if the process ends here on any input.
        """
        flow, deaths = _Flow(map(self._innocent, items)), 0
        while not flow.over or flow.held:
            try:
                if deaths < 2:
                    self._go_on(flow)
                else:
                    self._go_on_one_by_one(flow)
            except _Died as death:
                deaths += self._counts(death, flow)
            yield from flow.in_order()

    def close(self) -> None:
        """Leave the process to the other jobs; one of this job's own ends."""
        if self._link is not None:
            self._link.release()
            self._link = None

    def __enter__(self) -> DeviceModel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- items ----------------------------------------------------------------------------------

    def _innocent(self, item: np.ndarray) -> np.ndarray:
        """The item, unless it is known to end the process: asked again, it is not tried again."""
        failure = self._guilty.get(_digest(item)) if self._guilty else None
        if failure is not None:
            raise ModelDiedError(failure)
        return item

    def _go_on(self, flow: _Flow) -> None:
        """Send as much as may be on its way, and wait for one answer."""
        most = max(_IN_FLIGHT, 2 * int(str(self.about.get("batch", 1))))
        self._send_missing(flow)
        while flow.take(most):
            self._send_missing(flow)
        if flow.held:
            self._hear(flow)

    def _go_on_one_by_one(self, flow: _Flow) -> None:
        """Have one item run with nothing beside it in its batch; ModelDiedError if it is to blame
        for the deaths of the process.
        """
        if not flow.held and not flow.take(1):
            return
        place = min(flow.held)
        item = flow.held[place]
        try:
            flow.found[place] = self._verdicts.retried(self._alone, item, kills=_KILLS)
        except ModelDiedError as death:
            self._guilty[_digest(item)] = death.failure
            raise
        del flow.held[place]

    def _alone(self, item: np.ndarray) -> Arrays:
        flow = _Flow(iter([item]))
        flow.take(1)
        while flow.held:
            try:
                self._send_missing(flow, alone=True)
                self._hear(flow)
            except _Died as death:
                if self._counts(death, flow):
                    raise death.verdict from None
        return flow.found[0]

    def _counts(self, death: _Died, flow: _Flow) -> bool:
        """Whether the process ended on items of the flow; they all have to be sent again."""
        ours = bool(death.tickets & flow.asked.keys())
        flow.asked.clear()
        if ours:
            LOGGER.warning("the device's process ended (%s): sent again", death.verdict)
        else:
            self._note_others(death)
        return ours

    def _send_missing(self, flow: _Flow, alone: bool = False) -> None:
        """Send what is held and not yet asked for."""
        self._until_loaded()
        on_the_way = set(flow.asked.values())
        for place, item in flow.held.items():
            if place not in on_the_way:
                ticket = self._ask(RUN, item, self._limits.timeout_s, alone)
                flow.asked[ticket] = place

    def _hear(self, flow: _Flow) -> None:
        """Wait for an answer, and note it if it is to one of the flow's requests."""
        kind, ticket, value, remark = self._receive(flow.asked.keys(), self._limits.timeout_s)
        if ticket not in flow.asked:  # of a call that an error ended
            return
        if kind == DIED:
            self._end(frozenset(flow.asked), ModelDiedError(Failure(MODEL_CRASHED, value)))
        if kind != RESULT:
            raise value if kind == "raise" else ChildError(value)
        if remark and remark != self._remark:  # a new process has none yet
            LOGGER.warning("%s", remark)
        self._remark = remark
        remarks.add(remark)
        place = flow.asked.pop(ticket)
        del flow.held[place]
        flow.found[place] = value
        self._others = 0

    # --- messages -------------------------------------------------------------------------------

    def _until_loaded(self) -> None:
        """Wait until the process has the network."""
        deaths = 0
        while self._loading or self._link is None:
            try:
                if self._link is None:
                    self._connect()
                asked = {self._loading}
                kind, ticket, value, _ = self._receive(asked, self._limits.load_timeout_s)
                if ticket not in asked:
                    continue
                if kind == DIED:
                    self._end(frozenset(asked), ModelDiedError(Failure(MODEL_CRASHED, value)))
                if kind != RESULT:
                    self.close()
                    raise value if kind == "raise" else ChildError(value)
                self._loading, self._about = 0, value
            except _Died as death:
                if self._loading not in death.tickets:
                    self._note_others(death)
                    continue
                deaths += 1
                if deaths == 2:
                    self._give_up_loading(death.verdict)
                LOGGER.warning("the device's process ended with %s: started again", death.verdict)

    def _give_up_loading(self, verdict: Exception) -> None:
        if isinstance(verdict, ModelDiedError):
            raise self._verdicts.ended_while_loading(verdict) from verdict
        raise IsolationError(
            f"{self._limits.section}: somebody killed the device's process twice while it loaded "
            f"the network ({verdict}); if that was the system, short of memory (dmesg tells), run "
            "fewer jobs at once"
        ) from verdict

    def _connect(self) -> None:
        self._link = _linked(self._cards)
        LOGGER.info("the network runs on cuda:%d", self._link.device)
        self._link.channel.connection.settimeout(self._limits.timeout_s)
        self._loading = self._ask(LOAD, self._load, self._limits.load_timeout_s)

    def _ask(self, what: str, item: object, limit_s: float, alone: bool = False) -> int:
        """Send a request; its ticket."""
        ticket = int.from_bytes(os.urandom(8), "little") | 1
        assert self._link is not None
        try:
            asked = (what, ticket, self._name, item, limit_s, alone, model_process.called_at())
            self._link.channel.send(asked)
        except ConnectionError:  # it is gone, as `_receive` finds out
            LOGGER.debug("the device's process did not take a request")
        except TimeoutError:  # it does not read: what is not sent would be waited for in vain
            self._link.channel.connection.shutdown(socket.SHUT_RDWR)
        return ticket

    def _receive(self, asked: Iterable[int], timeout_s: float) -> tuple[str, int, Any, str]:
        """The next answer. Raises _Died if the process ends first, or has to be ended because it
        works on one of the requests `asked` for longer than `timeout_s`.
        """
        assert self._link is not None
        link, start, said = self._link, time.monotonic(), False
        told = start
        while not select.select([link.channel], [], [], _POLL_S)[0]:
            if link.gone() and not select.select([link.channel], [], [], 0)[0]:
                self._end(link.page.running, None)
            if link.page.running_s > timeout_s and link.page.running & set(asked):
                error = self._verdicts.of_exit(TimeoutError(), 0, timeout_s)
                self._end(link.page.running, error)
            if link.page.running_s > link.page.limit_s + _GRACE_S:
                self._end(link.page.running, KilledModelError("its work took too long"))
            if time.monotonic() - told > _TELL_S:
                told = time.monotonic()
                model_process.say_it_waits()
            if not said and link.page.waits and time.monotonic() - start > _SAID_AFTER_S:
                said = True
                LOGGER.info("waiting for cuda:%d, which other processes use", link.device)
        try:
            return link.channel.receive()
        except (EOFError, ConnectionError):
            self._let_go(link)

    def _let_go(self, link: _Link) -> NoReturn:
        """The connection is closed: the process has ended, or we had been stopped for too long."""
        deadline = time.monotonic() + _SAID_AFTER_S
        while not link.gone():
            if time.monotonic() > deadline:
                self.close()
                raise _Died(KilledModelError("it did not wait for this job"), frozenset())
            time.sleep(0.01)
        self._end(link.page.running, None)

    def _end(self, tickets: frozenset[int], verdict: Exception | None) -> NoReturn:
        """Make sure that the process is gone; raises _Died."""
        assert self._link is not None
        link, self._link = self._link, None
        try:
            code = link.end()
        except OSError as error:  # the server is gone, and the kernel has killed the process
            raise _Died(KilledModelError(f"its server is gone: {error}"), frozenset()) from None
        if verdict is None:
            verdict = self._verdicts.of_exit(EOFError(), code, self._limits.timeout_s)
        raise _Died(verdict, tickets)

    def _note_others(self, death: _Died) -> None:
        """The process ended on what others sent, or was idle: nothing of ours is to blame."""
        self._others += 1
        if self._others > _PATIENCE:
            raise IsolationError(
                f"{self._limits.section}: the device's process ended {_PATIENCE} times, one after "
                f"the other, before it had answered this job (the last time: {death.verdict}); "
                "what it printed stands in the fork server's log in .snakemake/ferrari"
            ) from death.verdict
        LOGGER.info("the device's process ended with others' work (%s): sent again", death.verdict)
