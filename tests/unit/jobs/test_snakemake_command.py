"""The command of a run, and the counts of a dry run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from snakemake.cli import parse_args

from ferrari.common.places import ROOT
from ferrari.jobs import snakemake_command
from tests.settings import ENVIRONMENT

STATS = """Building DAG of jobs...
Job stats:
job             count
------------  -------
all                 1
caption          1200
select_final        1
total               4

"""


def test_snakemake_reads_targets_options_and_settings_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = snakemake_command.command(
        *("qc/index.html", "--quiet", "rules", "host"),
        cores=3,
        config_files=[Path("own.yaml"), Path("/more.yaml")],
    )
    assert words[1:3] == ["-m", "snakemake"]
    _, given = parse_args(words[3:])
    assert Path(given.snakefile) == ROOT / "Snakefile" and given.cores == 3
    assert list(given.targets) == ["qc/index.html"]
    assert [Path(file) for file in given.configfile] == [
        tmp_path / "own.yaml",
        Path("/more.yaml"),
    ]


def test_without_settings_files_none_are_named():
    assert "--configfile" not in snakemake_command.command("-n", cores=1)


def test_jobs_of_a_dry_run_by_rule():
    assert snakemake_command.planned(STATS) == {"caption": 1200, "select_final": 1}
    assert snakemake_command.planned("Building DAG of jobs...\nNothing to be done.\n") == {}


def test_ctrl_c_leaves_a_run_the_time_to_end(tmp_path):
    """`subprocess.run` kills it a quarter of a second later."""
    run = (
        "import signal, time\n"
        "def end(*_):\n"
        "    time.sleep(1); open('ended', 'w').close(); raise SystemExit\n"
        "signal.signal(signal.SIGINT, end)\n"
        "print('begun', flush=True)\n"
        "time.sleep(60)\n"
    )
    waits = (
        "import sys; from ferrari.jobs.snakemake_command import run_to_end\n"
        f"run_to_end([sys.executable, '-c', {run!r}])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", waits],
        **{"cwd": tmp_path, "env": ENVIRONMENT, "start_new_session": True},
        **{"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True},
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert (tmp_path / "ended").exists()
