"""Commands whose output goes to `head`, or to a pager that is left before its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.settings import ENVIRONMENT, ROOT


@pytest.fixture
def package(tmp_path):
    """A training folder of which there is much to say."""
    for number in range(40):
        (tmp_path / f"picture {number}.png").write_bytes(b"no picture")
    return tmp_path


@pytest.mark.parametrize("tool", ["trace_item", "tidy", "decide", "lint_package"])
def test_no_command_complains_that_nobody_reads_on(tool, package):
    given = {
        "trace_item": ["--help"], "tidy": ["--help"], "decide": ["--help"],
        "lint_package": [os.fspath(package), "--all", "--trainer", "kohya"],
    }[tool]  # fmt: skip
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, ROOT / f"scripts/tools/{tool}.py", *given],
        **{"stdout": writer, "stderr": subprocess.PIPE, "text": True, "check": False},
        env=ENVIRONMENT,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")
