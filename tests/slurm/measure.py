"""What the way through SLURM costs: `make measure-slurm` (`python -m tests.slurm.measure [CLIPS]`).

The same short clips by one machine, by a cluster with a submitted job a batch, and by one with a
submitted job for each job, one after the other on this machine. Prints submissions, seconds and
their ratio to those of one machine, and whether the bytes are the same. Both nodes share this
machine's cores, so it tells what is spent, not what is gained by more nodes.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests import compare_datasets
from tests.generator import faults
from tests.generator.spec import ClipSpec, FigureSpec
from tests.slurm import cluster as slurm
from tests.slurm.cluster import Cluster
from tests.slurm.runs import SlurmRun, profile, ungrouped
from tests.workflow import small_run
from tests.workflow.demo_run import Demo


def clips(folder: Path, count: int) -> Demo:
    """So many clips of a second, and nothing done yet."""
    raw = folder / "dataset/00_raw_videos"
    raw.mkdir(parents=True)
    for number in range(count):
        figure = FigureSpec(seed=400 + number, framing="full")
        spec = ClipSpec(seed=300 + number, n_frames=30, scenes=("room",), figures=(figure,))
        faults.good(raw / f"clip {number:03d}.mp4", spec)
    return Demo(folder)


def main(count: int) -> int:
    """Measure and print; the exit status."""
    if why := slurm.missing():
        print(f"skipped: {why}")
        return 0
    with tempfile.TemporaryDirectory(prefix="ferrari-slurm-") as scratch:
        work = Path(scratch).resolve()
        source = clips(work / "source", count)
        cluster = Cluster(work / "cluster")
        cluster.folder.mkdir()
        try:
            cluster.up()
            return _compare(source, cluster, work)
        finally:
            cluster.down()


def _compare(source: Demo, cluster: Cluster, work: Path) -> int:
    count = len(list((source.dataset / "00_raw_videos").iterdir()))
    alone = source.copy(work / "alone")
    begin = time.monotonic()
    alone.run("--cores", "2", small_run.FINAL)
    alone_s = time.monotonic() - begin
    print(f"{'':28}{'submitted':>10}{'seconds':>9}{'a clip':>8}{'ratio':>7}  bytes")
    print(f"{'one machine, 2 cores':28}{0:10d}{alone_s:9.0f}{alone_s / count:8.1f}{1:7.1f}")
    different = 0
    for name, said in (("batches of 16", profile()), ("a job for each job", ungrouped())):
        run = SlurmRun(source.copy(work / name.replace(" ", "_")), cluster, said)
        before, begin = cluster.submitted(), time.monotonic()
        run.run(small_run.FINAL)
        seconds, jobs = time.monotonic() - begin, cluster.submitted() - before
        faults_found = list(compare_datasets.differences(alone.dataset, run.demo.dataset))
        different += len(faults_found)
        told = "the same" if not faults_found else f"{len(faults_found)} files differ"
        print(
            f"{name:28}{jobs:10d}{seconds:9.0f}{seconds / count:8.1f}{seconds / alone_s:7.1f}  "
            f"{told}",
            flush=True,
        )
        shutil.rmtree(run.demo.folder)
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 6))
