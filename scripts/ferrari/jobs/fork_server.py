"""The fork server of a run: it imports what the stages need once, and each job is a fork of it.

    python -m ferrari.jobs.fork_server PLACE RUN_PID READY_FD       (started by
    scripts/run_stage.py)

A job still has a process, memory and a log of its own; it saves a second of imports. The models
that jobs ask for (`model_lease`) live in forks too, which serve one job after the other, and so do
the networks on a device (`device_pool`), in one process that serves all jobs at once.

The server has one thread and computes nothing: only so are its forks safe. When a client goes away,
its job is ended. The server ends when its run ends, when it has been idle for `IDLE_S`, or when it
is killed; all its forks end with it (see `limits.end_with`).
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import importlib
import marshal
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.jobs.device_pool import DevicePool
from ferrari.jobs.stage_command import RULES, machine
from ferrari.processes import array_messages, model_lease
from ferrari.processes.limits import call_this, end_with, open_as_many_as_may_be

#: Modules that jobs import inside functions; the server loads them before the first fork too.
LATE = (
    "numpy.ma",  # by numpy itself, for the first median or quantile
    "numpy.random",
    "scipy.optimize",
    "ferrari.jobs.error_advice",
    "ferrari.video.decoding.decord_decoder",
    "ferrari.video.decoding.pyav_decoder",
    "ferrari.jobs.stage_job",
    "ferrari.jobs.run_lock",
)
IDLE_S = 600  # the server ends after so long without a job
MODEL_IDLE_S = 60  # a model that no job has asked for so long is ended, for its memory
#: How long a model may go on working for a job that is gone before it is ended.
GRACE_S = 5
_READ_S = 5


@dataclass
class _Work:
    """A job: its fork, and the client that waits for it."""

    client: socket.socket
    pid: int
    pidfd: int


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


class Server:
    """Listens at `<place>.sock` until the run ends."""

    def __init__(self, place: str, run: int) -> None:
        self._path = f"{place}.sock"
        self._poller = selectors.DefaultSelector()
        self._jobs: dict[int, _Work] = {}  # by process id
        self._models: dict[int, _Model] = {}
        self._devices = DevicePool(self._fork, self._poller)
        self._waiting: list[tuple[socket.socket, dict]] = []  # for a model that is about to be free
        self._known: dict[str, str] = {}  # what jobs have worked out for those that follow
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        _clear_dead(Path(place).parent)
        # Under its name only once it listens: a job that connects before would run by itself, and
        # hold a card that the server's own process waits for.
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
            self._end_idle_models()
            self._devices.end_idle(MODEL_IDLE_S)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._devices.end_all()
        left: list[_Work | _Model] = [*self._jobs.values(), *self._models.values()]
        for process in left:
            _kill(process.pid, process in self._jobs.values())
            with contextlib.suppress(ChildProcessError):  # adds their CPU time to this process's
                os.waitpid(process.pid, 0)

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
                "model": self._lend,
                "device": self._join_device,
                "end": self._end_model,
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
        _kill(work.pid, group=True)

    def _job_ended(self, work: _Work) -> None:
        status = os.waitstatus_to_exitcode(os.waitpid(work.pid, 0)[1])
        self._forget(work.pidfd, work.client)
        os.close(work.pidfd)
        del self._jobs[work.pid]
        _say(work.client, b"E" + status.to_bytes(8, "little", signed=True))
        work.client.close()

    # --- models ---------------------------------------------------------------------------------

    def _lend(self, client: socket.socket, request: dict) -> None:
        """Give a job a model of the kind that it asks for: a free one, or a new fork."""
        key = hashlib.sha256(request["load"]).digest()
        same = [m for m in self._models.values() if m.key == key and m.status is None]
        free = [m for m in same if m.free]
        if request["fresh"] or not same:
            model = self._start_model(key, request)
        elif free:
            model = free[0]
        elif any(m.lease is None for m in same):
            descriptors = [os.dup(descriptor) for descriptor in request["descriptors"]]
            self._waiting.append((client, request | {"descriptors": descriptors}))
            return
        else:
            model = self._start_model(key, request)
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

    def _start_model(self, key: bytes, request: dict) -> _Model:
        control, theirs = socket.socketpair()
        load = request["load"]
        pid = self._fork(lambda: _be_model(theirs, load))
        theirs.close()
        model = _Model(key, control, pid, os.pidfd_open(pid))
        self._models[pid] = model
        self._poller.register(control, selectors.EVENT_READ, lambda: self._idle(model))
        self._poller.register(model.pidfd, selectors.EVENT_READ, lambda: self._model_ended(model))
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
            self._lend(client, request)
            for descriptor in request["descriptors"]:
                os.close(descriptor)

    def _model_ended(self, model: _Model) -> int:
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

    def _join_device(self, client: socket.socket, request: dict) -> None:
        self._devices.join(client, request["slots"])

    def _end_model(self, client: socket.socket, request: dict) -> None:
        """A job asks to end its model, or its device's process, and for its exit status."""
        model = self._models.get(request["pid"])
        if model is None:
            status = self._devices.end(request["pid"])
        elif model.status is None:
            _kill(model.pid)
            status = self._model_ended(model)
        else:
            status = model.status
        if status is not None:
            _say(client, status.to_bytes(8, "little", signed=True))
        client.close()

    def _end_idle_models(self) -> None:
        now = time.monotonic()
        for model in list(self._models.values()):
            rested = now - model.since
            overdue = model.lease is None and model.busy and rested > GRACE_S
            if overdue or (model.free and rested > MODEL_IDLE_S):
                _kill(model.pid)
                self._model_ended(model)

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
        sys.stdout.flush()
        sys.stderr.flush()
        parent, pid = os.getpid(), os.fork()
        if pid:
            with contextlib.suppress(OSError):  # parent and child both try it
                os.setpgid(pid, pid)
            return pid
        status = 1
        try:
            end_with(parent)
            os.setpgid(0, 0)
            for key in list(self._poller.get_map().values()):
                os.close(key.fd)
            self._poller.close()
            status = life()
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:  # noqa: BLE001 - handed on: into the log, and as the exit status
            sys.excepthook(*sys.exc_info())
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError):  # the log's disk is full: the status says enough
                    stream.flush()
            os._exit(status)

    def _forget(self, *what: socket.socket | int) -> None:
        for each in what:
            with contextlib.suppress(KeyError, ValueError):  # it was no longer registered
                self._poller.unregister(each)


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


