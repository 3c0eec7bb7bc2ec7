"""A stage's job keeps to its threads, and keeps the memory of its pictures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.settings import ENVIRONMENT

STAGE = """
import cv2

def run(job):
    with open(job.output.table, "w") as table:
        table.write(f"{cv2.getNumThreads()} {job.threads}")
"""


PAGES = """
import resource
import numpy as np

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    pictures = [np.ones((720, 1280, 3), np.uint8) for _ in range(8)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def run(job):
    pages()
    with open(job.output.table, "w") as table:
        table.write(str(pages()))
"""


def table_of_a_job(tmp_path: Path, stage: str, threads: int, first: str = "") -> str:
    """What the code of a stage writes into its table, run by itself, without a fork server; `first`
    is what the process does before.
    """
    (tmp_path / "00_probe_video.py").write_text(stage)
    (tmp_path / "config.json").write_text(json.dumps({"dataset": str(tmp_path)}))
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
        f"import cv2; cv2.setNumThreads(7); {first}"
        "from ferrari.jobs import stage_job; sys.exit(stage_job.main(sys.argv[1:]))"
    )
    words = ["00_probe_video", "--rule", "probe", "--threads", str(threads)]
    words += ["--config", "config.json", "--video", "a", "--outputs", "table", "table"]
    words += ["--params", "settings,code", "[{}, {}]"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=tmp_path, env=ENVIRONMENT, check=False
    )
    assert done.returncode == 0, Path(tmp_path, "logs/probe/a.log").read_text()
    return (tmp_path / "table").read_text()


@pytest.mark.parametrize("threads", [1, 3])
def test_opencv_takes_no_more_threads_than_the_job_has(tmp_path, threads):
    """By itself it takes all cores, in each of as many jobs as there are cores."""
    assert table_of_a_job(tmp_path, STAGE, threads) == f"{threads} {threads}"


def test_a_job_by_itself_keeps_the_memory_of_its_pictures(tmp_path):
    """As a fork of the server does; else the kernel gives these eight 5,400 pages anew."""
    assert int(table_of_a_job(tmp_path, PAGES, 1)) < 500


#: A program that holds 600 MB, and becomes another one: as a run's process does that starts a job.
LARGE = """
import os, sys
held = b"x" * (600 << 20)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def cost(tmp_path: Path) -> dict[str, str]:
    """What a job said that it took."""
    names, values = (tmp_path / "benchmarks/probe/a.tsv").read_text().splitlines()
    return dict(zip(names.split("\t"), values.split("\t"), strict=True))


def test_the_peak_of_a_job_is_its_own_and_not_that_of_who_started_it(tmp_path):
    job = tmp_path / "job.py"
    job.write_text(
        "from ferrari.jobs import stage_job\nstage_job._write_cost('benchmarks/probe/a.tsv', 1.0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", LARGE, str(job)], cwd=tmp_path, env=ENVIRONMENT, check=True
    )
    assert 10 < float(cost(tmp_path)["max_rss"]) < 400


def test_a_job_that_finds_nothing_to_do_leaves_the_cost_of_the_work(tmp_path):
    """The time of its look says nothing about the next clip: a plan goes by these figures."""
    table_of_a_job(tmp_path, STAGE, 1)
    worked = cost(tmp_path)
    always = "from ferrari.provenance import reuse; reuse.holds = lambda *_: True; "
    table_of_a_job(tmp_path, STAGE, 1, first=always)
    assert cost(tmp_path) == worked
    assert "nothing to do" in (tmp_path / "logs/probe/a.log").read_text()
