"""Run a command and write what it and everything it started cost, as JSON.

    python -I -S timed.py OUT.json LIMIT_S COMMAND...

Wall time until the command ends; CPU time (user and system) of all its descendants; the largest
peak memory of any one of them. Processes that detach themselves (a warm worker) are adopted, so
that their time counts too; they are ended when the command has. It imports next to nothing: Linux
counts the starting process's memory to the peak of what it starts.
"""

import ctypes
import json
import os
import resource
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36


def descendants(parent: int) -> list[int]:
    """Process ids below `parent`, nearest first."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (fields := stat(int(name))):
            children.setdefault(int(fields[1]), []).append(int(name))
    found = list(children.get(parent, []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def stat(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; empty if it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()
    except OSError:
        return []


def left_running() -> tuple[int, float]:
    """Descendants that still run: how many, and the largest peak of one in MB."""
    peak_mb, count = 0.0, 0
    for pid in descendants(os.getpid()):
        fields = stat(pid)
        if not fields or fields[0] == "Z":
            continue
        count += 1
        try:
            with open(f"/proc/{pid}/status") as stream:
                peaks = [line.split()[1] for line in stream if line.startswith("VmHWM")]
        except OSError:
            peaks = []
        peak_mb = max([peak_mb, *(int(kb) / 1024 for kb in peaks)])
    return count, peak_mb


def end_all() -> None:
    """End every descendant that is left, and reap it: only then its CPU time is this process's.

    Parents end first. What they have not reaped yet comes to this process then; it would be lost
    with one that ends beside them.
    """
    while True:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        try:
            os.wait()
        except ChildProcessError:
            return


def run(command: list[str], limit_s: float) -> dict:
    """Run `command` to its end or to the limit; its costs."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)

    def stop(*_: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    status, ended = -1, 0
    try:
        while ended != child:  # adopted processes end here too
            ended, wait_status = os.wait()
            status = os.waitstatus_to_exitcode(wait_status)
    except TimeoutError:
        status = -int(signal.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 0)
    wall_s = time.monotonic() - start
    count, peak_mb = left_running()
    end_all()
    done = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "status": status,
        "wall_s": wall_s,
        "cpu_s": done.ru_utime + done.ru_stime,
        "peak_mb": max(done.ru_maxrss / 1024, peak_mb),
        "left_running": count,
    }


if __name__ == "__main__":
    costs = run(sys.argv[3:], float(sys.argv[2]))
    with open(sys.argv[1], "w") as out:
        json.dump(costs, out)
