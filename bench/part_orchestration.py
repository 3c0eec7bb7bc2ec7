"""What the engine costs when there is next to nothing to compute."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from bench import clips, stubs
from bench.goals import JOBS, VIDEOS
from bench.measure import ROOT, CommandFailedError, Cost, median, run, wall
from bench.prepare import Bench, linked
from bench.results import Part, Row

_START_LIMIT_S = 900
PROFILE = ROOT / "profiles/default"

#: Six rules in a chain, as the workflow has them, each a command that takes no time.
CHAIN = """
VIDEOS = [f"v{{k:05d}}" for k in range({videos})]
STAGES = ["s1", "s2", "s3", "s4", "s5", "s6"]

rule all:
    input: expand("s6/{{v}}", v=VIDEOS)

rule s1:
    output: "s1/{{v}}"
    shell: "touch {{output}}"
"""
LINK = """
rule s{number}:
    input: "s{before}/{{v}}"
    output: "s{number}/{{v}}"
    shell: "touch {{output}}"
"""


def measure(bench: Bench) -> Part:
    """Seconds a video, dry and no-op runs by size, milliseconds a job."""
    part = Part("orchestration")
    for measured in (_added(bench, part), _sizes(bench, part), _scheduling(bench, part)):
        for row in measured:
            part.rows.append(row)
            bench.keep(part)
    return part


# --- one more video -------------------------------------------------------------------------------


def _added(bench: Bench, part: Part) -> Iterator[Row]:
    """Wall and CPU seconds that ten more clips add to a run, a clip."""
    base, more = (2, 4) if bench.quick else (6, 10)
    repeats = 1 if bench.quick else bench.repeats
    for refused, what in (
        (False, "one more clip of one frame, all stages"),
        (True, "one more refused clip: processes alone"),
    ):
        raws = clips.tiny_clips(bench.work, base + more, refused)
        if refused:  # without a single image there would be nothing to package
            raws[0] = clips.tiny_clips(bench.work, 1, False)[0]
        few, many = [], []
        for repeat in range(repeats):
            few.append(_whole_run(bench, raws[:base]))
            many.append(_whole_run(bench, raws))
            bench.log(f"  {repeat + 1}/{repeats} {what}: {few[-1].wall_s:.1f} s, "
                      f"{many[-1].wall_s:.1f} s")  # fmt: skip
        part.keep(what, {f"{base} clips": few, f"{base + more} clips": many})
        added = median([(b.wall_s - a.wall_s) / more for a, b in zip(few, many, strict=True)])
        cpu = median([(b.cpu_s - a.cpu_s) / more for a, b in zip(few, many, strict=True)])
        row = Row(what, "s", ours=added, note=f"{cpu:.2f} s of CPU; nothing subtracted")
        if not refused:
            row.figures["added_video_s"] = added
        part.notes.append(f"{what}: {added:.2f} s of wall, {cpu:.2f} s of CPU time on 2 cores")
        yield row


def _whole_run(bench: Bench, raws: Sequence[Path]) -> Cost:
    """The workflow on `raws` from nothing to the packages, with the demo's network."""
    place = bench.fresh("added")
    overlay = {
        "raw_videos": str(linked(place / "raw", raws)),
        "cache": str(bench.cache),
        "extract": {"decoder": "cpu"},
        "qc": {"enforce": False},
    }
    (place / "bench.yaml").write_text(yaml.safe_dump(overlay))
    command = stubs.snakemake("--cores", "2", "--quiet", "rules", "host")
    return run([*command, "bench.yaml"], cwd=place)


# --- dry run and no-op run ------------------------------------------------------------------------


