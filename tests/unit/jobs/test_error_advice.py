"""Errors of the machine say what, where and what to do next, as the last lines of a job's log."""

import errno
import resource
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from ferrari.common import atomic_files
from ferrari.common.places import SCRIPTS
from ferrari.jobs import error_advice
from ferrari.ledger import tables
from ferrari.networks import weight_files
from ferrari.processes.devices import DeviceMemoryError
from ferrari.processes.failures import ChildError, KilledError
from ferrari.processes.limited_call import run_limited
from tests.settings import ENVIRONMENT


def said(error: BaseException) -> str:
    return " ".join((error_advice.of_error(error) or "").split())


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (OSError(errno.ENOSPC, "full", "/tmp/x/y.png"), "disk that holds '/tmp/x/y.png' is full ("),
        (OSError(errno.EDQUOT, "quota", "y.png"), "your quota on the disk that holds 'y.png'"),
        (OSError(errno.EROFS, "ro", "d"), "the disk that holds 'd' is read-only"),
        (PermissionError(errno.EACCES, "no", "d"), "may not use 'd': change its owner"),
        (FileNotFoundError(errno.ENOENT, "gone", b"\xff.mp4"), r"'\udcff.mp4' is not there"),
        (OSError(errno.EIO, "io", "d"), "the disk or share that holds 'd' fails"),
        (OSError(errno.ENOTCONN, "mount", "d"), "is it mounted"),
        (NotADirectoryError(errno.ENOTDIR, "no", "d"), "is to lie in, is a file: rename the file"),
        (FileExistsError(errno.EEXIST, "no", "d"), "'d', or one of the folders"),
        (OSError(errno.EMFILE, "many"), "ulimit -n"),
        (MemoryError(), "the machine's memory ran out; use a smaller --cores"),
        (OSError(errno.ENOMEM, "fork"), "the machine's memory ran out"),
        (KilledError("x"), "was killed from outside"),
        (DeviceMemoryError("x"), "free the GPU"),
    ],
    ids=str,
)
def test_faults_of_the_machine_have_advice_of_their_own(error, wanted):
    text = said(error)
    assert wanted in text
    assert text.startswith("WHAT TO DO: ") and "run the same command again" in text
    assert all(len(line) <= 100 for line in error_advice.of_error(error).splitlines())


def test_a_command_says_where_in_its_first_line_and_then_what_to_do():
    told = error_advice.in_words(OSError(errno.EROFS, "Read-only file system", "/sets/anna"))
    first, _, rest = told.partition("\n")
    assert first == "Read-only file system: /sets/anna" and rest.startswith("WHAT TO DO: ")


def test_a_folder_on_a_read_only_disk_is_named_and_not_the_file_that_was_tried(
    tmp_path, monkeypatch
):
    """There even a file that is not there cannot be removed."""

    def refused(path, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr("builtins.open", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    with pytest.raises(OSError, match="Read-only") as found:
        error_advice.require_writable(tmp_path)
    assert found.value.filename == str(tmp_path)


def test_errors_that_say_it_themselves_are_pointed_at_and_the_rest_are_defects():
    assert "see the message above" in said(weight_files.ModelError("fetch it"))
    assert "see the message above" in said(tables.LedgerError("damaged; delete it"))
    for defect in (KeyError("x"), ChildError("ZeroDivisionError"), OSError("no number")):
        assert "a defect of the pipeline" in said(defect)
    assert error_advice.of_error(KeyboardInterrupt()) is None


@pytest.mark.parametrize(
    ("script", "name"),
    [("fetch_weights", "FetchError"), ("require_verified", "VerificationError")],
)
def test_a_script_s_own_error_is_no_defect_though_its_module_is_main(script, name):
    """Snakemake runs a `script:` as a program of its own."""
    error = runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="a program")[name]("mend it")
    assert type(error).__module__ == "a program"
    assert "see the message above" in said(error)


def test_what_an_error_came_from_counts():
    try:
        try:
            raise OSError(errno.ENOSPC, "full", "/tmp/x")
        except OSError as cause:
            raise tables.LedgerError("not written") from cause
    except tables.LedgerError as error:
        assert "is full" in said(error)


def test_a_write_that_fails_names_its_file(tmp_path):
    """The kernel's answer to write(2) names none."""

    def fail():
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError) as full, atomic_files.whole_folder(tmp_path / "clip"):
        fail()
    assert full.value.filename == str(tmp_path / "clip")
    with pytest.raises(OSError) as passed, atomic_files.naming(tmp_path):
        run_limited(fail, timeout_s=10, memory_mb=4096)
    assert (passed.value.errno, passed.value.filename) == (errno.ENOSPC, str(tmp_path))


