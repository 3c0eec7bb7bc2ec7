"""A finished dataset of many videos without any footage: what Snakemake sees, and nothing else.

The tables are empty but valid, and Snakemake's own records of how each was made are there, so that
a run has everything to check and nothing to do. The records of a few videos are written by
Snakemake itself (`--touch`); those of the others are copies with another video's name.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import yaml

from bench.bare import record_file
from bench.measure import ROOT
from ferrari.ledger import item_ids, pinned_clips
from ferrari.ledger.columns import COLUMNS
from ferrari.networks import weight_files

#: Videos whose records Snakemake writes; more than lend their scenes to others by default (24).
SEEDS = 30
_WHEN_NS = 1_700_000_000 * 10**9
CONFIG = ROOT / "config/demo.yaml"
#: The demo's settings name pictures of its subject, which other clips have none of.
NOBODY_JUDGED = ROOT / "bench/nobody_judged.yaml"


def snakemake(*arguments: str, overlay: str | Path = "") -> list[str | Path]:
    """The workflow's command line with the demo's settings (weights that need no download)."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
    configs = [str(CONFIG), str(NOBODY_JUDGED), *([overlay] if overlay else [])]
    return [*command, *arguments, "--configfile", *configs]


def file_name(number: int) -> str:
    """A stub's raw file; every name has the same length."""
    return f"clip_{number:05d}.mp4"


def raw_files(folder: Path, count: int) -> None:
    """Empty raw files, all of one age, so that `raw_state` is the same for all."""
    raw = folder / "dataset/00_raw_videos"
    raw.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = raw / file_name(number)
        path.touch()
        os.utime(path, ns=(_WHEN_NS, _WHEN_NS))


def quiet(command: Sequence[str | Path], folder: Path) -> str:
    """Run `snakemake(...)` in `folder`; its output, RuntimeError if it fails."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, errors="replace"
    )
    if done.returncode:
        raise RuntimeError(f"snakemake on stubs failed: {(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def finished(
    folder: Path,
    count: int,
    overlay: str | Path = "",
    run: Callable[[Sequence[str | Path], Path], str] = quiet,
) -> None:
    """A dataset of `count` videos in `folder` for which nothing is to be done.

    `overlay` is a file of settings on top of the demo's; `run` does what `quiet` does.
    """
    raw_files(folder, min(count, SEEDS))
    outputs = _outputs(run(snakemake("--summary", overlay=overlay), folder))
    for path, rule in outputs.items():
        _write(folder / path, rule)
    run(snakemake("--cores", "1", "--touch", "--forceall", overlay=overlay), folder)
    pinned = _pin(folder, min(count, SEEDS))
    made = list(outputs)
    if count > SEEDS:
        raw_files(folder, count)
        lends_none = (n for n in range(SEEDS) if item_ids.video_id(file_name(n)) not in pinned)
        made += _clone(folder, outputs, next(lends_none), range(SEEDS, count))
    now = time.time_ns()  # younger than every script, and none older than its inputs
    for path in made:
        os.utime(folder / path, ns=(now, now))


def _pin(folder: Path, seeds_there: int) -> list[str]:
    """Pin the seeds' scenes, as the job does that draws them: later videos change nothing."""
    defaults = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    seeds = sorted(item_ids.video_id(file_name(number)) for number in range(seeds_there))
    table = folder / "dataset/environments_pinned.csv"
    wanted = defaults["augment"]["environment_clips"]
    pinned = pinned_clips.draw(seeds, defaults["seed"], wanted, "environments")
    pinned_clips.pin(table, pinned)
    return pinned


def _outputs(summary: str) -> dict[str, str]:
    """Every output of the workflow on these files, with its rule."""
    lines = [line for line in summary.splitlines() if "\t" in line]
    return {row["output_file"]: row["rule"] for row in csv.DictReader(lines, delimiter="\t")}


def _write(path: Path, rule: str) -> None:
    """An empty table of the stage that `rule` writes; weights of their size, which is looked at
    before the first job; else an empty file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    buffer = io.StringIO()
    columns = COLUMNS.get("final" if path.name == "final.csv" else rule)
    if path.suffix == ".csv" and columns:
        csv.writer(buffer, lineterminator="\n").writerow(columns)
    path.write_text(buffer.getvalue())
    if rule == "fetch_weights":
        entry = weight_files.table()["models"][path.parent.name]
        os.truncate(path, entry.get("bytes", 0))


def _clone(
    folder: Path, outputs: Mapping[str, str], seed: int, numbers: Sequence[int]
) -> list[str]:
    """Write tables and records of more videos, copied from those of a seed; the new tables.

    The records of jobs over all videos get the new ones among their inputs.
    """
    model_file = file_name(seed)
    model = item_ids.video_id(model_file)
    videos = {number: item_ids.video_id(file_name(number)) for number in numbers}
    own = {path: rule for path, rule in outputs.items() if model in path}
    made = []
    for path, rule in own.items():
        record = json.dumps(_record(folder, path))
        for number, video in videos.items():
            there = path.replace(model, video)
            _write(folder / there, rule)
            made.append(there)
            text = record.replace(model, video).replace(model_file, file_name(number))
            record_file(folder, there).write_text(text)
    seeds = [item_ids.video_id(file_name(number)) for number in range(SEEDS)]
    for path in outputs:
        if not any(seed in path for seed in seeds):
            record = _widened(_record(folder, path), model, list(videos.values()))
            record_file(folder, path).write_text(json.dumps(record))
    return made


def _widened(record: dict, model: str, videos: Sequence[str]) -> dict:
    """The record of a job over all videos, with inputs of the new ones beside the model's."""
    more = [path.replace(model, v) for path in record["input"] if model in path for v in videos]
    record["input"] = sorted([*record["input"], *more])
    sums = record["input_checksums"]
    record["input_checksums"] = sums | {
        path.replace(model, v): digest for path, digest in sums.items() if model in path
        for v in videos
    }  # fmt: skip
    return record


def _record(folder: Path, path: str) -> dict:
    return json.loads(record_file(folder, path).read_text())
