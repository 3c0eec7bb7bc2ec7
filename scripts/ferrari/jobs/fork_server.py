"""The fork server of a run: it imports what the stages need once, and each job is a fork of it.

    python -m ferrari.jobs.fork_server PLACE RUN_PID READY_FD   (started by scripts/run_stage.py)

A job still has its own process, memory and log; it saves a second of imports. The models that jobs
use (`model_pool`) are forks too, which serve one job after the other. So are the networks on a
device (`device_pool`), in one process that serves all jobs at once. The two pools decide which job
gets which of them.

The server has one thread and computes nothing: only so are its forks safe. When a client goes away,
its job is ended. The server ends when its run ends, when it has been idle for `IDLE_S`, or when it
is killed; all its forks end with it (see `limits.end_with`).
"""

from __future__ import annotations

import contextlib
import marshal
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ferrari.jobs import loaded_before_forks
from ferrari.jobs.device_pool import DevicePool
from ferrari.jobs.model_pool import ModelPool
from ferrari.jobs.stage_command import machine
from ferrari.processes import forks
from ferrari.processes.limits import call_this, open_as_many_as_may_be

IDLE_S = 600  # the server ends after so long without a job
MODEL_IDLE_S = 60  # a model that no job has asked for so long is ended, for its memory
_READ_S = 5


@dataclass
class _Work:
    """A job: its fork, and the client that waits for it."""

    client: socket.socket
    pid: int
    pidfd: int


