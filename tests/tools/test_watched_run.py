"""`make run` in a terminal and in a file: the line that moves, a failure, Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time

import pytest
import yaml

from tests.settings import ROOT, unloadable_model

TOOL = str(ROOT / "scripts/tools/plan_run.py")


def command(run, *overlays):
    return [
        *(sys.executable, TOOL, "--run", "--work", str(run.folder), "--cores", "2"),
        *("--config", *run.configs, *map(str, overlays)),
    ]


def in_terminal(words, stop_at=None):
    """What a command writes to a terminal of 200 columns, and its status; Ctrl-C is typed as soon
    as `stop_at` was written.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.environ["COLUMNS"] = "200"
        os.execv(words[0], words)
    said, deadline = "", time.monotonic() + 200
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            said += os.read(terminal, 4096).decode("utf-8", "replace")
        except OSError:  # the other end is closed
            break
        if stop_at and re.search(stop_at, said):
            os.write(terminal, b"\x03")
            stop_at = None
    os.close(terminal)
    return said, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def run(small, tmp_path):
    """The small run without the masks of its clips, and what was made of them."""
    made = small.copy(tmp_path / "run")
    for folder in ("03_masked_subjects", "04_augmented"):
        shutil.rmtree(made.dataset / folder)
    return made


def test_a_terminal_shows_a_line_that_moves_and_how_it_ended(run):
    said, status = in_terminal(command(run))
    assert status == 0, said
    lines = [line for line in said.split("\r\x1b[K") if "jobs" in line]
    assert len(set(lines)) > 3, "it moves"
    assert re.search(r"stage 3 mask \d of \d \| (walk one|wave_two)\.mp4 \| jobs", said)
    end = said[said.rindex("captioned images, from") - 5 :]
    assert "dashboards" in end and "took  " in end and "free on the disk" in end
    for noise in ("Select jobs", "Finished jobid", "Using workflow", "Config file"):
        assert noise not in said


def test_ctrl_c_says_how_to_go_on_and_leaves_no_traceback(run):
    said, status = in_terminal(command(run), stop_at="stage 3 mask")
    assert status == 130, said
    assert said.rstrip().endswith("stopped; run the same command to go on")
    assert "Traceback" not in said and "KeyboardInterrupt" not in said
    assert run.planned()["mask"], "there is something to go on with"


def test_a_failure_ends_with_its_message_and_what_to_do(small, tmp_path):
    run = small.copy(tmp_path / "run")
    overlay = tmp_path / "fails.yaml"
    overlay.write_text(yaml.safe_dump(unloadable_model(tmp_path / "model")))
    done = subprocess.run(command(run, overlay), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    told = done.stderr
    assert re.search(r"failed: caption of (walk one|wave_two)\.mp4\.", told)
    end = told[told.rindex("logs/caption/") :]
    assert "CaptionerError" in end and "WHAT TO DO" in end
    assert "set -euo pipefail" not in told, "the command of the job is for its log"
    assert "\x1b" not in told, "a file holds no line that moves"
