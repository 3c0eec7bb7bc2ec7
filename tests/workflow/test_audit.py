"""Runs and their records, the demo's description as Croissant, and traces over the demo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import describe_dataset
import write_ledger
from ferrari.common import settings
from ferrari.common.atomic_files import sha256_file
from ferrari.ledger import stages
from ferrari.ledger import tables as ledger_tables
from ferrari.provenance import table_stamps
from tests.unit.provenance.test_ledger_parquet import same, tables_of
from tests.unit.provenance.test_run_record import validate
from tests.workflow import warm_snakemake
from tests.workflow.demo_run import ROOT
from tools import trace_item

pytestmark = pytest.mark.timeout(300)
SNAKEFILE = f"""
import sys
sys.path.insert(0, {str(ROOT / "scripts")!r})
from ferrari.common import settings
from ferrari.provenance.run_record import Recorder

RECORD = Recorder(settings.load(), workflow, {{"made.txt": "what the run made"}})

rule made:
    output: "made.txt"
    shell: "sleep {{config[seconds]}}; {{config[command]}} && touch {{output}}"

onstart: RECORD.start()
onsuccess: RECORD.end("success", log)
onerror: RECORD.end("failed", log)
""".replace(": RECORD", ":\n    RECORD")


def words(*arguments: str, command: str = "true", seconds: int = 0) -> list[str]:
    """What Snakemake is asked for of the small workflow of the working folder."""
    given = ["--config", f"command={command}", f"seconds={seconds}"]
    return ["--cores", "1", *arguments, *given]


def snakemake(folder: Path, *arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return warm_snakemake.run(words(*arguments, **options), folder)


def records(folder: Path) -> list[dict]:
    return [json.loads(path.read_text()) for path in sorted(folder.glob("audit/runs/*/run.json"))]


@pytest.fixture
def folder(tmp_path):
    """A working folder with the small workflow."""
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    return tmp_path


def test_runs_leave_records_and_dry_or_empty_ones_leave_none(folder, tmp_path_factory):
    assert snakemake(folder, "--dry-run").returncode == 0 and not records(folder)
    assert snakemake(folder).returncode == 0
    (record,) = records(folder)
    assert record["status"] == "success" and "snakemake" in record["command"]
    again = snakemake(folder)
    assert "Nothing to be done" in again.stdout and len(records(folder)) == 1
    (run,) = folder.glob("audit/runs/*")
    assert (run / "made.txt").is_file() and "made.txt" in (run / "snakemake.log").read_text()
    assert validate(run, tmp_path_factory.mktemp("v")).returncode == 0


def test_a_failed_run_is_recorded_and_its_error_is_not_lost(folder):
    done = snakemake(folder, command="false")
    assert done.returncode == 1 and "At least one job did not complete" in done.stdout
    (record,) = records(folder)
    assert record["status"] == "failed" and record["end"]


def test_a_killed_run_keeps_a_record_without_an_end(folder):
    process = subprocess.Popen(
        [sys.executable, "-m", "snakemake", *words(seconds=60)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not records(folder):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (record,) = records(folder)
    assert record["end"] is None and record["status"] is None


@pytest.fixture
def described(demo, tmp_path):
    """A copy of the demo's final set, described anew."""
    copy = demo.copy(tmp_path / "demo")
    about = settings.load()["about"]

    def describe(*formats: str) -> Path:
        describe_dataset.describe_dataset(
            final_csv=str(copy.dataset / "05_final_training/final.csv"),
            dataset=str(copy.dataset),
            about=about,
            formats=formats,
            out_json=str(copy.dataset / "croissant.json"),
        )
        return copy.dataset / "croissant.json"

    return describe


@pytest.mark.parametrize("package", ["kohya", "imagefolder"])
def test_croissant_is_valid_and_its_records_are_the_packaged_images(described, package):
    mlcroissant = pytest.importorskip("mlcroissant")
    path = described(package)
    dataset = mlcroissant.Dataset(path)
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert all("citeAs" in text or "datePublished" in text for text in issues.warnings)
    rows = ledger_tables.read_stage(path.parent / f"05_final_training/{package}.csv", "package")
    wanted = {row["item"]: row for row in ledger_tables.kept(rows)}
    for records_of, content in (("images", "image"), ("masks", "mask")):
        seen = set()
        for record in dataset.records(records_of):
            row = wanted[text(record[f"{records_of}/item"])]
            seen.add(row["item"])
            assert text(record[f"{records_of}/caption"]) == row["caption"]
            assert text(record[f"{records_of}/sha256"]) == row["sha256"]
            picture = record[f"{records_of}/{content}"]
            assert picture.size == (int(row["width"]), int(row["height"])) and picture.getbbox()
        assert seen == set(wanted)


def text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_a_changed_final_table_does_not_pass_for_the_described_one(described):
    mlcroissant = pytest.importorskip("mlcroissant")
    path = described("kohya")
    with open(path.parent / "05_final_training/final.csv", "a") as stream:
        stream.write("\n")
    with pytest.raises(Exception, match=r"Download\(final.csv\)"):
        next(iter(mlcroissant.Dataset(path).records("images")))


def test_the_description_has_the_same_bytes_every_time(described):
    assert described("kohya").read_bytes() == described("imagefolder", "kohya").read_bytes()


def test_the_description_has_a_stamp_like_a_table(described):
    path = described("kohya")
    final = str(path.parent / "05_final_training/final.csv")
    table_stamps.write(
        table=path, dataset=path.parent, rule="croissant", code="c", settings={}, inputs=[final]
    )
    stamp = table_stamps.read(table_stamps.place(path.parent, path))
    assert stamp["sha256"] == sha256_file(path) and stamp["rows"] == {}
    assert stamp["inputs"] == {"05_final_training/final.csv": sha256_file(final)}


def test_the_demos_ledger_holds_every_row(demo, tmp_path):
    tables = tables_of(demo.dataset)
    out = tmp_path / "ledger.parquet"
    write_ledger.write_ledger(tables=tables, out_parquet=str(out))
    found = pq.read_table(out).to_pylist()
    rows = [
        row
        for stage in stages.ORDER
        for path in sorted(tables[stage])
        for row in ledger_tables.iter_table(path)
    ]
    assert len(rows) == len(found) > 500
    for row, got in zip(rows, found, strict=True):
        assert all(same(cell, got[column]) for column, cell in row.items())


def test_every_image_of_the_demo_is_traced_to_its_raw_clip(demo):
    dataset = trace_item.open_dataset(demo.folder, [demo.config])
    raw = {row["item"]: row for row in ledger_tables.read_table(demo.dataset / "videos.csv")}
    final = ledger_tables.read_stage(demo.dataset / "05_final_training/final.csv", "final")
    for row in final:
        trace = dataset.trace(row["item"])
        assert trace.steps[0].row["sha256"] == raw[row["video"]]["sha256"]
        assert trace.raw["same_size"] and len(trace.steps) == 8
        assert len(trace.packages) == (2 if row["outcome"] == "kept" else 0)
        assert not any(step.warnings for step in trace.steps)
    for video, row in raw.items():
        fates = {fate.stage: fate for fate in dataset.trace(row["file"]).fates}
        kept = sum(line["outcome"] == "kept" for line in final if line["video"] == video)
        assert fates["final"].counts.get("kept", 0) == kept
