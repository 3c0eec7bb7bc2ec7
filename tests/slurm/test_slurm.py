"""On a real SLURM: the bytes of a run on one machine, also where jobs, nodes or queues fail."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests import compare_datasets
from tests.slurm import cluster as slurm
from tests.slurm.cluster import Cluster
from tests.slurm.runs import MEMORY_MB, SlurmRun, profile
from tests.workflow import small_run
from tests.workflow.demo_run import Demo

#: What is made on the way to the final table, below the dataset.
UP_TO_FINAL = ("videos", "environments", "01_", "02_", "03_", "04_", "05_final_training/captions")
UP_TO_FINAL += ("05_final_training/final.csv", "subject/detections", "subject/identity")
MISSING = slurm.missing()
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),  # before the runs that it compares with
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster, up."""
    found = Cluster(tmp_path_factory.mktemp("slurm").resolve())
    try:
        found.up()
        yield found
    finally:
        found.down()


def fresh(finished: Demo, folder: Path) -> Demo:
    """The clips, pictures and settings of a finished run, and nothing done yet."""
    folder.mkdir()
    shutil.copytree(finished.dataset / "00_raw_videos", folder / "dataset/00_raw_videos")
    for name in ("references", "not_subject"):
        if (finished.folder / name).is_dir():
            shutil.copytree(finished.folder / name, folder / name)
    shutil.copy(finished.folder / "truth.json", folder)
    return Demo(folder, finished.repository, finished.config)


def same(run: SlurmRun, finished: Demo) -> None:
    """The dataset is the one that one machine makes, to the last byte."""
    assert list(compare_datasets.differences(finished.dataset, run.demo.dataset)) == []


def wait_for(what, run: subprocess.Popen, seconds: float = 300.0):
    """Wait until `what()` gives something; fails if the run ends before."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert run.poll() is None, "the run has ended before the fault was made"
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


def test_the_demo_is_the_same_as_on_one_machine(demo, cluster, tmp_path):
    run = SlurmRun(fresh(demo, tmp_path / "demo"), cluster, profile())
    before = cluster.submitted()
    run.run()
    same(run, demo)
    clips = len(demo.truth)
    # Two batches of each kind, who the subject is, the scenes, and all that comes at the end.
    assert cluster.submitted() - before <= 2 * -(-clips // 16) + 3
    assert run.demo.planned() == {}, "one machine finds nothing to do"


def by_clip(**changed: object) -> dict:
    """A profile with a submitted job a clip, and one for each step over the whole set."""
    said = profile(group_components={}, **changed)
    said["groups"] = {rule: group for rule, group in said["groups"].items() if group != "end"}
    return said


def running(cluster: Cluster, run: SlurmRun, group: str, *options: str):
    """A question: the first running job of a group of which a stage has begun."""
    stages = {"look": "probe", "make": "crop"}

    def ask() -> int:
        begun = any((run.demo.folder / "logs" / stages[group]).glob("*.log"))
        found = cluster.jobs("-t", "RUNNING", *options) if begun else []
        return found[0][0] if found else 0

    return ask


def test_what_ends_jobs_loses_nothing(small, cluster, tmp_path):
    """In one run: a job cancelled, one over its memory, a node dead with all it ran, a job over
    its time (a process hangs, as on a file system that does not answer). The bytes are the same.
    """
    said = by_clip()
    said["set-resources"]["environments"] = {"mem_mb": f"60 if attempt == 1 else {MEMORY_MB}"}
    said["set-resources"]["select_final"] = {"runtime": "1 if attempt == 1 else 30"}
    run = SlurmRun(fresh(small, tmp_path / "run"), cluster, said)
    process = run.start(small_run.FINAL)
    try:
        cancelled = wait_for(running(cluster, run, "look"), process)
        cluster.call("scancel", str(cancelled))
        wait_for(running(cluster, run, "make", "-w", "n2"), process)
        cluster.kill_node("n2")
        wait_for(lambda: cluster.states()["n2"].startswith("down"), process)
        cluster.start_node("n2")
        hung = wait_for(lambda: process_of(cluster, "05_select_final"), process)
        os.kill(hung, signal.SIGSTOP)
        assert process.wait() == 0, run.log.read_text()[-6000:]
    finally:
        process.kill()
        process.wait()
    said_of_jobs = "\n".join(
        path.read_text() for path in (run.demo.folder / ".snakemake/slurm_logs").rglob("*.log")
    )
    assert "exceeded memory limit" in said_of_jobs and "DUE TO TIME LIMIT" in said_of_jobs
    assert run.log.read_text().count("Trying to restart job") == 4, "one for each fault"
    same_up_to_final(run, small)


def process_of(cluster: Cluster, script: str) -> int:
    """The process on one of the nodes that runs a script; 0 if none does."""
    for node in slurm.NODES:
        for pid in cluster.processes_on(node):
            words = Path(f"/proc/{pid}/cmdline")
            if words.exists() and re.search(rf"python.*{script}\.py", words.read_text()):
                return pid
    return 0


def same_up_to_final(run: SlurmRun, finished: Demo) -> None:
    """What a run up to the final table leaves is what the whole run left, to the last byte."""
    assert compare_datasets.unlike(run.demo.dataset, finished.dataset) == []
    made, whole = compare_datasets.files(run.demo.dataset), compare_datasets.files(finished.dataset)
    assert not [name for name in whole - made if name.startswith(UP_TO_FINAL)]