def test_advice_names_the_file_though_its_first_error_does_not(tmp_path):
    """A file that could not be written fails again when it is closed, and only that error is named.
    The advice told of another disk, with 30 GB free."""

    def write_too_much():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 12, 1 << 12))
        try:
            atomic_files.write_bytes(tmp_path / "who.npz", bytes(6000))
        except OSError as error:
            return error.__context__ is not None, error_advice.of_error(error)
        return None

    twice, told = run_limited(write_too_much, timeout_s=20, memory_mb=4096)
    assert twice and "who.npz' is larger" in " ".join(told.split())


def run_job(log: str, code: str, cwd: Path) -> subprocess.CompletedProcess:
    """A process that sends its output to `log` and then does `code`."""
    program = f"from ferrari.jobs.job_log import send_output_to\nsend_output_to({log!r})\n{code}"
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )


FULL = "raise OSError(28, 'No space left on device', 'dataset/x.png')"


def test_advice_is_the_end_of_the_log(tmp_path):
    done = run_job("logs/job.log", FULL, tmp_path)
    log = (tmp_path / "logs/job.log").read_text()
    assert done.returncode == 1 and done.stderr == ""
    assert log.index("Traceback") < log.index("WHAT TO DO: the disk that holds 'dataset/x.png'")
    assert " ".join(log.split()).endswith("never trusted.")  # lines break by the free space told


def test_advice_goes_to_the_terminal_where_the_log_cannot_take_it(tmp_path):
    done = run_job("/dev/full", FULL, tmp_path)
    assert done.stderr.strip().startswith("WHAT TO DO: the disk that holds 'dataset/x.png' is full")
    (tmp_path / "logs").write_text("a file where a folder has to be")
    done = run_job("logs/job.log", "pass", tmp_path)
    assert "FileExistsError" in done.stderr and "WHAT TO DO" in done.stderr


def test_a_run_whose_job_was_killed():
    log = "Command 'set -euo pipefail;  python x' died with <Signals.SIGKILL: 9>."
    assert "running out of memory" in " ".join(error_advice.of_run(log).split())
    assert error_advice.of_run("returned non-zero exit status 1.") is None


@pytest.mark.parametrize(
    ("log", "status"),
    [
        ("Command 'set -euo pipefail;  python x' died with <Signals.SIGTERM: 15>.", 1),
        ("returned non-zero exit status 129.", 1),
        ("Will exit after finishing currently running jobs (scheduler).", 1),
        ("", -15),
        ("", -1),
    ],
    ids=[
        "a job asked to end",
        "a job whose terminal is gone",
        "asked to end",
        "at once",
        "hung up",
    ],
)
def test_a_run_that_was_asked_to_end(log, status):
    """It said of each job that it ended without a message, and nothing else."""
    assert "was ended from outside" in " ".join(error_advice.of_run(log, status).split())


def test_a_folder_that_can_be_written_shows_nothing(tmp_path):
    (tmp_path / "new/folder").mkdir(parents=True)
    (tmp_path / "new/folder/.writable.1.part").touch()  # killed in the middle of it
    error_advice.require_writable(tmp_path / "new/folder")
    assert list((tmp_path / "new/folder").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError) as refused:
        error_advice.require_writable(tmp_path / "file")
    assert refused.value.filename == str(tmp_path / "file")
