"""`make verify`: which words reach Snakemake, through make and its shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings import ROOT

STAND_IN = f"#!{sys.executable}\nimport sys\nprint('\\n'.join(sys.argv[1:]))\n"


@pytest.mark.parametrize("names", [[], ["a.yaml"], ["a.yaml", "b.yaml"]])
def test_each_settings_file_is_a_word_of_its_own(tmp_path, names):
    """In a folder whose name has a space: a shell that split or joined words would show it."""
    work = tmp_path / "my set"
    work.mkdir()
    snakemake = tmp_path / "snakemake"
    snakemake.write_text(STAND_IN)
    snakemake.chmod(0o755)
    files = [str(tmp_path / name) for name in names]
    for file in files:
        Path(file).write_text("seed: 1\n")
    done = subprocess.run(
        [
            *("make", "--no-print-directory", "-o", ".venv/.ready", "verify", f"WORK={work}"),
            *(f"SNAKEMAKE={snakemake}", "CORES=1", f"CONFIG={' '.join(files)}"),
        ],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": True},
    )
    asked = ["--configfile", *files] if files else []
    assert done.stdout.splitlines() == [
        *("--snakefile", str(ROOT / "Snakefile"), *asked, "--cores", "1", "--quiet"),
        *("rules", "host", "progress", "--forcerun", "verify", "--", "verified"),
    ]


def test_an_older_verdict_that_cannot_be_taken_away_is_not_told_again(tmp_path):
    """As on a disk that is read-only; here a folder is in the log's place."""
    (tmp_path / "logs/verified.log").mkdir(parents=True)
    done = subprocess.run(
        [
            *("make", "--no-print-directory", "-o", ".venv/.ready", "verify", "CORES=1"),
            *(f"WORK={tmp_path}", "SNAKEMAKE=false"),
        ],
        **{"cwd": ROOT, "capture_output": True, "text": True, "check": False},
    )
    assert done.returncode and "rm:" in done.stderr and "cat:" not in done.stderr
