"""The warm models of a run: forks of the fork server, leased to one job after the other.

The protocol of a lease is in `ferrari.processes.model_lease`; here it is decided who gets which
model, and when one is ended.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import selectors
import signal
import socket
import time
from dataclasses import dataclass, field

from ferrari.jobs.device_pool import Fork
from ferrari.processes import array_messages, model_lease
from ferrari.processes.limits import call_this

#: How long a model may go on working for a job that is gone before it is ended.
GRACE_S = 5


@dataclass
class _Model:
    """A fork that holds a model; `lease` is the connection of the job that it serves."""

    key: bytes
    control: socket.socket
    pid: int
    pidfd: int
    lease: socket.socket | None = None
    busy: bool = False
    served: int = 0
    since: float = field(default_factory=time.monotonic)  # the last change of lease or busy
    status: int | None = None  # when it has ended

    @property
    def free(self) -> bool:
        return self.lease is None and not self.busy and self.status is None


class ModelPool:
    """The models, by process id. Its `poller` is that of the server, with actions as data."""

    def __init__(self, fork: Fork, poller: selectors.BaseSelector) -> None:
        self._fork, self._poller = fork, poller
        self._models: dict[int, _Model] = {}
        self._waiting: list[tuple[socket.socket, dict]] = []  # for a model that is about to be free

    def lend(self, client: socket.socket, request: dict) -> None:
        """Give a job a model of the kind that it asks for: a free one, or a new fork."""
        key = hashlib.sha256(request["load"]).digest()
        same = [m for m in self._models.values() if m.key == key and m.status is None]
        free = [m for m in same if m.free]
        if request["fresh"] or not same:
            model = self._start(key, request)
        elif free:
            model = free[0]
        elif any(m.lease is None for m in same):
            descriptors = [os.dup(descriptor) for descriptor in request["descriptors"]]
            self._waiting.append((client, request | {"descriptors": descriptors}))
            return
        else:
            model = self._start(key, request)
        self._hand(model, client, request)

    def _hand(self, model: _Model, client: socket.socket, request: dict) -> None:
        ours, theirs = array_messages.pair()
        try:
            socket.send_fds(model.control, [b"s"], [theirs.fileno(), *request["descriptors"][:1]])
            answer = b"M" + model.pid.to_bytes(8, "little") + bytes([model.served > 0])
            socket.send_fds(client, [answer], [ours.fileno(), model.pidfd])
        except OSError:  # the model or the job has just ended; a job then sees its model's death
            client.close()
            return
        finally:
            ours.close()
            theirs.close()
        model.lease, model.busy, model.since = client, True, time.monotonic()
        model.served += 1
        self._poller.register(client, selectors.EVENT_READ, lambda: self._released(model))

    def _start(self, key: bytes, request: dict) -> _Model:
        control, theirs = socket.socketpair()
        load = request["load"]
        pid = self._fork(lambda: _be_model(theirs, load))
        theirs.close()
        model = _Model(key, control, pid, os.pidfd_open(pid))
        self._models[pid] = model
        self._poller.register(control, selectors.EVENT_READ, lambda: self._idle(model))
        self._poller.register(model.pidfd, selectors.EVENT_READ, lambda: self._ended(model))
        return model

    def _idle(self, model: _Model) -> None:
        """The model reports that it has finished with a job."""
        if not model.control.recv(1):
            self._forget(model.control)  # the model has ended; its pidfd reports that
            return
        model.busy, model.since = False, time.monotonic()
        self._offer()

    def _released(self, model: _Model) -> None:
        """The job has released the model, or is gone."""
        if model.lease is not None:
            self._forget(model.lease)
            model.lease.close()
        model.lease, model.since = None, time.monotonic()
        if model.status is not None:
            self._models.pop(model.pid, None)
        self._offer()

    def _offer(self) -> None:
        waiting, self._waiting = self._waiting, []
        for client, request in waiting:
            self.lend(client, request)
            for descriptor in request["descriptors"]:
                os.close(descriptor)

    def _ended(self, model: _Model) -> int:
        """Forget a model's process that has ended; its status, or minus the signal's number."""
        if model.status is None:
            model.status = os.waitstatus_to_exitcode(os.waitpid(model.pid, 0)[1])
        self._forget(model.pidfd, model.control)
        model.control.close()
        os.close(model.pidfd)
        if model.lease is None:
            self._models.pop(model.pid, None)
        self._offer()
        return model.status

    def end(self, pid: int) -> int | None:
        """Kill a model's process unless it has ended; its status, or minus the signal's number.

        None if it is no model's.
        """
        model = self._models.get(pid)
        if model is None:
            return None
        return self._kill(model) if model.status is None else model.status

    def end_idle(self, idle_s: float) -> None:
        """End the models that no job has asked for so long, and those that go on working for a job
        that is gone.
        """
        now = time.monotonic()
        for model in list(self._models.values()):
            rested = now - model.since
            overdue = model.lease is None and model.busy and rested > GRACE_S
            if overdue or (model.free and rested > idle_s):
                self._kill(model)

    def end_all(self) -> None:
        """End all of them, and give none to those who wait."""
        self._waiting.clear()
        for model in list(self._models.values()):
            if model.status is None:
                self._kill(model)

    def _kill(self, model: _Model) -> int:
        with contextlib.suppress(ProcessLookupError):
            os.kill(model.pid, signal.SIGKILL)
        return self._ended(model)

    def _forget(self, *what: socket.socket | int) -> None:
        for each in what:
            with contextlib.suppress(KeyError, ValueError):  # it was no longer registered
                self._poller.unregister(each)


def _be_model(control: socket.socket, load: bytes) -> int:
    """What a model's process does."""
    call_this("model")
    return model_lease.live(control, load)