def _sizes(bench: Bench, part: Part) -> Iterator[Row]:
    for count in (100,) if bench.quick else (100, 1_000, VIDEOS):
        repeats = bench.repeats if count < VIDEOS else min(bench.repeats, 2)
        place = bench.fresh(f"videos_{count}")
        stubs.raw_files(place, count)
        dry = [_planned(place) for _ in range(repeats)]
        shutil.rmtree(place)
        place.mkdir()
        bench.log(f"orchestration: {count} videos, dry run {wall(dry):.1f} s")
        stubs.finished(place, count)
        idle = [_nothing(place) for _ in range(repeats)]
        bench.log(f"orchestration: {count} videos, no-op run {wall(idle):.1f} s")
        part.keep(f"{count} videos", {"dry run": dry, "no-op run": idle})
        for name, key, costs in (("dry run", "dry_run", dry), ("no-op run", "no_op", idle)):
            row = Row(f"{name}, {count:,} videos", "s", ours=wall(costs))
            peak_gb = median([cost.peak_mb for cost in costs]) / 1024
            row.note = f"peak {peak_gb:.2f} GB"
            part.notes.append(f"{name}, {count:,} videos: peak {peak_gb:.2f} GB")
            if count == VIDEOS:
                row.figures = {f"{key}_s": row.ours, f"{key}_gb": peak_gb}
            yield row
        shutil.rmtree(place)


def _planned(place: Path) -> Cost:
    """`snakemake -n` where nothing is done yet: every job is planned and printed."""
    return _quiet(run(stubs.snakemake("-n"), cwd=place))


def _nothing(place: Path) -> Cost:
    """A run that finds everything done; CommandFailedError if it does not."""
    cost = run(stubs.snakemake("--cores", "2"), cwd=place)
    if "Nothing to be done" not in cost.said["output"]:
        raise CommandFailedError(f"stubs were not taken for done: {cost.said['output'][-800:]}")
    return _quiet(cost)


def _quiet(cost: Cost) -> Cost:
    """The cost without what was printed: 60,000 planned jobs are a lot of text."""
    return Cost(cost.wall_s, cost.cpu_s, cost.peak_mb, cost.process_s)


# --- milliseconds a job ---------------------------------------------------------------------------


def _scheduling(bench: Bench, part: Part) -> Iterator[Row]:
    """Trivial jobs under our profile and under Snakemake's own defaults, for a while."""
    for jobs in (600,) if bench.quick else (5_000, JOBS):
        sample_s = 10 if bench.quick else 60
        ours = _milliseconds(bench, jobs, sample_s, ["--workflow-profile", str(PROFILE)])
        row = Row(f"a trivial job of {jobs:,} queued", "ms", ours=ours.wall_s)
        if jobs == JOBS:
            row.figures["schedule_ms"] = ours.wall_s
        try:
            peer = _milliseconds(bench, jobs, sample_s, ["--workflow-profile", "none"])
        except CommandFailedError as error:  # its defaults may not end three jobs in the time
            part.notes.append(f"{jobs:,} jobs under Snakemake's defaults: {str(error)[:120]}")
        else:
            row.peer_name, row.peer = "Snakemake's defaults", peer.wall_s
            row.ratio = peer.wall_s / ours.wall_s
        bench.log(f"orchestration: {jobs} jobs, {row.ours:.1f} and {row.peer or 0:.1f} ms a job")
        yield row


def _milliseconds(bench: Bench, jobs: int, sample_s: float, options: list[str]) -> Cost:
    """Milliseconds a job, as wall_s, from the first job's end on; ended after `sample_s`."""
    place = bench.fresh("scheduling")
    links = "".join(LINK.format(number=k, before=k - 1) for k in range(2, 7))
    (place / "Snakefile").write_text(CHAIN.format(videos=jobs // 6) + links)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *options]
    with open(place / "log.txt", "wb") as log:
        child = subprocess.Popen(
            command, cwd=place, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _watch(child, place, sample_s)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)  # its own session: nobody else's processes
            child.wait()
    ends = sorted(path.stat().st_mtime for path in place.glob("s?/*"))
    if len(ends) < 3:
        said = (place / "log.txt").read_text(errors="replace")[-800:]
        raise CommandFailedError(f"{len(ends)} jobs ended in {sample_s} s: {said}")
    spent_ms = (ends[-1] - ends[0]) / (len(ends) - 1) * 1000
    return Cost(spent_ms, spent_ms)


def _watch(child: subprocess.Popen, place: Path, sample_s: float) -> None:
    """Wait for the first job, then for the sample's length or the end of all jobs."""
    deadline = time.monotonic() + _START_LIMIT_S
    while child.poll() is None and time.monotonic() < deadline:
        if any((place / "s1").glob("*")):
            break
        time.sleep(0.2)
    deadline = time.monotonic() + sample_s
    while child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
