"""A program in Snakemake's place, for commands that start Snakemake."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.settings import ROOT


def snakemake(folder: Path, code: str) -> str:
    """Write the module `snakemake` that runs `code`; the folder, below `folder`, for PYTHONPATH."""
    package = folder / "modules/snakemake"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(code)
    return str(package.parent)


def begun_run(folder: Path, code: str, **options: bool) -> subprocess.Popen[str]:
    """`make run` of a set of one clip in `folder`, with `code` in Snakemake's place, which has said
    `begun`; `options` are those of Popen. Its output is a pipe.
    """
    modules = snakemake(folder, code)
    (folder / "my.yaml").write_text("seed: 1\n")
    raw = folder / "dataset/00_raw_videos"
    raw.mkdir(parents=True)
    (raw / "walk.mp4").write_bytes(b"a clip")
    run = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts/tools/plan_run.py"), "--run", "--work", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": modules},
        **options,
    )
    assert run.stdout is not None and "begun\n" in iter(run.stdout.readline, "")
    return run
