"""Hostile names and what is no file: one id and one verdict each, and no name does anything."""

from __future__ import annotations

import csv
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.ledger import tables
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.raw_listing import find_videos
from list_videos import list_videos
from tests.settings import section
from tests.stage.clip_run import probe_video
from tests.workflow import hostile_names
from tests.workflow.demo_run import Demo

pytestmark = pytest.mark.timeout(900)


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def assert_harmless(page: Path) -> None:
    """No element or attribute of a page comes out of a name, in its text or in its data."""
    html = page.read_text(encoding="utf-8")  # undecodable bytes are spelled out
    for tag, attributes in Page(html).elements:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        assert attributes.get("src") != "x"
    for raw in ("<img src=x", "<script>alert", "<b>'", "<h1>.mp4"):
        assert raw not in html


def assert_guarded(table: Path) -> None:
    """No cell of a table is a formula to a spreadsheet."""
    with open(table, encoding="utf-8", errors="surrogateescape", newline="") as stream:
        for line in csv.reader(stream):
            formulas = [cell for cell in line if re.match(r"[=@\t\r]|[+-](?![\d.]+$)", cell)]
            assert not formulas, (table, formulas)


def listing(folder: Path) -> set[str]:
    return {os.path.relpath(entry, folder) for entry in folder.iterdir()}


def probe(raw: Path, file: str, video: str, dataset: Path) -> str:
    """Stage 0 on one file of the raw folder; its table."""
    table = str(dataset / f"videos/{video}.csv")
    probe_video(
        raw=os.path.join(raw, file),
        file=file,
        video=video,
        dataset=str(dataset),
        out_csv=table,
        settings=section("probe"),
    )
    return table


def test_every_name_is_a_row(tmp_path):
    """Stage 0 and the list of clips on each name; what is no file is a row as well, at once."""
    raw, dataset = tmp_path / "raw", tmp_path / "dataset"
    wanted = hostile_names.write_broken(raw)
    wanted |= hostile_names.write_no_files(raw, tmp_path / "outside")
    videos = find_videos(raw)
    assert set(videos.values()) == wanted
    assert all(re.fullmatch(VIDEO_ID, video) and len(video) <= 51 for video in videos)
    probes = [probe(raw, file, video, dataset) for video, file in videos.items()]
    rows = [row for table in probes for row in tables.read_stage(table, "probe")]
    assert len(rows) == len(wanted) and {row["file"] for row in rows} == wanted
    verdicts = {row["file"]: row["reason"] for row in rows}
    assert verdicts.pop("out of the folder.mp4") == "LOW_RESOLUTION"
    no_files = [file for file, verdict in verdicts.items() if verdict == "UNREADABLE"]
    assert set(no_files) == {
        *("device.mp4", "folder.mp4", "linked folder", "loop folder", "loop.mp4"),
        *("nowhere.mp4", "pipe.mp4", "tty.mp4"),
    }
    assert {verdict for file, verdict in verdicts.items() if file not in no_files} <= {
        "CORRUPT_CONTAINER",
        "NOT_A_VIDEO",
    }
    for row in rows:
        copy = dataset / row["path"]
        assert not row["path"] or sha256_bytes(copy.read_bytes()) == row["sha256"]
        assert not copy.is_symlink()
    table = dataset / "videos.csv"
    list_videos(
        probe_csvs=probes,
        frames_csvs=[],
        raw_folder=str(raw),
        dataset=str(dataset),
        out_csv=str(table),
    )
    assert {row["file"] for row in tables.read_table(table)} == wanted
    for path in (table, *map(Path, probes)):
        assert_guarded(path)
    assert listing(tmp_path) == {"raw", "outside", "dataset"}
    assert not [path for path in tmp_path.rglob("pwned*")], "a shell saw a name"


def test_a_folder_that_cannot_be_read_is_a_row(tmp_path, monkeypatch):
    """A subfolder without permission is no silent loss; the raw folder itself is an error."""
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.mp4").touch()
    scandir = os.scandir

    def refusing(path):
        if os.path.basename(path) == "closed":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert set(find_videos(tmp_path).values()) == {"a.mp4", "closed"}
    with pytest.raises(PermissionError):
        find_videos(tmp_path / "closed")


@pytest.mark.slow
def test_a_whole_run_on_hostile_names(tmp_path):
    """From raw files to packages and pages; nothing is made outside the run's own folders."""
    run = Demo(tmp_path / "run")
    raw = run.dataset / "00_raw_videos"
    wanted = hostile_names.write_broken(raw) | hostile_names.write_good(raw)
    wanted |= hostile_names.write_no_files(raw, tmp_path / "outside")
    (run.folder / "truth.json").write_text(json.dumps({"files": []}))
    before = {path for path in tmp_path.rglob("*") if run.dataset not in path.parents}
    run.run("--cores", "2")
    videos = tables.read_table(run.dataset / "videos.csv")
    left_out = {row["file"] for row in videos if row["verdict"] == "SYSTEM_FILE"}
    assert {row["file"] for row in videos} - left_out == wanted
    assert left_out == set(hostile_names.HIDDEN)
    assert {row["file"] for row in videos if row["verdict"] == "OK"} == set(hostile_names.GOOD)
    final = tables.read_table(run.dataset / "05_final_training/final.csv")
    assert len({row["video"] for row in final}) == 2
    for page in (run.folder / "qc_reports").glob("*.html"):
        assert_harmless(page)
    for table in (*run.dataset.rglob("*.csv"), *(run.folder / "qc_reports").glob("*.csv")):
        assert_guarded(table)
    made = {path for path in tmp_path.rglob("*") if run.dataset not in path.parents} - before
    ours = {"audit", "qc_reports", "logs", "benchmarks", "cache", ".snakemake"}
    assert {path.relative_to(run.folder).parts[0] for path in made} <= ours
    assert not [path for path in tmp_path.rglob("pwned*")], "a shell saw a name"
    text = Page((run.folder / "qc_reports/qc0_failed_video_diagnostics.html").read_text()).text
    assert any("<img src=x onerror=alert(1)>.mp4" in piece for piece in text), "shown as they are"
    assert "Nothing to be done" in run.run("--cores", "1")
