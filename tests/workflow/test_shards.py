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

pytestmark = pytest.mark.timeout(1500)
#: Two of the small run's clips are in part 1, one is in part 2, none in part 3.
COUNT = 3
#: What stages write of each clip.
OF_STAGES = (
    "videos/",
    "01",
    "02",
    "03",
    "04",
    "05_final_training/captions/",
    "subject/",
    "stamps/videos/",
    "stamps/subject/",
)
PER_CLIP = ("probe", "extract", "detect", "crop", "mask", "augment", "caption")


def shard(number: int) -> tuple[str, str]:
    return ("--config", f"shard={number}/{COUNT}")


def clips_of(run: Demo, number: int) -> frozenset[str]:
    everything = [path.stem for path in (run.dataset / "videos").glob("*.csv")]
    return Shard(number, COUNT).clips(everything, {})


@pytest.fixture(scope="module")
def machines(small, tmp_path_factory):
    """Two working folders: in one what all clips wait for was made, then it was copied, and in each
    a shard was done.
    """
    for number in (1, 2):
        assert clips_of(small, number), "choose other names: this part has no clip"
    first = small_run.start(tmp_path_factory.mktemp("machine") / "first")
    first.run("--cores", "2", "pins")
    both = (first, first.copy(first.folder.with_name("second")))
    for number, run in enumerate(both, start=1):
        planned = run.planned(*shard(number))
        assert not set(planned) - {*PER_CLIP, "all"}
        assert planned["caption"] == len(clips_of(small, number))
        run.run("--cores", "2", *shard(number))
        assert run.planned(*shard(number)) == {}
    return both


def test_shards_share_a_folder(small, machines, tmp_path):
    """One after the other, as far as the bytes go: their locks are `test_run_lock`'s to hold."""
    run = machines[0].copy(tmp_path / "copy")
    run.run("--cores", "2", *shard(2))
    planned = run.planned()
    assert not set(planned) & set(PER_CLIP) and planned["select_final"] == 1
    assert compare_datasets.unlike(run.dataset, small.dataset) == []


def test_a_shard_does_nothing_that_is_not_its_own(tmp_path):
    run = small_run.start(tmp_path / "run")
    said = run.run("--cores", "1", *shard(1), check=False)
    assert "would do what is not its own: " in said and "Run the target `pins` once" in said
    assert not (run.dataset / "videos").exists(), "no job has run"
    wrong = run.run("-n", "--config", "shard=3/2", check=False)
    assert "shard: 3/2 names no part" in wrong


def test_shards_of_two_folders_are_merged_into_what_one_run_leaves(small, machines, tmp_path):
    run = machines[0].copy(tmp_path / "copy")
    merged = merge(run, machines[1])
    assert merged.returncode == 0, merged.stderr
    assert not set(run.planned()) & set(PER_CLIP)
    assert set(PER_CLIP[2:]) <= set(run.planned(overlay={"detect": {"confidence": 0.5}})), (
        "with which settings the other machine's tables were made is known"
    )
    run.run("--cores", "2", small_run.FINAL)
    assert compare_datasets.unlike(run.dataset, small.dataset) == []
    missing = compare_datasets.files(small.dataset) - compare_datasets.files(run.dataset)
    assert not any(name.startswith(OF_STAGES) for name in missing)


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