class Server:
    """Listens at `<place>.sock` until the run ends."""

    def __init__(self, place: str, run: int) -> None:
        self._path = f"{place}.sock"
        self._poller = selectors.DefaultSelector()
        self._jobs: dict[int, _Work] = {}  # by process id
        self._models = ModelPool(self._fork, self._poller)
        self._devices = DevicePool(self._fork, self._poller)
        self._known: dict[str, str] = {}  # what jobs have worked out for those that follow
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _clear_dead(Path(place).parent)
        # It gets its name only once it listens: a job that connects earlier would run without the
        # server, and hold a card for which the server's own process then waits.
        new = f"{self._path}.new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # a killed server's: run_stage.py starts one at a time
        before = os.umask(0o177)  # no other user may connect
        self._listener.bind(new)
        os.umask(before)
        self._listener.listen(256)
        os.replace(new, self._path)
        self._over = False
        self._poller.register(self._listener, selectors.EVENT_READ, self._accept)
        self._run_fd = os.pidfd_open(run)
        self._poller.register(self._run_fd, selectors.EVENT_READ, self._stop)

    def serve(self) -> None:
        """Serve until there is a reason to end."""
        last = time.monotonic()
        while not self._over:
            events = [key for key, _ in self._poller.select(timeout=1.0)]
            # New connections last: a job that asks for a model may just have given one back.
            for key in sorted(events, key=lambda key: key.fileobj is self._listener):
                if self._poller.get_map().get(key.fileobj) == key:  # not closed meanwhile
                    key.data()
            if self._jobs:
                last = time.monotonic()
            self._over = self._over or time.monotonic() - last > IDLE_S
            self._models.end_idle(MODEL_IDLE_S)
            self._devices.end_idle(MODEL_IDLE_S)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._devices.end_all()
        for work in self._jobs.values():
            _kill_group(work.pid)
            with contextlib.suppress(ChildProcessError):  # adds their CPU time to this process's
                os.waitpid(work.pid, 0)
        self._models.end_all()

    def _stop(self) -> None:
        self._over = True

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        client.settimeout(_READ_S)
        descriptors: list[int] = []
        try:
            head, descriptors, _, _ = socket.recv_fds(client, 8, 4)
            head += _exactly(client, 8 - len(head))
            body = _exactly(client, int.from_bytes(head, "little"))
        except (OSError, EOFError):  # it went away meanwhile
            client.close()
            body = b""
        if body:
            request = marshal.loads(body)
            answer = {
                "job": self._start_job,
                "model": self._models.lend,
                "device": lambda client, asked: self._devices.join(client, asked["slots"]),
                "end": self._end,
                "keep": self._keep,
                "recall": self._recall,
            }
            answer[request["kind"]](client, request | {"descriptors": descriptors})
        for descriptor in descriptors:
            os.close(descriptor)

    # --- jobs -----------------------------------------------------------------------------------

    def _start_job(self, client: socket.socket, request: dict) -> None:
        pid = self._fork(lambda: _be_job(request))
        work = _Work(client, pid, os.pidfd_open(pid))
        self._jobs[pid] = work
        self._poller.register(work.pidfd, selectors.EVENT_READ, lambda: self._job_ended(work))
        self._poller.register(client, selectors.EVENT_READ, lambda: self._client_gone(work))
        _say(client, b"S" + pid.to_bytes(8, "little", signed=True))

    def _client_gone(self, work: _Work) -> None:
        """The client that wanted the job is gone (Ctrl-C, a kill): end the job."""
        self._poller.unregister(work.client)
        _kill_group(work.pid)

    def _job_ended(self, work: _Work) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(work.pid, 0)[1])
        self._poller.unregister(work.pidfd)
        with contextlib.suppress(KeyError):  # the client had gone before
            self._poller.unregister(work.client)
        os.close(work.pidfd)
        del self._jobs[work.pid]
        _say(work.client, b"E" + status.to_bytes(8, "little", signed=True))
        work.client.close()

    # --- models and devices -----------------------------------------------------------------------

    def _end(self, client: socket.socket, request: dict) -> None:
        """A job asks to end its model, or its device's process, and for its exit status."""
        status = self._models.end(request["pid"])
        if status is None:
            status = self._devices.end(request["pid"])
        if status is not None:
            _say(client, status.to_bytes(8, "little", signed=True))
        client.close()

    # --- what jobs have worked out (`run_memory`) ------------------------------------------------

    def _keep(self, client: socket.socket, request: dict) -> None:
        self._known[request["key"]] = request["value"]
        client.close()

    def _recall(self, client: socket.socket, request: dict) -> None:
        _say(client, self._known.get(request["key"], "").encode())
        client.close()

    # --- processes ------------------------------------------------------------------------------

    def _fork(self, life: Callable[[], int]) -> int:
        """Fork a process that calls `life`, with the server's own sockets closed; gives its id."""

        def own_life() -> int:
            os.setpgid(0, 0)
            for key in list(self._poller.get_map().values()):
                os.close(key.fd)
            self._poller.close()
            return life()

        pid = forks.fork(own_life)
        with contextlib.suppress(OSError):  # parent and child both try it
            os.setpgid(pid, pid)
        return pid


def _be_job(request: dict) -> int:
    """What a job's process does: the same as `run_stage.py --here`."""
    from ferrari.jobs import stage_job

    out, error = request["descriptors"]
    call_this(request["argv"][0])
    os.dup2(out, 1)
    os.dup2(error, 2)
    os.environ.clear()
    os.environ.update(request["environment"])
    return stage_job.main(request["argv"])


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _say(client: socket.socket, message: bytes) -> None:
    with contextlib.suppress(OSError):  # the client is gone, and its job goes with it
        client.sendall(message)


def _exactly(client: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        piece = client.recv(length - len(data))
        if not piece:
            raise EOFError("the client has gone")
        data += piece
    return data


def _clear_dead(folder: Path) -> None:
    """Remove the files in `folder` of this machine's killed servers whose runs are over."""
    for path in folder.glob(f"*-{machine()}-*"):
        run = path.name.partition("-")[0]
        if run.isdigit() and not Path("/proc", run).exists():
            path.unlink(missing_ok=True)


def main(place: str, run: str, ready: str) -> None:
    """Serve; the file descriptor `ready` gets a byte as soon as the server takes jobs."""
    from ferrari.processes import devices

    os.environ["FERRARI_WARM"] = place
    devices.remember_in(place)
    open_as_many_as_may_be()
    loaded_before_forks.load()
    server = Server(place, int(run))
    os.write(int(ready), b"L")
    os.close(int(ready))
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
