"""What the engine costs when there is next to nothing to compute."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import yaml

from bench import bare, clips, stubs
from bench.goals import JOBS, VIDEOS
from bench.measure import ROOT, CommandFailedError, Cost, by_turns, median, ratio, run, wall
from bench.prepare import Bench, linked
from bench.results import Part, Row

_START_LIMIT_S = 900
PROFILE = ROOT / "profiles/default"
_GOALS = {"dry run": "dry_run", "no-op run": "no_op"}


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
    """Dry and no-op runs of the workflow, by turns with those of a bare graph of its shape."""
    for count in (100,) if bench.quick else (100, 1_000, VIDEOS):
        repeats = bench.repeats if count < VIDEOS else min(bench.repeats, 2)
        ours, plain = bench.fresh(f"videos_{count}"), bench.fresh(f"bare_{count}")
        stubs.raw_files(ours, count)
        bare.write(plain, count)
        dry = {"ours": partial(_planned, ours), "bare": partial(_bare, plain, "-n")}
        yield _row(bench, part, "dry run", count, by_turns(repeats, dry, bench.log))
        shutil.rmtree(ours)
        ours.mkdir()
        stubs.finished(ours, count)
        bare.finish(plain, count)
        known = bench.fresh(f"bare_{count}_known")
        bare.write(known, count)
        bare.record(known, count)
        bare.finish(known, count)
        idle = {
            "ours": partial(_nothing, ours),
            "bare": partial(_bare, plain, "--cores", "2"),
            "bare, with records": partial(_bare, known, "--cores", "2"),
        }
        yield _row(bench, part, "no-op run", count, by_turns(repeats, idle, bench.log))
        shutil.rmtree(ours)
        shutil.rmtree(plain)
        shutil.rmtree(known)


def _row(bench: Bench, part: Part, what: str, count: int, costs: dict[str, list[Cost]]) -> Row:
    """Ours over a bare graph, which has Snakemake's records where the run reads any: a set that
    Snakemake finished has one for each file.
    """
    part.keep(f"{what}, {count} videos", costs)
    peer = "bare, with records" if "bare, with records" in costs else "bare"
    ours, plain = costs["ours"], costs[peer]
    row = Row(f"{what}, {count:,} videos", "s", ours=wall(ours))
    row.floor, row.over_floor = wall(plain), ratio(ours, plain).wall
    peak_gb, bare_gb = (median([c.peak_mb for c in each]) / 1024 for each in (ours, plain))
    row.note = f"peak {peak_gb:.2f} GB; a bare graph {bare_gb:.2f} GB"
    if peer != "bare":
        row.note += f"; {ratio(ours, costs['bare']).cpu:.2f}x the CPU time of one without records"
    said = f"{ratio(ours, plain).cpu:.2f}x a bare graph's CPU time"
    part.notes.append(f"{row.what}: {said}; {row.note}")
    bench.log(f"orchestration: {row.what} {row.ours:.1f} s, bare {row.floor:.1f} s, {row.note}")
    if count == VIDEOS:
        row.figures = {f"{_GOALS[what]}_s": row.ours, f"{_GOALS[what]}_gb": peak_gb}
        row.figures[f"{_GOALS[what]}_over_bare"] = ratio(ours, plain).cpu
    return row


def _planned(place: Path) -> Cost:
    """`snakemake -n` where nothing is done yet: every job is planned and printed."""
    return _quiet(run(stubs.snakemake("-n"), cwd=place))


def _nothing(place: Path) -> Cost:
    """A run that finds everything done; CommandFailedError if it does not."""
    return _idle(run(stubs.snakemake("--cores", "2"), cwd=place))


def _bare(place: Path, *arguments: str) -> Cost:
    """A run of the bare graph: dry, or one that finds everything done."""
    cost = run(bare.snakemake(*arguments), cwd=place)
    return _quiet(cost) if "-n" in arguments else _idle(cost)


def _idle(cost: Cost) -> Cost:
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
        sample_s = 10 if bench.quick else 30
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
    bare.write(place, jobs // len(bare.STAGES), whole_set=False)
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
