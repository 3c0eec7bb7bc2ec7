"""What many clips cost beside their own work: a shard of a huge set, the whole-set steps, the pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import many_clips, stubs
from bench.goals import MANY, VIDEOS
from bench.measure import Cost, PeerMissingError, median, run
from bench.prepare import Bench
from bench.results import Part, Row
from tests.workflow import browser, small_run

#: The shard that is planned of MANY clips.
SHARD = "3/16"
_INDEX = "qc_reports/index.html"


def measure(bench: Bench) -> Part:
    """A shard of MANY clips, the whole set's steps at VIDEOS clips, size and opening of each page."""
    part = Part("scale")
    for measured in (_shard(bench, part), _whole_set(bench, part)):
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
    whole = run(stubs.snakemake("-n", overlay=_settings(sharded, {"shard": SHARD})), cwd=sharded)
    same = run(stubs.snakemake("-n", overlay=_settings(alone, {})), cwd=alone)
    row = Row(f"dry run of shard {SHARD} of {count:,} clips", "s of CPU", ours=whole.cpu_s)
    row.floor, row.over_floor = same.cpu_s, whole.cpu_s / same.cpu_s
    row.note = f"peak {whole.peak_mb / 1024:.2f} GB; the floor is a set of {count // 16:,} clips"
    part.notes.append(f"{row.what}: {row.ours:.1f} s, alone {row.floor:.1f} s; {row.note}")
    bench.log(f"scale: {part.notes[-1]}")
    yield row


def _settings(folder: Path, said: dict) -> Path:
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(said))
    return path


# --- what is made of all clips --------------------------------------------------------------------


def _whole_set(bench: Bench, part: Part) -> Iterator[Row]:
    """All that a new clip makes anew for the whole set, up to the reports; then each page."""
    count = 60 if bench.quick else VIDEOS
    place = bench.fresh("whole_set")
    set_ = small_run.start(place)
    set_.run("--cores", "2", _INDEX)
    many_clips.grow(place / "dataset", count - len(small_run.SPECS) - 1)
    first = _reports(bench, place)
    many_clips.grow(place / "dataset", count // 100, first=count)
    again = _reports(bench, place)
    row = Row(f"whole-set steps and graph, {count // 100:,} clips more than {count:,}", "s of CPU")
    row.ours, row.note = again.cpu_s, f"all of them new: {first.cpu_s:.0f} s"
    part.notes.append(f"{row.what}: {again.cpu_s:.0f} s, peak {again.peak_mb / 1024:.2f} GB")
    bench.log(f"scale: {part.notes[-1]}")
    yield row
    yield from _pages(bench, part, place / "qc_reports", count)


def _reports(bench: Bench, place: Path) -> Cost:
    """Snakemake makes what the whole set needs for its reports; what clips have it takes as it is."""
    for name in ("videos.csv", "05_final_training/final.csv"):
        (place / "dataset" / name).unlink(missing_ok=True)
    for page in (place / "qc_reports").glob("*.html"):
        page.unlink()
    words = ("--cores", "2", "--rerun-triggers", "mtime", "--quiet", "rules", "host", "--", _INDEX)
    return run(stubs.snakemake(*words, overlay=_settings(place, {})), cwd=place)


def _pages(bench: Bench, part: Part, folder: Path, count: int) -> Iterator[Row]:
    """Each page's megabytes, and seconds until a browser shows it whole."""
    for page in sorted(folder.glob("*.html")):
        size_mb = page.stat().st_size / 1e6
        row = Row(f"{page.stem}, {count:,} clips", "MB", ours=size_mb)
        row.figures["page_mb"] = size_mb
        if shutil.which("chromium") or shutil.which("chromium-browser"):
            shown = median(browser.ask_once("opens", page.as_uri(), patience_s=120.0))
            row.figures["page_s"] = shown
        else:
            part.notes.append(
                str(PeerMissingError("chromium is not installed: no page was opened"))
            )
        bench.log(f"scale: {row.what} {size_mb:.2f} MB, {row.figures.get('page_s', 0):.2f} s")
        yield row
