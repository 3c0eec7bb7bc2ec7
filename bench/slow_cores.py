"""More cores than this machine has, and slower ones: each thread of a command may use only a share
of a core, so what few fast cores do comes out as many slow ones would do it.

    python -m bench.slow_cores TIMES REPORT.json COMMAND...

With TIMES 7.5, two cores are fifteen: a thread takes 7.5 times as long for its work, four threads
take 1.9 times as long for theirs, and fifteen or more share what the two do.

Each thread is in a group of its own of the kernel's CPU controller, which has a quota (cgroup v1:
there a group takes single threads). The kernel tells of each thread that begins (`thread_births`),
and until it has its own group it shares that of the thread it comes from: it may be too slow for a
moment, never too fast. Nothing is left behind, after an interrupt neither. If this process is
killed, the command goes on as slow as it was, and the next use clears the groups away.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import statistics
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.thread_births import Birth, Births, LostMessagesError

#: What a thread may use of a core before it waits for the next period. Short, so that work of some
#: milliseconds is slowed too; the kernel takes no less.
_QUOTA_US = 1000
_MOUNTS, _OWN = Path("/proc/mounts"), Path("/proc/self/cgroup")
_PREFIX = "ferrari-slow-"
_WEIGHT = 1024  # what the kernel gives a thread without a group
_MOST_WEIGHT = 262144
_PATIENCE_S = 10.0  # how long an interrupted command has to end by itself
_TRIES = 500  # to remove a group whose last threads are just ending, each after 10 ms
_PR_SET_PDEATHSIG = 1
_FIRST = -20  # the niceness of what the kernel prefers to all else
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


def why_not() -> str:
    """What this machine lacks for slow cores; "" if nothing."""
    try:
        with contextlib.closing(_births()), Groups.made(2.0) as groups:
            groups.free()
    except SlowCoresError as error:
        return str(error)
    return ""


class SlowCoresError(Exception):
    """What slow cores need is not on this machine, or not allowed."""


# --- the groups -----------------------------------------------------------------------------------


class Groups:
    """Groups with a quota each, below `folder`, and which thread is in which."""

    def __init__(self, folder: Path, times: float) -> None:
        self._folder, self._period_us = folder, round(_QUOTA_US * times)
        self._all: list[Path] = []
        self._free: deque[Path] = deque()  # the one that has been free for longest comes first
        self._of: dict[int, Path] = {}

    @classmethod
    @contextlib.contextmanager
    def made(cls, times: float) -> Iterator[Groups]:
        """Groups whose threads are `times` slower, for the block."""
        place = _place()
        folder = place / f"{_PREFIX}{os.getpid()}"
        with contextlib.ExitStack() as held:
            with _locked(place):  # or another would take the folder for one that was left behind
                _clear_away(place)
                try:
                    folder.mkdir()
                except OSError as error:
                    why = f"no group can be made in {place}: {error.strerror}"
                    raise SlowCoresError(why) from error
                held.enter_context(_locked(folder))
            held.callback(_remove, folder)
            weight = round(_WEIGHT * times * (os.cpu_count() or 1))
            (folder / "cpu.shares").write_text(str(min(weight, _MOST_WEIGHT)))
            yield cls(folder, times)

    def free(self) -> Path:
        """A group in which no thread is."""
        if self._free:
            return self._free.popleft()
        group = self._folder / str(len(self._all))
        try:
            group.mkdir()
            (group / "cpu.cfs_period_us").write_text(str(self._period_us))
            (group / "cpu.cfs_quota_us").write_text(str(_QUOTA_US))
        except OSError as error:
            raise SlowCoresError(f"{group} gets no quota: {error.strerror}") from error
        self._all.append(group)
        return group

    def own(self, thread: int, group: Path) -> bool:
        """Give a thread a group of its own; False if the thread has ended."""
        try:
            (group / "tasks").write_text(str(thread))
        except ProcessLookupError:
            self._free.append(group)
            return False
        self._of[thread] = group
        return True

    def give_back(self, thread: int) -> None:
        """The thread has ended, or is somebody else's."""
        if group := self._of.pop(thread, None):
            self._free.append(group)

    def __contains__(self, thread: int) -> bool:
        return thread in self._of

    def look(self) -> None:
        """Find out anew which thread is in which group, and part those that share one."""
        found = {group: _tasks(group) for group in self._all}
        self._of = {threads[0]: group for group, threads in found.items() if threads}
        self._free = deque(group for group, threads in found.items() if not threads)
        for threads in found.values():
            for thread in threads[1:]:
                self.own(thread, self.free())

    def processes(self) -> set[int]:
        """The processes that have threads in any of the groups."""
        return {process for group in self._all for process in _tasks(group, "cgroup.procs")}


