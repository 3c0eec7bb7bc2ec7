"""Records of runs: what they hold, a crate that validates, and faults that change no run's end."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
import yaml

from ferrari.common import settings
from ferrari.common.atomic_files import sha256_bytes, sha256_file
from ferrari.provenance import run_record
from ferrari.provenance.code_digest import code_digest
from ferrari.provenance.run_record import Recorder
from tests.offline_contexts import fill_cache

WORKFLOW = SimpleNamespace(
    rules=[
        SimpleNamespace(name="all", script=None),
        SimpleNamespace(name="probe", script="../scripts/00_probe_video.py"),
    ],
    config_settings=SimpleNamespace(configfiles=[Path("my.yaml").absolute()]),
    dag_settings=SimpleNamespace(targets={"all"}),
)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Settings whose folders are below a working folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/videos.csv").write_text("item,file\n")
    (tmp_path / "snakemake.txt").write_text("what Snakemake said\n")
    return settings.load(Path(run_record.ROOT) / "config/demo.yaml")


def run(config, status="success", logs=("snakemake.txt",)) -> Path:
    """Record one run from start to end; its folder."""
    recorder = Recorder(config, WORKFLOW, {"audit/ledger.parquet": "all tables"})
    recorder.start()
    Path("audit/ledger.parquet").write_bytes(b"rows")
    recorder.end(status, logs)
    return next(Path("audit/runs").iterdir())


def read(folder: Path) -> dict:
    return json.loads((folder / "run.json").read_text())


def test_two_runs_of_one_second_and_one_process_number_have_a_record_each(config, monkeypatch):
    """Containers that share a set and begin at once have the same process number."""
    monkeypatch.setattr(run_record, "datetime", Mock(now=Mock(return_value=datetime.now(UTC))))
    for _ in range(3):
        Recorder(config, WORKFLOW, {}).start()
    folders = sorted(Path("audit/runs").iterdir())
    assert len(folders) == 3 and all(read(folder)["start"] for folder in folders)


def test_a_record_says_with_what_a_run_was_made(config):
    folder = run(config)
    record = read(folder)
    assert record["status"] == "success" and record["start"] <= record["end"]
    assert record["packages"]["snakemake"] and record["python"] and record["machine"]["cpus"]
    assert record["code"] == {
        "probe": {
            "script": "scripts/00_probe_video.py",
            "digest": code_digest("scripts/00_probe_video.py"),
        }
    }
    weights = {one["name"]: one["for"] for one in record["weights"]}
    assert weights.pop("demo-person-seg") == ["detect", "mask"]
    assert set(map(tuple, weights.values())) == {("subject",)} and len(weights) == 2
    assert all(len(one["sha256"]) == 64 for one in record["weights"])
    text = (folder / "config.yaml").read_bytes()
    assert yaml.safe_load(text) == config and record["config_sha256"] == sha256_bytes(text)
    assert record["lock_sha256"] == sha256_file(run_record.ROOT / run_record.LOCK)


def test_a_run_that_was_killed_keeps_its_beginning(config):
    Recorder(config, WORKFLOW, {}).start()
    record = read(next(Path("audit/runs").iterdir()))
    assert record["end"] is None and record["status"] is None and record["start"]


def test_a_run_that_cannot_be_recorded_does_not_start(config):
    Path("audit").write_text("a file where the folder should be")
    with pytest.raises(OSError) as caught:
        Recorder(config, WORKFLOW, {}).start()
    assert caught.value.errno == errno.ENOTDIR and "audit" in str(caught.value.filename)


def test_a_full_disk_at_the_end_is_told_and_changes_nothing(config, monkeypatch, caplog):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_record.run_crate, "write", full)
    with caplog.at_level(logging.ERROR):
        folder = run(config, "failed")
    assert "its record in" in caplog.text and "No space left" in caplog.text
    assert read(folder)["status"] == "failed"


def test_a_folder_that_could_not_be_copied_is_told_in_a_line(config, monkeypatch, caplog):
    """Every file of it was, in 111,000 characters, above what had failed and what to do."""
    why = "[Errno 28] No space left on device"

    def full(*_):
        raise shutil.Error([("from", "to", f"{why}: 'to/{n}.py'") for n in range(400)])

    monkeypatch.setattr(run_record.run_crate, "write", full)
    with caplog.at_level(logging.ERROR):
        run(config, "failed")
    assert caplog.messages[-1].endswith(f"is not complete: {why}: 'to/0.py' and 399 more")


def test_hooks_of_a_run_that_never_started_write_nothing(config):
    Recorder(config, WORKFLOW, {}).end("failed")
    assert not Path("audit").exists()


def test_the_gpu_is_told_as_nvidia_smi_tells_it(monkeypatch):
    told = "NVIDIA H200, 570.86.15, 143771 MiB\nNVIDIA H200, 570.86.15, 143771 MiB\n"
    monkeypatch.setattr(run_record, "_ask", lambda *command: told)
    gpu = {"name": "NVIDIA H200", "driver": "570.86.15", "memory": "143771 MiB"}
    assert run_record._gpus() == [gpu, gpu]


def test_programs_that_are_not_there_fail_or_hang_tell_nothing(monkeypatch):
    monkeypatch.setattr(run_record, "_PATIENCE_S", 0.2)
    assert run_record._ask("no-such-program") is None
    assert run_record._ask("false") is None
    assert run_record._ask("sleep", "30") is None


def test_results_older_than_the_run_are_not_its_own(config):
    Path("audit").mkdir()
    Path("audit/old.json").write_text("{}")
    recorder = Recorder(config, WORKFLOW, {"audit/old.json": "of a run before"})
    recorder.start()
    import os

    os.utime("audit/old.json", (1, 1))
    recorder.end("success")
    assert not list(Path("audit/runs").glob("*/old.json"))


@pytest.mark.parametrize(
    ("status", "about"),
    [
        ("success", {}),
        ("failed", {"creator": "A. Person", "licence": "https://spdx.org/licenses/CC0-1.0"}),
    ],
)
def test_the_crate_is_a_workflow_run_crate(config, tmp_path, status, about):
    config["about"] |= about
    folder = run(config, status)
    done = validate(folder, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is a valid workflow-run-crate-0.5" in done.stdout
    graph = {
        node["@id"]: node
        for node in json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    }
    assert ("error" in graph["#run"]) == (status == "failed")
    assert ("agent" in graph["#run"]) == bool(about)
    assert {part["@id"] for part in graph["./"]["hasPart"]} >= {"ledger.parquet", "videos.csv"}
    assert (folder / "ledger.parquet").stat().st_ino == Path("audit/ledger.parquet").stat().st_ino


def test_the_validator_finds_what_is_wrong(config, tmp_path):
    folder = run(config)
    (folder / "ledger.parquet").unlink()
    done = validate(folder, tmp_path)
    assert done.returncode != 0 and "ledger.parquet" in done.stdout


def validate(folder: Path, scratch: Path) -> subprocess.CompletedProcess[str]:
    """`rocrate-validator validate --offline`, at the level of what is required."""
    fill_cache(scratch / "contexts")
    command = [
        *(Path(sys.executable).with_name("rocrate-validator"), "--disable-color", "validate"),
        *("--offline", "--cache-path", str(scratch / "contexts"), "--no-paging", "--verbose"),
        *("--profile-identifier", "workflow-run-crate", str(folder)),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("told", "git"),
    [("a" * 40, {"commit": "a" * 40, "dirty": False}),
     ("a" * 40 + "-dirty", {"commit": "a" * 40, "dirty": True})],
)  # fmt: skip
def test_in_an_image_the_commit_is_what_it_was_built_from(config, monkeypatch, told, git):
    monkeypatch.setenv(run_record.BUILT_FROM, told)
    assert read(run(config, "success"))["git"] == git