def _be_model(control: socket.socket, load: bytes) -> int:
    """What a model's process does."""
    call_this("model")
    return model_lease.live(control, load)


def _kill(pid: int, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if group else os.kill)(pid, signal.SIGKILL)


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


def _load() -> None:
    """Import what jobs import, and fill the caches that each of them would fill.

    An environment that was made for some stages lacks what the others import: a stage that cannot
    be imported is none of its jobs.
    """
    import PIL.Image

    from ferrari.captions import clip_tokens
    from ferrari.jobs import stage_job
    from ferrari.networks import weight_files
    from ferrari.processes import devices
    from ferrari.provenance import table_stamps

    PIL.Image.init()
    for module in (*LATE, *RULES):
        with _unless_not_installed(module):
            importlib.import_module(module)
    for rule in table_stamps.LIBRARIES:
        table_stamps.versions(rule)
    weight_files.table()
    with _unless_not_installed("the captions' tokenizer"):
        clip_tokens.count_clip_tokens("")
    devices.nvdec_problem()
    # A job that has more threads raises it (`stage_job`); the models' processes keep to one. Not to
    # be called in a fork of a process whose OpenCV has started threads: it would wait for them.
    stage_job.limit_opencv(1)
    _fill_opencv()
    gc.collect()
    gc.freeze()  # else a garbage collection in a fork would copy all that is loaded


def _fill_opencv() -> None:
    """Have OpenCV, if it is loaded, compute its tables for CIELAB: 70 ms in each fork else."""
    if "cv2" in sys.modules:
        import cv2
        import numpy as np

        cv2.cvtColor(np.zeros((1, 1, 3), np.uint8), cv2.COLOR_RGB2LAB)


@contextlib.contextmanager
def _unless_not_installed(what: str) -> Iterator[None]:
    """Go on where a module of others is not there; one of ours is an error."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("", "ferrari", *RULES):
            raise
        print(f"{what} is not loaded: there is no {error.name} here", file=sys.stderr)


def main(place: str, run: str, ready: str) -> None:
    """Serve; the file descriptor `ready` gets a byte as soon as the server takes jobs."""
    from ferrari.processes import devices

    os.environ["FERRARI_WARM"] = place
    devices.remember_in(place)
    open_as_many_as_may_be()
    _load()
    server = Server(place, int(run))
    os.write(int(ready), b"L")
    os.close(int(ready))
    server.serve()


if __name__ == "__main__":
    main(*sys.argv[1:])
