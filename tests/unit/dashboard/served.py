"""A set on the disk as a server needs it, and rows as a page sends them."""

from __future__ import annotations

from pathlib import Path

from ferrari.dashboard.reviewed_set import ReviewedSet
from ferrari.review import writing
from tests.unit.review.rows import WHEN

TOKEN, URL = "t" * 43, "http://localhost:8000"
SETTINGS = "subject: {token: sks, class: person}\n"
SCRIPT = "document.title = '1 < 2'"
REVIEW = (
    "<!doctype html><html><head><title>r</title></head><body>"
    '<script type="application/json" id="review-data">{"a": "</head>"}</script>'
    f'<script type="module">{SCRIPT}</script></body></html>'
)
INDEX = '<html><head></head><a href="qc5_masks_summary.html">5</a><a href="http://x.org/a.html">'


def set_in(work: Path) -> ReviewedSet:
    """The set whose dataset lies in `work`, as the server is told of it."""
    config = work / "my.yaml"
    config.write_text(SETTINGS)
    dataset, qc = work / "dataset", work / "qc_reports"
    return ReviewedSet(work, dataset, qc, dataset / "00_raw_videos", (config,), 1, "ana")


def reports_in(folder: Path) -> None:
    """A review page with a file of pictures, two reports, and what is none of them."""
    (folder / "review").mkdir(parents=True)
    (folder / "review.html").write_text(REVIEW)
    (folder / "review" / "walk-0a1b2c3d4e.webp").write_bytes(b"RIFF")
    (folder / "index.html").write_text(INDEX)
    (folder / "qc5_masks_summary.html").write_text("<html></html>")
    (folder / "qc5_masks_summary.csv").write_text("check,status\n")
    (folder / "notes.txt").write_text("not a report")


def drop(target: str, **cells: str) -> dict[str, str]:
    """The row of an image that goes, as a page sends it."""
    known = {"scope": "image", "target": target, "decision": "drop", "id": writing.new_id()}
    return {**known, "when": WHEN, **cells}


def undo(row: dict[str, str]) -> dict[str, str]:
    """The row that takes `row` back, as a page sends it."""
    same = {name: row[name] for name in ("scope", "target", "when")}
    return {**same, "id": writing.new_id(), "decision": "undo", "undoes": row["id"]}
