"""Models that stay loaded from job to job: a job leases one from the run's fork server.

A job asks the server (see `fork_server`) for a process that has loaded the same model from the same
files. It gets a connection to it, with the protocol of `model_process`. When the job is done, the
process waits for the next one. Both ends of a lease are here.
"""

from __future__ import annotations

import marshal
import os
import pickle
import socket
import sys
from typing import Any

from ferrari.common.errors import FerrariError
from ferrari.common.progress import log_to_stderr
from ferrari.processes import model_process
from ferrari.processes.array_messages import Channel
from ferrari.processes.endings import has_ended


class LostServerError(FerrariError, ConnectionError):
    """The fork server did not answer."""


class Lease(model_process.Child):
    """A warm process that serves what `load` returns, until it is released.

    `used` is True if it has served other jobs: if it dies, they may be to blame.
    """

    def __init__(self, load: bytes, fresh: bool) -> None:
        self._server = ask({"kind": "model", "load": load, "fresh": fresh}, [2])
        answer, descriptors, _, _ = socket.recv_fds(self._server, 10, 2)
        if len(answer) != 10 or len(descriptors) != 2:
            raise LostServerError("the fork server lent no model")
        self.pid, self.used = int.from_bytes(answer[1:9], "little"), bool(answer[9])
        self.channel = Channel(socket.socket(fileno=descriptors[0]))
        self._pidfd = descriptors[1]

    def end(self) -> int:
        """Kill the process unless it has ended; its exit status, or minus the signal's number."""
        self.channel.close()
        status = ended(self.pid)
        self.release()
        return status

    def release(self) -> None:
        """Give the process back; it stays loaded."""
        self.channel.close()
        self._server.close()
        os.close(self._pidfd)

    def _ended(self) -> bool:
        return has_ended(self._pidfd)


def begin(load: model_process.Load, fresh: bool = False) -> model_process.Child:
    """A process that serves what `load` returns: a warm one where there is a server, else a fork.

    `fresh` asks for a process that has served no other job. Where `load` cannot be pickled (a
    test's function), the process is always a fork.
    """
    if "FERRARI_WARM" not in os.environ:
        return model_process.Child(load)
    try:
        return Lease(pickle.dumps(load), fresh)
    except (pickle.PicklingError, AttributeError, TypeError):
        return model_process.Child(load)
    except OSError as error:
        print(f"no warm model ({error}): this job loads its own", file=sys.stderr)
        return model_process.Child(load)


def ended(pid: int) -> int:
    """Have the server kill one of its forks unless it has ended; its exit status, or minus the
    signal's number. Raises LostServerError if there is no answer.
    """
    with ask({"kind": "end", "pid": pid}, []) as answer:
        status = answer.recv(8)
    if len(status) != 8:
        raise LostServerError("the fork server did not end a model")
    return int.from_bytes(status, "little", signed=True)


def ask(request: dict, descriptors: list[int]) -> socket.socket:
    """A connection to the run's fork server on which it answers `request`."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.connect(f"{os.environ['FERRARI_WARM']}.sock")
    body = marshal.dumps(request)
    socket.send_fds(server, [len(body).to_bytes(8, "little")], descriptors)
    server.sendall(body)
    return server


def live(control: socket.socket, load: bytes) -> int:
    """What a model's process does: it serves one job after the other, each with its own log."""
    model_process.prepare()
    log_to_stderr()
    own_log = os.dup(2)
    found: tuple[str, Any] | None = None
    while True:
        sign, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if not sign:
            return 0
        channel, log = Channel(socket.socket(fileno=descriptors[0])), descriptors[1]
        _print_to(log)
        os.close(log)
        model_process.call_by(channel)
        if found is None:
            found = model_process.outcome(pickle.loads(load))
        kind, value = found
        about, run = value if kind == "result" else (value, None)
        try:
            channel.send((kind, about, ""))
            if run is None:
                return 0
            model_process.serve(channel, run)
        except ConnectionError:  # the job is gone; the next may come
            pass
        channel.close()
        _print_to(own_log)
        control.send(b"i")


def _print_to(descriptor: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
