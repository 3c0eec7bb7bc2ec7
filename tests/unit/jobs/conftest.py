"""A run that has a fork server."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ferrari.jobs import fork_server
from ferrari.jobs.stage_command import WARM
from tests.unit.jobs.waiting import wait_for


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A process that stands for a run, in whose working folder the test is; ended with the test."""
    monkeypatch.chdir(tmp_path)
    process = subprocess.Popen(["sleep", "600"])
    place = tmp_path / f".snakemake/ferrari/{process.pid}-test"
    place.parent.mkdir(parents=True)
    monkeypatch.setenv(WARM, str(place.relative_to(tmp_path)))
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def server(run, request, monkeypatch):
    """A server in a fork of this process, which knows the tests' modules; its process id.

    Its param: values of constants, by module and name.
    """
    for name, value in getattr(request, "param", {}).items():
        monkeypatch.setattr(f"ferrari.jobs.{name}", value)
    pid = os.fork()
    if pid == 0:
        sys.stderr = sys.__stderr__  # not what pytest has put in its place
        try:
            fork_server.Server(os.environ[WARM], run.pid).serve()
        finally:
            os._exit(0)
    wait_for(lambda: Path(os.environ[WARM] + ".sock").exists())
    yield pid
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
