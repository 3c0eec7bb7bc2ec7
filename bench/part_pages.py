"""What is made of the whole set at VIDEOS clips: the steps over all, and each page of the reports.

The reports open every image, hard links to a few: 40,000 take tens of minutes of CPU time.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import many_clips, stubs
from bench.goals import VIDEOS
from bench.measure import Cost, PeerMissingError, median, run
from bench.part_scale import settings_file
from bench.prepare import Bench
from bench.results import Part, Row
from tests.workflow import browser, small_run

_INDEX = "qc_reports/index.html"


def measure(bench: Bench) -> Part:
    """Whole-set steps at VIDEOS clips, each page's size and opening."""
    part = Part("pages")
    for row in _whole_set(bench, part):
        part.rows.append(row)
        bench.keep(part)
    return part


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
    bench.log(f"pages: {part.notes[-1]}")
    yield row
    yield from _pages(bench, part, place / "qc_reports", count)


def _reports(bench: Bench, place: Path) -> Cost:
    """Snakemake makes what the reports need of the whole set; what clips have it takes as done."""
    for name in ("videos.csv", "05_final_training/final.csv"):
        (place / "dataset" / name).unlink(missing_ok=True)
    for page in (place / "qc_reports").glob("*.html"):
        page.unlink()
    words = (_INDEX, "--cores", "2", "--rerun-triggers", "mtime", "--quiet", "rules", "host")
    return run(stubs.snakemake(*words, overlay=settings_file(place, {})), cwd=place)


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
        bench.log(f"pages: {row.what} {size_mb:.2f} MB, {row.figures.get('page_s', 0):.2f} s")
        yield row
