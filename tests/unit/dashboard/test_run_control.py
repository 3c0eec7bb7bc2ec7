"""Starting runs: never two, never where it is not allowed, and a run outlives its server."""

import os
import signal
import subprocess
import sys
import time

import pytest

from ferrari.dashboard import run_control
from ferrari.dashboard.run_control import DRY, RUN, RunControl, RunRefusedError
from tests.settings import ENVIRONMENT
from tests.unit.dashboard import live_set

SLEEP = (sys.executable, "-c", "import time; print('it goes', flush=True); time.sleep(60)")
QUICK = (sys.executable, "-c", "import sys; print('no'); sys.exit(3)")


def control(tmp_path, words=SLEEP, **set_is):
    return RunControl(live_set.make(tmp_path, **set_is), lambda the_set, kind: words)


@pytest.fixture
def ended():
    """Ends what a test started."""
    started = []
    yield started.append
    for one in started:
        one.process.kill()
        one.process.wait()


def test_one_run_at_a_time(tmp_path, ended):
    runs = control(tmp_path)
    started = runs.start(RUN)
    ended(started)
    assert runs.going is started and started.status is None
    for kind in run_control.KINDS:
        with pytest.raises(RunRefusedError, match="started here is still going"):
            runs.start(kind)
    started.process.kill()
    started.process.wait()
    assert runs.going is None and runs.why_not() == ""
    ended(runs.start(DRY))


def test_what_it_says_and_how_it_ends_is_known(tmp_path, ended):
    runs = control(tmp_path, QUICK)
    started = runs.start(DRY)
    ended(started)
    started.process.wait()
    assert started.status == 3 and started.log.read_text() == "no\n"
    assert started.log.parent == tmp_path / run_control.LOGS
    assert started.log.parent.parent.stat().st_mode & 0o777 == 0o700, "sockets lie there"


def test_a_server_that_may_not_starts_nothing(tmp_path):
    runs = control(tmp_path, may_start_runs=False)
    with pytest.raises(RunRefusedError, match="starts no runs"):
        runs.start(DRY)
    assert not (tmp_path / run_control.LOGS).exists()


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("run_lock.require('dataset')", "A run is at work"),
        ("run_lock.hold_for_job()", "Jobs of a run that was killed"),
    ],
)
def test_a_run_from_a_terminal_is_not_doubled(tmp_path, call, said):
    runs = control(tmp_path)
    hold = f"import time; from ferrari.jobs import run_lock; {call}; print(1, flush=True); "
    other = subprocess.Popen(
        [sys.executable, "-c", hold + "time.sleep(60)"],
        **{"cwd": tmp_path, "env": ENVIRONMENT, "stdout": subprocess.PIPE},
    )
    try:
        assert other.stdout.read(1) == b"1"
        with pytest.raises(RunRefusedError, match=said):
            runs.start(RUN)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()


def test_ctrl_c_of_the_server_leaves_the_run(tmp_path, ended):
    """A terminal sends Ctrl-C to all processes of its group; the run has a session of its own."""
    runs = control(tmp_path)
    started = runs.start(RUN)
    ended(started)
    pid = started.process.pid
    assert os.getsid(pid) == pid != os.getsid(0) and os.getpgid(pid) == pid
    assert f"kill -INT {pid}" in runs.farewell() and str(pid) in runs.farewell()
    os.kill(pid, signal.SIGKILL)
    started.process.wait()
    assert runs.farewell() == ""


def test_a_run_is_stopped_as_ctrl_c_would(tmp_path, ended):
    words = (
        "import signal, time; print(1, flush=True)\ntry: time.sleep(60)\nexcept KeyboardInterrupt: "
    )
    runs = control(tmp_path, (sys.executable, "-c", words + "raise SystemExit(7)"))
    with pytest.raises(RunRefusedError, match="No run that was started here"):
        runs.stop()
    started = runs.start(RUN)
    ended(started)
    while not started.log.read_text():
        time.sleep(0.01)
    runs.stop()
    assert started.process.wait(20) == 7
    with pytest.raises(RunRefusedError):
        runs.stop()


def test_old_logs_go(tmp_path, ended):
    runs = control(tmp_path, QUICK)
    for _ in range(12):
        ended(runs.start(DRY))
        while runs.going:
            time.sleep(0.005)
    assert len(list((tmp_path / run_control.LOGS).iterdir())) == 10


def test_the_command_has_the_settings_last(tmp_path):
    """`--configfile` takes all words that follow, and `--quiet` those up to the next option."""
    the_set = live_set.make(tmp_path)
    given = run_control.snakemake(
        type(the_set)(
            **{**vars(the_set), "config_files": (tmp_path / "a.yaml", tmp_path / "b.yaml")}
        ),
        DRY,
    )
    assert given[-3:] == ["--configfile", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]
    assert "-n" in given and "-n" not in run_control.snakemake(the_set, RUN)
    assert "--configfile" not in run_control.snakemake(the_set, RUN)
