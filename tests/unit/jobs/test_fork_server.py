"""The fork server: jobs as they are without it, nothing left behind."""

import contextlib
import hashlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ferrari.jobs import fork_server
from ferrari.jobs.stage_command import ROOT, WARM, machine
from ferrari.ledger import tables
from ferrari.networks import weight_files
from tests.unit.jobs.waiting import is_gone, wait_for

CLIENT = (sys.executable, "-I", "-S", str(ROOT / "scripts/run_stage.py"))


def test_files_of_another_machines_servers_stay(tmp_path):
    """The nodes of a cluster share the folder, and number their processes alike."""
    gone = 2**22 + 1  # no process has this id
    mine = tmp_path / f"{gone}-{machine()}-warm-0.sock"
    others = tmp_path / f"{gone}-00000000-warm-0.sock"
    living = tmp_path / f"{os.getpid()}-{machine()}-warm-0.sock"
    for path in (mine, others, living):
        path.touch()
    fork_server._clear_dead(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted((others, living))


def server_of(run: subprocess.Popen) -> int:
    """The process id of the run's server; 0 if there is none."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            is_job = os.readlink(entry / "cwd") != str(Path.cwd())
            if b"ferrari.jobs.fork_server" in words and str(run.pid).encode() in words:
                parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                if not is_job and not _is_server(parent):
                    return int(entry.name)
    return 0


def _is_server(pid: str) -> bool:
    try:
        return b"ferrari.jobs.fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def socket_of(python: str = sys.executable) -> Path:
    """Where the server listens that has the packages of `python`."""
    return Path(f"{os.environ[WARM]}-{zlib.crc32(os.fsencode(python)):08x}.sock")


def probe(name: str, raw: Path, **settings) -> list[str]:
    """The words behind the client's that probe `raw`."""
    Path("config.json").write_text(json.dumps({"dataset": "dataset"}))
    params = {"raw": str(raw), "raw_state": "", "file": raw.name, "code": "c"}
    params["settings"] = {
        "max_megapixels": 50,
        "min_short_side": 1,
        "animations": "refuse",
    } | settings
    params["limits"] = {"timeout_s": 60, "memory_mb": 4096}
    words = ["00_probe_video", "--rule", "probe", "--threads", "1", "--config", "config.json"]
    words += ["--video", name, "--outputs", "table", f"dataset/videos/{name}.csv"]
    return [*words, "--params", ",".join(params), repr(list(params.values()))]


def client(words: list[str], **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*CLIENT, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_job_leaves_the_same_with_the_server_and_without(run):
    Path("raw.mp4").write_text("no video")
    assert client(probe("a", Path("raw.mp4"))).returncode == 0
    warm = {path: path.read_bytes() for path in Path("dataset").rglob("*") if path.is_file()}
    assert server_of(run) and "done in" in Path("logs/probe/a.log").read_text()
    assert Path("benchmarks/probe/a.tsv").read_text().startswith("s\th:m:s\tmax_rss\tcpu_time\n0.")
    assert client(probe("a", Path("raw.mp4")), **{WARM: ""}).returncode == 0
    assert warm == {p: p.read_bytes() for p in Path("dataset").rglob("*") if p.is_file()}
    assert [row["outcome"] for row in tables.read_table("dataset/videos/a.csv")] == ["quarantined"]


THREADS = """
import os
import numpy

def run(job):
    numpy.ones((400, 400)) @ numpy.ones((400, 400))
    with open(job.output.table, "w") as table:
        table.write(str(len(os.listdir("/proc/self/task"))))
"""


def test_a_job_by_itself_has_no_threads_of_a_blas_as_a_fork_has_none(tmp_path):
    """They spin while they wait, and might sum in another order."""
    (tmp_path / "threads_of.py").write_text(THREADS)
    (tmp_path / "config.json").write_text(json.dumps({"dataset": str(tmp_path)}))
    words = ["threads_of", "--rule", "probe", "--threads", "1", "--config", "config.json"]
    words += ["--video", "a", "--outputs", "table", "table", "--params", "code", "['c']"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    environment.pop(WARM, None)
    done = subprocess.run([*CLIENT, *words], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0, (tmp_path / "logs/probe/a.log").read_text()
    assert (tmp_path / "table").read_text() == "1"


def test_the_server_has_its_name_only_once_it_listens(run, monkeypatch):
    """A job that found the name before would be refused, and run by itself."""
    place, seen = Path(os.environ[WARM] + ".sock"), []

    class Listener(socket.socket):
        def listen(self, *backlog):
            seen.append(place.exists())
            super().listen(*backlog)

    monkeypatch.setattr(socket, "socket", Listener)
    fork_server.Server(os.environ[WARM], run.pid)
    assert seen == [False] and place.exists()


def test_an_environment_has_a_server_of_its_own(run, tmp_path):
    """A job must not run on another rule's packages."""
    own = tmp_path / "environment"
    prefix = Path(sys.prefix)
    (own / "bin").mkdir(parents=True)
    (own / "bin/python").symlink_to(Path(sys.executable).resolve())
    (own / "lib").symlink_to(prefix / "lib")
    if (prefix / "pyvenv.cfg").exists():
        (own / "pyvenv.cfg").symlink_to(prefix / "pyvenv.cfg")
    Path("raw.mp4").write_text("no video")
    for python in (sys.executable, str(own / "bin/python")):
        words = [python, *CLIENT[1:], *probe("a", Path("raw.mp4"))]
        assert subprocess.run(words, check=False).returncode == 0
        assert socket_of(python).exists()


def test_the_server_has_one_thread_or_its_forks_would_not_be_safe(run):
    Path("raw.mp4").write_text("no video")
    assert client(probe("a", Path("raw.mp4"))).returncode == 0
    assert len(os.listdir(f"/proc/{server_of(run)}/task")) == 1


def test_the_server_has_computed_opencvs_tables_for_its_forks(run):
    """A job's first conversion to CIELAB takes what a second one takes."""
    first = """
import time, cv2, numpy
from ferrari.jobs import loaded_before_forks
loaded_before_forks._fill_opencv()
began = time.thread_time()
cv2.cvtColor(numpy.zeros((1, 1, 3), numpy.uint8), cv2.COLOR_RGB2LAB)
print(time.thread_time() - began)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    said = subprocess.check_output([sys.executable, "-c", first], env=environment)
    assert float(said) < 0.02  # 0.07 s where they have to be computed


def test_a_job_that_fails_says_so_through_the_server(run):
    done = client(probe("a", Path("raw.mp4"), timeout_s="no number"))
    assert done.returncode == 1
    assert "Traceback" in Path("logs/probe/a.log").read_text()
    assert not Path("benchmarks/probe/a.tsv").exists()


def hanging(run) -> tuple[subprocess.Popen, int]:
    """A client whose job hangs, and the job's process id."""
    os.makedirs("logs/probe")
    os.mkfifo("logs/probe/a.log")  # opening it for writing waits for a reader
    words = probe("a", Path("raw.mp4"))
    Path("raw.mp4").write_text("no video")
    waiting = subprocess.Popen([*CLIENT, *words], stderr=subprocess.PIPE)
    wait_for(lambda: socket_of().exists())
    server = server_of(run)
    children = Path(f"/proc/{server}/task/{server}/children")
    return waiting, int(wait_for(lambda: children.read_text().split())[0])


def test_a_job_goes_with_whoever_wanted_it(run):
    waiting, job = hanging(run)
    waiting.kill()
    waiting.wait()
    wait_for(lambda: is_gone(job))
    assert not is_gone(server_of(run))


def test_a_job_is_done_all_the_same_when_somebody_kills_the_server(run):
    waiting, job = hanging(run)
    killed = server_of(run)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: is_gone(job))
    said = Path(
        "logs/probe/a.log"
    ).read_text()  # the reader that the job of the client itself waits for
    assert waiting.wait(60) == 0 and "done in" in said
    assert b"runs in a process of its own" in waiting.stderr.read()
    assert tables.read_table("dataset/videos/a.csv")
    assert client(probe("b", Path("raw.mp4"))).returncode == 0
    assert server_of(run) not in (0, killed), "the next job starts another"


def test_the_server_and_its_jobs_end_with_the_run(run):
    waiting, job = hanging(run)
    server = server_of(run)
    run.kill()
    run.wait()
    wait_for(lambda: is_gone(server) and is_gone(job))
    assert waiting.wait(60) == 1
    assert b"the run is over" in waiting.stderr.read()
    assert not list(Path(".snakemake/ferrari").glob("*.sock"))


def test_a_job_whose_run_is_over_does_not_begin(run):
    run.kill()
    run.wait()
    done = client(probe("a", Path("raw.mp4")))
    assert done.returncode == 1 and "the run is over" in done.stderr


def test_without_a_place_for_the_server_a_job_runs_by_itself(run):
    Path("raw.mp4").write_text("no video")
    socket_of().mkdir()  # what cannot be bound
    done = client(probe("a", Path("raw.mp4")))
    assert done.returncode == 0 and "runs in a process of its own" in done.stderr
    assert tables.read_table("dataset/videos/a.csv")


def test_what_killed_servers_left_is_cleared_away(run):
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = Path(f".snakemake/ferrari/{gone.pid}-{machine()}-test.log")
    left.write_text("of a run that is over")
    config = Path(".snakemake/ferrari/config-0123456789abcdef.json")
    config.write_text("{}")
    Path("raw.mp4").write_text("no video")
    assert client(probe("a", Path("raw.mp4"))).returncode == 0
    assert not left.exists() and config.exists()


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A file of weights, and how often it was read."""
    path, reads = tmp_path / "weights.onnx", []
    path.write_bytes(b"weights")
    read = weight_files.sha256_path
    monkeypatch.setattr(weight_files, "sha256_path", lambda p: reads.append(p) or read(p))

    def digest() -> str:
        weight_files._digest.cache_clear()  # as in another job
        return weight_files.digest(path)

    return path, digest, reads


def test_weights_are_read_once_a_run_and_again_when_they_change(server, weights):
    """Each job of stage 3 read 88 MB of ISNet to make sure that it was ISNet."""
    path, digest, reads = weights
    assert digest() == digest() == hashlib.sha256(b"weights").hexdigest()
    assert len(reads) == 1
    path.write_bytes(b"others!")
    os.utime(path, (1, 1))
    assert digest() == hashlib.sha256(b"others!").hexdigest()


def test_without_a_server_each_job_reads_the_weights(run, weights):
    _, digest, reads = weights
    assert digest() == digest() == hashlib.sha256(b"weights").hexdigest()
    assert len(reads) == 2


def test_the_server_keeps_no_descriptor_of_a_job_that_has_ended(run):
    """Of 10,000 clips with six jobs each, one of each would be too many."""
    Path("raw.mp4").write_text("no video")
    assert client(probe("a", Path("raw.mp4"))).returncode == 0
    held = Path(f"/proc/{server_of(run)}/fd")
    before = len(os.listdir(held))
    for name in "bcd":
        assert client(probe(name, Path("raw.mp4"))).returncode == 0
    wait_for(lambda: len(os.listdir(held)) <= before)


def test_the_server_and_its_forks_may_open_as_many_files_as_the_system_allows(run):
    """The process of a card has a piece of memory open for each answer that a job still uses."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    Path("raw.mp4").write_text("no video")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
    try:
        assert client(probe("a", Path("raw.mp4"))).returncode == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(server_of(run), resource.RLIMIT_NOFILE) == (hard, hard)
