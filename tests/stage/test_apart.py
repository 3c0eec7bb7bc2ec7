"""The demo's own network, asked in a process apart: right answers, and none of it here."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> float:
    """Overlap of the cut-out with the truth."""
    command = [sys.executable, "-m", "tests.stage.apart", str(folder), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return float(done.stdout.split()[-1])


def test_the_networks_answer_from_their_own_process_and_the_parent_stays_light(tmp_path):
    assert run(tmp_path) > 0.9


@pytest.mark.slow
def test_the_answers_are_those_of_the_same_process_to_the_last_bit(tmp_path):
    run(tmp_path, "compare")
