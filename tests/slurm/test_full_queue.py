"""On a real SLURM that takes no jobs for a while: the run waits and goes on, and loses nothing."""

from __future__ import annotations

import time

import pytest

from tests.slurm import cluster as slurm
from tests.slurm.cluster import Cluster
from tests.slurm.runs import SlurmRun
from tests.slurm.test_slurm import by_clip, fresh, same_up_to_final, wait_for
from tests.workflow import small_run

MISSING = slurm.missing()
pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(3000),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster that can be told how many jobs a user may have in its queue."""
    found = Cluster(tmp_path_factory.mktemp("slurm").resolve(), limits=True)
    try:
        found.up()
        yield found
    finally:
        found.down()


def said(run: SlurmRun, text: str):
    """A question: has the run said that submissions wait, and why?"""
    return lambda: f"SLURM takes no job at present ({text}" in run.log.read_text()


def test_a_queue_that_is_full_or_closed_is_waited_for(small, cluster, tmp_path):
    """In one run: the partition takes no jobs; a user may have one job in the queue; the partition
    is down with a job in its queue; the controller is away. No try is counted, and the bytes are
    those of one machine.
    """
    run = SlurmRun(fresh(small, tmp_path / "run"), cluster, by_clip(retries=0))
    partition(cluster, "INACTIVE")
    process = run.start(small_run.FINAL)
    try:
        wait_for(said(run, "Required partition not available"), process)
        assert cluster.jobs() == []
        cluster.limit(1)
        partition(cluster, "UP")
        wait_for(cluster.jobs, process)
        wait_for(said(run, "QOSMaxSubmitJob"), process)
        partition(cluster, "DOWN")
        wait_for(lambda: cluster.jobs("-t", "PENDING"), process)
        time.sleep(2)
        assert cluster.jobs("-t", "RUNNING") == [] and process.poll() is None
        cluster.limit(None)
        cluster.stop_controller()
        wait_for(said(run, "Unable to contact slurm controller"), process)
        cluster.start_controller()
        partition(cluster, "UP")
        assert process.wait() == 0, run.log.read_text()[-6000:]
    finally:
        process.kill()
        process.wait()
    assert "Trying to restart job" not in run.log.read_text()
    same_up_to_final(run, small)


def partition(cluster: Cluster, state: str) -> None:
    """Give the cluster's one partition a state."""
    cluster.call("scontrol", "update", "PartitionName=main", f"State={state}")
