"""Several machines, each with a part of the clips, and the bytes of one run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ferrari.ledger.shards import Shard
from tests import compare_datasets
from tests.settings import ROOT
from tests.workflow import small_run
from tests.workflow.demo_run import Demo

pytestmark = pytest.mark.timeout(600)
#: Of the small run's three clips each part has at least one.
COUNT = 2
PER_CLIP = ("probe", "extract", "detect", "crop", "mask", "augment", "caption")


def shard(number: int) -> tuple[str, str]:
    return ("--config", f"shard={number}/{COUNT}")


def with_pins(folder) -> Demo:
    """The small run's clips, with what all of them wait for made."""
    run = small_run.start(folder)
    run.run("--cores", "2", "pins")
    return run


def clips_of(run: Demo, number: int) -> frozenset[str]:
    everything = [path.stem for path in (run.dataset / "videos").glob("*.csv")]
    return Shard(number, COUNT).clips(everything, {})


def test_shards_share_a_folder_and_leave_what_one_run_leaves(small, tmp_path):
    for number in (1, 2):
        assert clips_of(small, number), "choose other names: this part has no clip"
    run = with_pins(tmp_path / "run")
    for number in (1, 2):
        planned = run.planned(*shard(number))
        assert not set(planned) - {*PER_CLIP, "all"}
        assert planned["caption"] == len(clips_of(small, number))
        run.run("--cores", "2", *shard(number))
    assert run.planned(*shard(1)) == {}
    planned = run.planned()
    assert not set(planned) & set(PER_CLIP) and planned["select_final"] == 1
    run.run("--cores", "2")
    assert list(compare_datasets.differences(small.dataset, run.dataset)) == []


def test_a_shard_does_nothing_that_is_not_its_own(small, tmp_path):
    run = small_run.start(tmp_path / "run")
    said = run.run("--cores", "1", *shard(1), check=False)
    assert "would do what is not its own: " in said and "Run the target `pins` once" in said
    assert not (run.dataset / "videos").exists(), "no job has run"
    wrong = run.run("-n", "--config", "shard=3/2", check=False)
    assert "shard: 3/2 names no part" in wrong


def test_shards_of_two_folders_are_merged(small, tmp_path):
    first = with_pins(tmp_path / "first")
    second = first.copy(tmp_path / "second")
    for number, run in enumerate((first, second), start=1):
        run.run("--cores", "2", *shard(number))
    merged = merge(first, second)
    assert merged.returncode == 0, merged.stderr
    planned = first.planned()
    assert not set(planned) & set(PER_CLIP)
    assert set(PER_CLIP[2:]) <= set(first.planned(overlay={"detect": {"confidence": 0.5}})), (
        "with which settings the other machine's tables were made is known"
    )
    first.run("--cores", "2")
    assert list(compare_datasets.differences(small.dataset, first.dataset)) == []


def test_sets_that_differ_are_not_merged(small, tmp_path):
    one, other = small.copy(tmp_path / "one"), small.copy(tmp_path / "other")
    table = next((other.dataset / "02_yolo_crops").glob("*.csv"))
    table.write_text(table.read_text() + "\n")
    lost = one.dataset / "videos.csv"
    lost.unlink()
    refused = merge(one, other)
    assert refused.returncode == 2 and "no shards of one set" in refused.stderr
    assert table.name in refused.stderr
    assert not lost.exists(), "nothing was written"


def merge(into: Demo, *others: Demo) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts/tools/merge_shards.py")]
    folders = [str(run.folder) for run in (into, *others)]
    return subprocess.run(
        [*command, *folders, "--into", str(into.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