def _place() -> Path:
    """The folder of this process's own group in the CPU controller."""
    mounts = (line.split() for line in _MOUNTS.read_text().splitlines())
    found = (
        Path(where)
        for _, where, kind, options, *_ in mounts
        if kind == "cgroup" and "cpu" in options.split(",")
    )
    first = next(found, None)
    if first is None:
        raise SlowCoresError("the CPU controller of cgroup v1 is not mounted on this machine")
    place = first / _own_group().lstrip("/")
    return place if place.is_dir() else first  # a container may see its own group as the first


def _own_group() -> str:
    lines = (line.split(":", 2) for line in _OWN.read_text().splitlines())
    return next((path for _, kinds, path in lines if "cpu" in kinds.split(",")), "/")


def _tasks(group: Path, file: str = "tasks") -> list[int]:
    return [int(line) for line in (group / file).read_text().split()]


def _clear_away(place: Path) -> None:
    """Remove groups of commands whose watcher was killed: its lock on them is free."""
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(FileNotFoundError, BlockingIOError), _locked(folder, wait=False):
            _remove(folder)


@contextlib.contextmanager
def _locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a folder; BlockingIOError if another does and it is not to be waited for."""
    lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove the groups in `folder`, and it; threads that are left go on at full speed."""
    for group in [*(path for path in folder.iterdir() if path.is_dir()), folder]:
        for _ in range(_TRIES):
            for thread in _tasks(group):
                with contextlib.suppress(ProcessLookupError):
                    (folder.parent / "tasks").write_text(str(thread))
            try:
                group.rmdir()
                break
            except OSError:  # a thread was just made, or is about to be gone
                time.sleep(0.01)
        else:
            raise SlowCoresError(f"{group} cannot be removed; `rmdir` it and {folder} by hand")


# --- the command ----------------------------------------------------------------------------------


@dataclass
class Report:
    """What became of a command's threads, and what watching them cost: how many got groups of their
    own, after how many milliseconds (the median, and the most), how often messages were lost, and
    the watcher's own CPU time.
    """

    status: int
    threads: int
    late_ms: float
    latest_ms: float
    lost: int
    watcher_cpu_s: float


