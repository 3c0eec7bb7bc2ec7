"""The command of a stage's rule: passes the job to the run's fork server, which has everything
loaded.

    python -I -S scripts/run_stage.py STAGE [arguments of `ferrari.jobs.stage_job`...]

FERRARI_WARM (set by the Snakefile, see rules/common.smk) says where the servers' sockets are, one
for each Python, and which process is the run. The first job starts its server. If there can be
none, or somebody killed it, the job runs in its own process: the same bytes, a second later. So
this file imports next to nothing, and implements the protocol of `ferrari.jobs.fork_server` by
itself.
"""

import _signal
import _socket
import marshal
import os
import sys
import zlib

SCRIPTS = os.path.dirname(os.path.realpath(__file__))
HERE = "--here"
#: For the server and for a job by itself, so that both compute alike. The threads of a BLAS would
#: not survive a fork, and spin while they wait, in each of as many jobs as there are cores.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


def main() -> int:
    """The job's exit status."""
    if sys.argv[1] == HERE:
        sys.path[0] = SCRIPTS
        from ferrari.jobs import stage_job

        return stage_job.main(sys.argv[2:])
    # Ctrl-C ends what only waits for the server without a traceback; the server then ends the job.
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    if os.environ.get("FERRARI_WARM"):
        place = os.environ["FERRARI_WARM"] = _of_this_python(os.environ["FERRARI_WARM"])
        connection = _connected(place)
        status = _hand_over(connection) if connection is not None else None
        if status is not None:
            return status
        if not _alive(_run_of(place)):
            print("the run is over: this job of it ends here", file=sys.stderr)
            return 1
        why = "is gone" if connection is not None else f"does not start (see {place}.log)"
        print(f"the fork server {why}: this job runs in a process of its own", file=sys.stderr)
    sys.stderr.flush()
    arguments = [sys.executable, __file__, HERE, *sys.argv[1:]]
    os.execve(sys.executable, arguments, {**os.environ, **ENVIRONMENT})


def _of_this_python(place: str) -> str:
    """Where the server lies that has this Python's packages: rules may have an environment each."""
    return f"{place}-{zlib.crc32(os.fsencode(sys.executable)):08x}"


def _connected(place: str) -> _socket.socket | None:
    """A connection to the server at `place`, which is started if need be."""
    import fcntl

    connection = _try(place)
    if connection is not None:
        return connection
    try:
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        lock = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of the first jobs starts it, the others wait
        connection = _try(place)
        if connection is None and _start(place):
            connection = _try(place)
        os.close(lock)
    except OSError as error:  # no place for it, no such locks: said below
        print(error, file=sys.stderr)
    return connection


def _try(place: str) -> _socket.socket | None:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    try:
        connection.connect(f"{place}.sock")
    except OSError:  # none yet, or a dead one's
        connection.close()
        return None
    return connection


def _start(place: str) -> bool:
    """Start the server apart from this process's session; True once it listens."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        log = os.open(f"{place}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.set_inheritable(writer, True)
        environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": SCRIPTS}
        command = [sys.executable, "-m", "ferrari.jobs.fork_server", place, str(_run_of(place))]
        os.execve(sys.executable, [*command, str(writer)], environment)
    os.close(writer)
    listens = os.read(reader, 1) == b"L"
    os.close(reader)
    return listens


def _hand_over(connection: _socket.socket) -> int | None:
    """Have the server run the job; its exit status, or None if the server is gone."""
    job = {"kind": "job", "argv": sys.argv[1:], "environment": dict(os.environ)}
    body = marshal.dumps(job)
    ours = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, bytes(_as_ints(1, 2)))]
    pid = 0
    try:
        connection.sendmsg([len(body).to_bytes(8, "little")], ours)
        connection.sendall(body)
        while answer := _exactly(connection, 9):
            number = int.from_bytes(answer[1:], "little", signed=True)
            if answer[:1] == b"E":
                return number if number >= 0 else _end_as(-number)
            pid = number
    except OSError:
        pass
    if pid:
        _end(pid)
    return None


def _as_ints(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)


def _exactly(connection: _socket.socket, length: int) -> bytes:
    """The next bytes; none if the other end is gone."""
    data = b""
    while len(data) < length:
        piece = connection.recv(length - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _end_as(number: int) -> int:
    """End as the job did, by the same signal, so that the caller sees the same."""
    import signal

    signal.signal(number, signal.SIG_DFL) if number not in (9, 19) else None
    os.kill(os.getpid(), number)
    return 128 + number


def _end(pid: int) -> None:
    """Make sure that a dead server's job is gone before it is run again."""
    try:
        gone = os.pidfd_open(pid)
        os.kill(pid, 9)
    except ProcessLookupError:
        return
    import select

    select.select([gone], [], [], 10)


def _run_of(place: str) -> int:
    """The process id of the run, by which its server's files are named."""
    return int(os.path.basename(place).partition("-")[0])


def _alive(pid: int) -> bool:
    """True unless the process has ended; one that nobody has waited for yet has."""
    import select

    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    return not select.select([process], [], [], 0)[0]


if __name__ == "__main__":
    sys.exit(main())
