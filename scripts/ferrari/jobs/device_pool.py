"""The processes of the run's devices, which the fork server starts and connects jobs to.

Unlike a model's process, a device's process serves all jobs at once
(`ferrari.processes.device_process`): a job is connected to the process with the fewest jobs.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ferrari.processes import array_messages, device_process, device_slots
from ferrari.processes.array_messages import Channel
from ferrari.processes.device_page import Page
from ferrari.processes.endings import has_ended

_TRIES = 3  # processes that a job is introduced to, if each ends just then
#: How long the server waits for a process that it has killed. All jobs wait with it, those without
#: a card too, and a card that hangs keeps its process for minutes, or for ever.
_END_S = 5.0
#: How long a process without jobs keeps a device that others wait for: the next job may be close.
_YIELDS_S = 2.0
#: Forks a process that calls what it is given; its id.
Fork = Callable[[Callable[[], int]], int]


@dataclass(eq=False)
class _Process:
    """A fork that has a device open, and the jobs that it serves, by their connections to us."""

    place: tuple[int, int]  # the device, and which of its slots
    control: socket.socket
    pid: int
    pidfd: int
    page: Page
    jobs: set[socket.socket] = field(default_factory=set)
    since: float = field(default_factory=time.monotonic)  # the last change of jobs
    status: int | None = None  # when it has ended


class DevicePool:
    """The processes, by their place. Its `poller` is that of the server, with actions as data."""

    def __init__(self, fork: Fork, poller: selectors.BaseSelector) -> None:
        self._fork, self._poller = fork, poller
        self._running: dict[tuple[int, int], _Process] = {}
        self._ended: dict[int, _Process] = {}  # by process id, as long as jobs may ask of what

    def join(self, client: socket.socket, slots: Sequence[tuple[int, int]]) -> None:
        """Introduce a job to one of the processes of devices; `slots`: (device, how many) pairs."""
        for _ in range(_TRIES):
            process = self._for_next(slots)
            ours = self._connected(process)
            if ours is not None:
                with ours:
                    self._introduce(client, process, ours)
                return
        client.close()

    def _connected(self, process: _Process) -> Channel | None:
        """A connection to a process, for a job; None if it is about to end, which takes a process
        that has a card open a while. Nobody can join it any more, so its end is waited for.
        """
        ours, theirs = array_messages.pair()
        with theirs:
            try:
                socket.send_fds(process.control, [b"c"], [theirs.fileno()])
            except ConnectionError:
                ours.close()
                self._kill(process)
                return None
        return ours

    def _introduce(self, client: socket.socket, process: _Process, ours: Channel) -> None:
        answer = process.pid.to_bytes(8, "little") + process.place[0].to_bytes(8, "little")
        given = [ours.fileno(), process.pidfd, process.page.descriptor]
        try:
            socket.send_fds(client, [answer], given)
        except OSError:  # the job is gone
            client.close()
            return
        process.jobs.add(client)
        process.since = time.monotonic()
        leave = lambda: self._leave(process, client)  # noqa: E731
        self._poller.register(client, selectors.EVENT_READ, leave)

    def end(self, pid: int) -> int | None:
        """Kill a process unless it has ended; its status, or minus the signal's number.

        None if no job of it is left that could know it.
        """
        process = self._ended.get(pid)
        if process is None:
            process = next((p for p in self._running.values() if p.pid == pid), None)
            if process is not None:
                self._kill(process)
        return process.status if process else None

    def end_idle(self, idle_s: float) -> None:
        """End the processes that no job has used for so long; sooner where another run waits for
        the device.
        """
        for process in list(self._running.values()):
            rested = 0.0 if process.jobs else time.monotonic() - process.since
            if rested > idle_s or (rested > _YIELDS_S and _is_wanted(process.place[0])):
                self._kill(process)

    def end_all(self) -> None:
        """End all of them."""
        self.end_idle(-1.0)
        for process in list(self._running.values()):
            self._kill(process)

    def _for_next(self, slots: Sequence[tuple[int, int]]) -> _Process:
        """The process that has the fewest jobs, started if need be."""
        places = [(device, slot) for device, count in slots for slot in range(count)]
        for place in places:
            self._notice_end(place)
        place = min(places, key=lambda p: len(self._running[p].jobs) if p in self._running else 0)
        return self._running.get(place) or self._start(place, dict(slots)[place[0]])

    def _start(self, place: tuple[int, int], slots: int) -> _Process:
        page = Page.new()
        control, theirs = socket.socketpair()

        def live() -> int:
            control.close()
            return device_process.live(theirs, page, place[0], slots)

        pid = self._fork(live)
        theirs.close()
        process = _Process(place, control, pid, os.pidfd_open(pid), page)
        self._running[place] = process
        ended = lambda: self._ends(process)  # noqa: E731
        self._poller.register(process.pidfd, selectors.EVENT_READ, ended)
        return process

    def _leave(self, process: _Process, client: socket.socket) -> None:
        """A job has done with the process, or is gone."""
        self._poller.unregister(client)
        client.close()
        process.jobs.discard(client)
        process.since = time.monotonic()
        if not process.jobs:
            self._ended.pop(process.pid, None)

    def _notice_end(self, place: tuple[int, int]) -> None:
        process = self._running.get(place)
        if process is not None and has_ended(process.pidfd):
            self._ends(process)

    def _kill(self, process: _Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, 9)
        self._ends(process)

    def _ends(self, process: _Process) -> None:
        """A process has ended, or is about to: remember of what, for its jobs."""
        if process.status is not None:
            return
        process.status = _status(process)
        self._poller.unregister(process.pidfd)
        self._say(process)
        os.close(process.pidfd)
        process.control.close()
        process.page.close()
        del self._running[process.place]
        if process.jobs:
            self._ended[process.pid] = process

    def _say(self, process: _Process) -> None:
        done = process.page.done
        print(
            f"the process of cuda:{process.place[0]} ended with {process.status}: it ran "
            f"{done.items} items in {done.batches} batches, {done.padding} places of them empty, "
            f"and was busy for {done.busy_s:.1f} s",
            file=sys.stderr,
            flush=True,
        )

    def __iter__(self) -> Iterator[int]:
        """Process ids of those that run."""
        return (process.pid for process in self._running.values())


def _is_wanted(device: int) -> bool:
    with contextlib.suppress(OSError):  # no folder for locks any more: the server goes on
        return device_slots.wanted(device_slots.CUDA, device)
    return False


def _status(process: _Process) -> int:
    """The exit status of a process, or minus the signal's number. One that was killed and does not
    end is left behind; it keeps its slot of the device, for which the next one waits.
    """
    if has_ended(process.pidfd, _END_S):
        return os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
    print(
        f"process {process.pid} was killed and does not end: cuda:{process.place[0]} may hang "
        "(dmesg tells); its jobs wait, the others go on",
        file=sys.stderr,
        flush=True,
    )
    return -signal.SIGKILL