class _Watch:
    """Gives each thread of a command its group as it begins."""

    def __init__(self, groups: Groups, births: Births) -> None:
        self._groups, self._births = groups, births
        self._threads: dict[int, int] = {}  # and the processes that they are of
        self._processes: dict[int, int] = {}  # and how many threads they have
        self.child = 0  # the command's first process; 0 before there is one
        self._delays_ms: list[float] = []
        self._lost = 0

    def begin(self, command: Sequence[str]) -> None:
        """Start the command, slowed from its first instruction on."""
        group = self._groups.free()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)  # until the child is known
        child = os.fork()
        if child == 0:
            try:
                (group / "tasks").write_text("0")  # this thread
                for each in _INTERRUPTS:
                    signal.signal(each, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                os.execvp(command[0], list(command))
            except OSError as error:
                print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
            os._exit(127)
        self._groups.own(child, group)
        self._note(child, child)
        self.child = child
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def until_ended(self) -> int:
        """Watch until the command's first process has ended; its status."""
        ended = os.pidfd_open(self.child)
        waiting = select.poll()
        for descriptor in (ended, self._births.socket.fileno()):
            waiting.register(descriptor, select.POLLIN)
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        with contextlib.suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, _FIRST)  # or a thread waits long for its group
        try:
            while ended not in [descriptor for descriptor, _ in waiting.poll()]:
                self._hear()
        finally:
            with contextlib.suppress(PermissionError):
                os.setpriority(os.PRIO_PROCESS, 0, nice)
            os.close(ended)
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])

    def report(self, status: int) -> Report:
        """What there is to say of it all."""
        delays = self._delays_ms or [0.0]
        late, latest = (round(each, 2) for each in (statistics.median(delays), max(delays)))
        cpu_s = round(time.process_time(), 2)
        return Report(status, len(self._delays_ms), late, latest, self._lost, cpu_s)

    def _hear(self) -> None:
        try:
            for told in self._births.new():
                if not isinstance(told, Birth):
                    self._forget(told.thread)
                elif told.process in self._processes or told.parent in self._processes:
                    self._take_in(told)
        except LostMessagesError:
            self._lost += 1
            self._look()

    def _take_in(self, birth: Birth) -> None:
        if birth.thread in self._threads:
            return  # the command's first
        self._note(birth.thread, birth.process)
        if self._groups.own(birth.thread, self._groups.free()):
            self._delays_ms.append((time.monotonic_ns() - birth.at_ns) / 1e6)

    def _note(self, thread: int, process: int) -> None:
        self._threads[thread] = process
        self._processes[process] = self._processes.get(process, 0) + 1

    def _forget(self, thread: int) -> None:
        process = self._threads.pop(thread, None)
        if process is None:
            return
        self._groups.give_back(thread)
        self._processes[process] -= 1
        if not self._processes[process]:
            del self._processes[process]

    def _look(self) -> None:
        """Find out anew which threads there are."""
        self._groups.look()
        self._threads, self._processes = {}, {}
        for process in self._groups.processes():
            with contextlib.suppress(FileNotFoundError):
                for name in os.listdir(f"/proc/{process}/task"):
                    if int(name) in self._groups:  # of others it is still to be told
                        self._note(int(name), process)


def run(command: Sequence[str], times: float) -> Report:
    """Run a command on cores that are `times` slower. Raises SlowCoresError where there are none.

    What the command leaves running goes on at full speed. After an interrupt (SIGINT, SIGTERM, the
    end of the process that started this one) it has some seconds to end, and is then killed with
    all that it started.
    """
    births = _births()
    with contextlib.closing(births), Groups.made(times) as groups, _interruptible():
        watch = _Watch(groups, births)
        try:
            watch.begin(command)
            status = watch.until_ended()
        except BaseException:
            _end(watch.child, groups)
            raise
    return watch.report(status)


def _births() -> Births:
    try:
        return Births()
    except OSError as error:
        raise SlowCoresError(f"the kernel does not tell which threads begin: {error}") from error


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM, and the end of whoever started this process, raise KeyboardInterrupt."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupted)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    try:
        yield
    finally:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)
        signal.signal(signal.SIGTERM, before)


def _end(child: int, groups: Groups) -> None:
    """End a command that was interrupted, and all that it started."""
    if not child:
        return
    deadline = time.monotonic() + _PATIENCE_S
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        os.kill(child, signal.SIGTERM)
        while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < deadline:
            time.sleep(0.05)
    for process in groups.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def main(given: Sequence[str]) -> int:
    """The command's own exit status, its report written; 125 where there are no slow cores."""
    times, file, *command = given
    try:
        report = run(command, float(times))
    except SlowCoresError as error:
        print(f"no slow cores: {error}", file=sys.stderr)
        return 125
    except KeyboardInterrupt:
        return 130
    Path(file).write_text(json.dumps(asdict(report)))
    return report.status if report.status >= 0 else 128 - report.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
