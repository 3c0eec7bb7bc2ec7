"""What a job that fails before it has begun leaves of an earlier run: nothing that is believed."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.settings import unloadable_model

#: A Python that finds it takes it for a day later than files say, as after a clock is put back.
LATER = """
import time
now = time.time
time.time = lambda: now() + 86400
"""


def test_a_job_that_fails_at_once_is_done_by_the_next_run(small, tmp_path):
    """With another setting: Snakemake restores the table, and writes down that it is of today."""
    run = small.copy(tmp_path / "copy")
    (table,) = (run.dataset / "subject/detections").glob("walk-one-*.csv")
    target = str(table.relative_to(run.folder))
    other = {"detect": {"confidence": 0.5}}
    # Jobs read their settings from a file that the first of them writes. One is done, and then
    # nobody can read it.
    state = run.folder / ".snakemake/ferrari"
    before = set(state.glob("config-*.json"))
    probed = str((run.dataset / "videos" / table.name).relative_to(run.folder))
    run.run("--cores", "1", "--force", probed, overlay=other)
    (settings,) = set(state.glob("config-*.json")) - before
    settings.write_text("no settings")
    said = run.run("--cores", "1", target, overlay=other, check=False)
    assert "Error in rule detect" in said and "its job failed" in said
    settings.unlink()
    assert run.planned(target, overlay=other) == {"detect": 1}


def test_what_failed_jobs_say_is_told_though_the_clock_was_put_back(small, tmp_path):
    """Their logs are older than the run, by the clock that it began with."""
    run = small.copy(tmp_path / "copy")
    (tmp_path / "later").mkdir()
    (tmp_path / "later/sitecustomize.py").write_text(LATER)
    (table,) = (run.dataset / "05_final_training/captions").glob("walk-one-*.csv")
    bad = unloadable_model(tmp_path / "model")
    words = run.words("--cores", "1", str(table.relative_to(run.folder)), overlay=bad)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *words],
        cwd=run.folder,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "later")},
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 1 and f"\nlogs/caption/{table.stem}.log:\n" in said, said[-3000:]
