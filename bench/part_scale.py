"""What many clips cost beside their own work, on stubs: a shard of a huge set, some clips more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import stubs
from bench.goals import MANY, VIDEOS
from bench.measure import Cost, run
from bench.prepare import Bench
from bench.results import Part, Row

#: The shard that is planned of MANY clips.
SHARD = "3/16"
#: So many clips come to a finished set; what all clips wait for stays as it is.
MORE = 100
#: What a stub's clips end in: without a single image there is nothing to package.
_END = "dataset/05_final_training/final.csv"


def measure(bench: Bench) -> Part:
    """A shard of MANY clips; MORE clips in a finished set of VIDEOS."""
    part = Part("scale")
    for measured in (_shard(bench, part), _more(bench, part)):
        for row in measured:
            part.rows.append(row)
            bench.keep(part)
    return part


# --- a part of a set that is too large for one graph ----------------------------------------------


def _shard(bench: Bench, part: Part) -> Iterator[Row]:
    """A dry run of a shard, beside that of a set of as many clips as the shard has."""
    count = 1_600 if bench.quick else MANY
    sharded, alone = bench.fresh("shard"), bench.fresh("alone")
    stubs.raw_files(sharded, count)
    stubs.raw_files(alone, count // int(SHARD.partition("/")[2]))
    of_shard = settings_file(sharded, {"shard": SHARD})
    whole = run(stubs.snakemake("-n", overlay=of_shard), cwd=sharded)
    same = run(stubs.snakemake("-n", overlay=settings_file(alone, {})), cwd=alone)
    row = Row(f"dry run of shard {SHARD} of {count:,} clips", "s of CPU", ours=whole.cpu_s)
    row.floor, row.over_floor = same.cpu_s, whole.cpu_s / same.cpu_s
    row.note = f"peak {whole.peak_mb / 1024:.2f} GB; the floor is a set of {count // 16:,} clips"
    part.notes.append(f"{row.what}: {row.ours:.1f} s, alone {row.floor:.1f} s; {row.note}")
    bench.log(f"scale: {part.notes[-1]}")
    yield row


# --- some clips more ------------------------------------------------------------------------------


def _more(bench: Bench, part: Part) -> Iterator[Row]:
    """A run that has MORE new clips among many finished ones, beside a run of as many alone.

    A run over many clips pays for the graph of all of them, whatever is new: its share is what a
    run takes that has nothing to do. The clips are empty files, so each job is its process and its
    row, and nothing else.
    """
    count, more = (300, 10) if bench.quick else (VIDEOS, MORE)
    among, alone = bench.fresh("more"), bench.fresh("alone")
    stubs.finished(among, count)
    idle = _run(among)
    stubs.raw_files(among, count + more)
    grown = _run(among)
    stubs.raw_files(alone, more)
    few = _run(alone)
    own = grown.cpu_s - idle.cpu_s
    row = Row(f"{more} clips more in {count:,}, up to the final table", "s of CPU")
    row.ours, row.floor, row.over_floor = grown.cpu_s, few.cpu_s, grown.cpu_s / few.cpu_s
    row.figures["added_over_alone"] = own / few.cpu_s
    row.note = (
        f"{idle.cpu_s:.1f} s of it are the graph (a run with nothing to do), {own:.1f} s the rest; "
        f"the floor is a set of {more} clips"
    )
    part.notes.append(f"{row.what}: {grown.cpu_s:.1f} s, alone {few.cpu_s:.1f} s; {row.note}")
    bench.log(f"scale: {part.notes[-1]}")
    yield row
    shutil.rmtree(among)
    shutil.rmtree(alone)


def _run(place: Path) -> Cost:
    """Snakemake makes the final table, and what it is made of."""
    words = (_END, "--cores", "2", "--quiet", "rules", "host")
    return run(stubs.snakemake(*words), cwd=place)


def settings_file(folder: Path, said: dict) -> Path:
    """`said` as a file of settings in `folder`."""
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(said))
    return path
