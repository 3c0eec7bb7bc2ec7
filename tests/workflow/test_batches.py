"""A batch of clips as a submitted job runs it: one Snakemake on the node, for a group of jobs."""

from __future__ import annotations

import shutil

import pytest

from tests.workflow.demo_run import Demo

#: What executors put into the command of a submitted job, as far as it matters here.
SUBMITTED = ("--mode", "remote", "--executor", "local", "--cores", "1", "--force", "--no-hooks")
SUBMITTED += ("--nolock", "--ignore-incomplete", "--target-files-omit-workdir-adjustment")


@pytest.fixture
def run(small, tmp_path):
    copy = small.copy(tmp_path / "copy")
    shutil.rmtree(copy.folder / "logs")
    shutil.rmtree(copy.folder / ".snakemake/ferrari")
    return copy


def do(run: Demo, *jobs: str, group: bool = True) -> str:
    """Run jobs (`rule:video=id`) as a submitted job does."""
    more = ("--local-groupid", "batch") if group else ()
    return run.run(*SUBMITTED, *more, "--target-jobs", *jobs, check=False)


def captions(run: Demo) -> list[str]:
    return [f"caption:video={path.stem}" for path in sorted((run.dataset / "videos").glob("*.csv"))]


def servers(run: Demo) -> list[str]:
    return [path.name for path in (run.folder / ".snakemake/ferrari").glob("*-warm-*.log")]


def test_a_batch_has_one_fork_server_and_a_single_job_none(run):
    do(run, *captions(run))
    assert len(servers(run)) == 1
    logs = run.folder / "logs/caption"
    assert len(list(logs.glob("*.log"))) == 3
    shutil.rmtree(run.folder / ".snakemake/ferrari")
    do(run, captions(run)[0], group=False)
    assert servers(run) == []
