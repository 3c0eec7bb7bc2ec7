"""The library is `scripts/ferrari`, though another package of its name is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.workflow import small_run
from tests.workflow.demo_run import Demo

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def decoy(tmp_path) -> dict[str, str]:
    """An environment with a package `ferrari` that must not be imported, before site-packages."""
    package = tmp_path / "installed/ferrari"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text('raise ImportError("this is the decoy")\n')
    return {**os.environ, "PYTHONPATH": str(package.parent)}


def run(work: Demo, environment: dict[str, str], *arguments: str, **overlay) -> str:
    done = subprocess.run(
        work.command(*arguments, overlay=overlay),
        cwd=work.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    logs = "".join(log.read_text() for log in Path(work.folder, "logs").rglob("*.log"))
    assert done.returncode == 0 and "decoy" not in done.stdout + logs, done.stdout[-3000:] + logs
    return done.stdout


@pytest.mark.parametrize("warm_workers", [pytest.param(True, marks=pytest.mark.slow), False])
def test_the_main_process_a_script_and_a_stage_import_ours(tmp_path, decoy, warm_workers):
    work = Demo(tmp_path / "run")
    raw = work.dataset / "00_raw_videos"
    small_run.write_clips(raw)
    for name in small_run.SPECS:
        (raw / name).unlink()  # the thumbnail is enough
    target = "dataset/videos.csv"
    run(work, decoy, "--cores", "1", target, warm_workers=warm_workers)
    made = [work.folder / f"logs/{log}" for log in ("videos.log", "probe", "extract")]
    assert all(log.exists() for log in made)
    assert "LOW_RESOLUTION" in (work.folder / target).read_text()
