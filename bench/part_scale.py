"""What many clips cost beside their own work, on stubs: shards of a huge set, shards merged, some
clips more.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from bench import stubs
from bench.bare import record_file
from bench.goals import MANY, VIDEOS
from bench.measure import ROOT, CommandFailedError, Cost, run
from bench.prepare import Bench
from bench.results import Part, Row
from ferrari.ledger import item_ids
from ferrari.ledger.shards import Shard
from ferrari.ledger.stages import RAW

#: Shards of MANY clips that are planned: as large as they should be at most, and as they should be.
SHARDS = ("3/16", "3/50")
#: Clips in two shards that are merged.
MERGED = 2_000
#: So many clips come to a finished set; what all clips wait for stays as it is.
MORE = 100
#: What a stub's clips end in: without a single image there is nothing to package.
_END = "dataset/05_final_training/final.csv"


def measure(bench: Bench) -> Part:
    """Shards of MANY clips; two shards merged; MORE clips in a finished set of VIDEOS."""
    part = Part("scale")
    for measured in (_shards(bench, part), _merged(bench, part), _more(bench, part)):
        for row in measured:
            part.rows.append(row)
            bench.keep(part)
    return part


# --- a part of a set that is too large for one graph ----------------------------------------------


def _shards(bench: Bench, part: Part) -> Iterator[Row]:
    """A dry run of each shard, beside that of a set of as many clips as the shard has."""
    count = 1_600 if bench.quick else MANY
    sharded = bench.fresh("shard")
    stubs.raw_files(sharded, count)
    for said in SHARDS:
        shard = Shard.of(said)
        assert shard is not None
        clips = len(shard.clips(map(_id, range(count)), {}))
        alone = bench.fresh("alone")
        stubs.raw_files(alone, clips)
        of_shard = settings_file(sharded, {"shard": said})
        whole = run(stubs.snakemake("-n", overlay=of_shard), cwd=sharded)
        same = run(stubs.snakemake("-n", overlay=settings_file(alone, {})), cwd=alone)
        row = Row(f"dry run of shard {said} of {count:,} clips", "s of CPU", ours=whole.cpu_s)
        row.floor, row.over_floor = same.cpu_s, whole.cpu_s / same.cpu_s
        row.note = (
            f"peak {whole.peak_mb / 1024:.2f} GB; the floor is a set of {clips:,} clips, as many "
            f"as the shard has: {same.peak_mb / 1024:.2f} GB"
        )
        _tell(bench, part, f"{row.what}: {row.ours:.1f} s, alone {row.floor:.1f} s; {row.note}")
        yield row


def _id(number: int) -> str:
    return item_ids.video_id(stubs.file_name(number))


# --- shards brought together ----------------------------------------------------------------------


def _merged(bench: Bench, part: Part) -> Iterator[Row]:
    """`make merge` of one of two shards into the other's folder, and a second time with nothing to
    do. Raises CommandFailedError if Snakemake then finds anything left to do.
    """
    count = 100 if bench.quick else MERGED
    into, other = bench.fresh("merged"), bench.fresh("merged_from")
    stubs.finished(into, count)
    shutil.copytree(into, other, dirs_exist_ok=True)
    clips = [Shard(number, 2).clips(map(_id, range(count)), {}) for number in (1, 2)]
    _forget(into, clips[1])
    files = _forget(other, clips[0])
    command = [sys.executable, ROOT / "scripts/tools/merge_shards.py", other, "--into", into]
    first, again = run(command, cwd=into), run(command, cwd=into)
    left = run(stubs.snakemake("--cores", "2"), cwd=into).said["output"]
    if "Nothing to be done" not in left:
        raise CommandFailedError(f"merged stubs were not taken for done: {left[-800:]}")
    own = len(clips[1])
    row = Row(f"merging one of two shards of {count:,} clips", "s of CPU", ours=first.cpu_s)
    row.note = (
        f"{first.cpu_s / own * 1000:.1f} ms a clip, of {files / own:.0f} files, peak "
        f"{first.peak_mb:.0f} MB; a second time {again.cpu_s:.1f} s"
    )
    _tell(bench, part, f"{row.what}: {first.cpu_s:.1f} s; {row.note}")
    yield row


def _forget(folder: Path, videos: Collection[str]) -> int:
    """Remove what was made of some clips, and Snakemake's records of it: another machine has it.
    How many files each of these clips' and the others' share left.
    """
    left = 0
    for path in (folder / "dataset").rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or RAW in path.parts:
            continue
        record = record_file(folder, name)
        if path.name.partition(".")[0] in videos:
            path.unlink()
            record.unlink(missing_ok=True)
        else:
            left += 1 + record.exists()
    return left


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
    _tell(bench, part, f"{row.what}: {grown.cpu_s:.1f} s, alone {few.cpu_s:.1f} s; {row.note}")
    yield row
    shutil.rmtree(among)
    shutil.rmtree(alone)


def _run(place: Path) -> Cost:
    """Snakemake makes the final table, and what it is made of."""
    words = (_END, "--cores", "2", "--quiet", "rules", "host")
    return run(stubs.snakemake(*words), cwd=place)


def _tell(bench: Bench, part: Part, said: str) -> None:
    part.notes.append(said)
    bench.log(f"scale: {said}")


def settings_file(folder: Path, said: dict) -> Path:
    """`said` as a file of settings in `folder`."""
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(said))
    return path
