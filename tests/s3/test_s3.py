"""The workflow on clips of a bucket: the bytes of a run from the disk, and what faults become."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path

import pytest

from ferrari.ledger import item_ids, tables
from ferrari.storage import buckets, run_listing
from ferrari.video import fetched_clips
from tests import compare_datasets
from tests.s3 import server as s3
from tests.s3.server import CUT, DENY, KEY, LOSE, SECRET, Server
from tests.workflow import small_run
from tests.workflow.demo_run import Demo
from tests.workflow.test_batches import SUBMITTED

MISSING = s3.missing()
pytestmark = [
    pytest.mark.s3,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(bool(MISSING), reason=MISSING),  # before the run that it compares with
]
NAMES = sorted([*small_run.SPECS, "thumbnail.mp4"])
WALK, WAVE, TINY = "walk one.mp4", "wave_two.mp4", "thumbnail.mp4"
#: One clip's table of stage 1, which needs no network: what most faults are tried with.
PROBES = "dataset/videos.csv"


@dataclass
class Bucketed:
    """A working folder whose clips lie in a bucket."""

    demo: Demo
    server: Server

    def waiting(self) -> list[str]:
        """The files that were fetched and are still there."""
        folder = self.demo.dataset / fetched_clips.FOLDER
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def run(self, *arguments: str, check: bool = True, **changed: object) -> str:
        return self.demo.run(*arguments, check=check, overlay=self._settings(changed))

    def planned(self, *arguments: str) -> dict[str, int]:
        return self.demo.planned(*arguments, overlay=self._settings({}))

    def _settings(self, changed: dict) -> dict:
        return {"raw_videos": self.server.address, **changed}

    def verdicts(self) -> dict[str, str]:
        """The verdict on each clip, by its file."""
        rows = tables.read_table(self.demo.dataset / "videos.csv")
        return {row["file"]: row["verdict"] for row in rows}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3.running(tmp_path_factory.mktemp("s3")) as found:
        yield found


@pytest.fixture
def bucketed(server, small, tmp_path, monkeypatch):
    """The small run's clips in the bucket, and nothing done yet; no other test's fault is left."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    raw = small.dataset / "00_raw_videos"
    for name in NAMES:
        server.put(name, (raw / name).read_bytes())
    server.faults.of.clear()
    server.sent.clear()
    server.listings.clear()
    (tmp_path / "set").mkdir()
    return Bucketed(Demo(tmp_path / "set"), server)


def test_a_run_from_a_bucket_is_the_run_from_the_disk(bucketed, small):
    """To the last byte, but for the ETag in the rows of stage 0 and what is made of those rows.
    Each clip is fetched once, nothing of it stays, and no file knows the key.
    """
    bucketed.run("--cores", "2", small_run.FINAL)
    unlike = compare_datasets.unlike(bucketed.demo.dataset, small.dataset)
    assert {name for name in unlike if not name.startswith(("videos", "stamps/"))} == set()
    assert bucketed.server.sent == {
        name: (small.dataset / "00_raw_videos" / name).stat().st_size for name in NAMES
    }
    assert bucketed.waiting() == []
    for row in tables.read_table(bucketed.demo.dataset / "videos.csv"):
        assert row["etag"] and len(row["sha256"]) == 64
    assert bucketed.planned(small_run.FINAL) == {}
    assert not (bucketed.demo.dataset / "00_raw_videos").exists()
    assert holding(bucketed.demo.folder, KEY, SECRET) == []


def test_the_bucket_is_listed_once_a_run_and_not_by_its_jobs(bucketed, monkeypatch):
    """Not even by a job that reads the workflow anew, as each does that a cluster runs; a job that
    cannot have its run's listing asks for itself.
    """
    bucketed.run("--cores", "2", PROBES)
    assert len(bucketed.server.listings) == 1, bucketed.server.listings
    listings = bucketed.demo.dataset / run_listing.FOLDER
    assert not listings.exists(), "the run is over"
    bucketed.server.listings.clear()
    address = bucketed.server.address
    run_listing.hand_on(address, buckets.listed(address), bucketed.demo.dataset)
    assert len(bucketed.server.listings) == 1
    job = f"probe:video={item_ids.video_id(WALK)}"
    try:
        said = bucketed.run(*SUBMITTED, "--target-jobs", job)
    finally:
        handed = os.environ.pop(run_listing.LISTING)
    assert "1 of 1 steps" in said, said[-2000:]
    assert len(bucketed.server.listings) == 1, bucketed.server.listings
    Path(handed).unlink()
    bucketed.run(*SUBMITTED, "--target-jobs", job)
    assert len(bucketed.server.listings) == 2


def holding(folder: Path, *texts: str) -> list[str]:
    """The files below a folder that hold one of some texts."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 100
    return [
        str(path) for path in files if any(text.encode() in path.read_bytes() for text in texts)
    ]


def test_what_changes_in_the_bucket_is_what_runs_again(bucketed, small):
    bucketed.run("--cores", "2", PROBES)
    assert bucketed.planned(PROBES) == {}
    time.sleep(1.1)  # the server counts seconds
    bucketed.server.put(WALK, (small.dataset / "00_raw_videos" / WAVE).read_bytes())
    planned = bucketed.planned(PROBES)
    assert (planned["probe"], planned["extract"]) == (1, 1)
    bucketed.server.sent.clear()
    bucketed.run("--cores", "2", PROBES)
    assert set(bucketed.server.sent) == {WALK}
    assert sorted(bucketed.verdicts().values()) == ["DUPLICATE_VIDEO", "LOW_RESOLUTION", "OK"]
    bucketed.run("--cores", "2", PROBES, probe={"min_short_side": 470})
    assert bucketed.waiting() == [], "stage 1 had nothing to do with what stage 0 fetched"
    bucketed.run("--cores", "2", PROBES)
    time.sleep(1.1)
    bucketed.server.put(TINY, (small.dataset / "00_raw_videos" / TINY).read_bytes())
    assert bucketed.planned(PROBES)["probe"] == 1, "it was written again, the same"
    bucketed.server.sent.clear()
    bucketed.run("--cores", "2", PROBES)
    assert not bucketed.server.sent, "its ETag says so: nothing is fetched"
    bucketed.server.delete(WALK)
    bucketed.run("--cores", "2", PROBES)
    assert bucketed.verdicts().keys() == {WAVE, TINY}


def test_an_object_that_cannot_be_had_is_a_row_and_is_tried_again(bucketed):
    """Each of three in another way: refused, gone since it was listed, cut off every time."""
    for name, fault in ((WALK, DENY), (WAVE, LOSE), (TINY, CUT)):
        bucketed.server.faults.of[name] = repeat(fault)
    bucketed.run("--cores", "2", PROBES)
    assert set(bucketed.verdicts().values()) == {"NOT_FETCHED"}
    before = rows(bucketed)
    assert "ACCESS_DENIED" in before[WALK]["detail"]
    assert "is no longer in the bucket" in before[WAVE]["detail"]
    assert "cannot be fetched" in before[TINY]["detail"]
    bucketed.run("--cores", "2", PROBES)
    assert rows(bucketed) == before, "what the server says of its own is no part of a row"
    bucketed.server.faults.of.clear()
    bucketed.run("--cores", "2", PROBES)
    assert bucketed.verdicts() == {WALK: "OK", WAVE: "OK", TINY: "LOW_RESOLUTION"}
    bucketed.run("--cores", "2", PROBES)  # their states have changed: the notes are gone
    assert bucketed.planned(PROBES) == {}


def rows(bucketed: Bucketed) -> dict[str, dict[str, str]]:
    """The rows of stage 0, by file."""
    folder = bucketed.demo.dataset / "videos"
    found = (
        tables.read_stage(folder / f"{item_ids.video_id(name)}.csv", "probe") for name in NAMES
    )
    return {row["file"]: row for (row,) in found}


def test_a_copy_that_was_cut_off_once_is_fetched_again(bucketed):
    bucketed.server.faults.of[WALK] = chain([""], repeat(CUT, 3))
    bucketed.run("--cores", "2", PROBES)
    assert bucketed.verdicts()[WALK] == "OK"


def test_a_bucket_that_cannot_be_listed_ends_the_run_in_a_sentence(bucketed, monkeypatch):
    said = bucketed.run("--cores", "1", PROBES, check=False, raw_videos="s3://no-such-bucket/a")
    assert "s3://no-such-bucket/a cannot be read" in said, said[-2000:]
    bucketed.server.faults.of["/footage"] = repeat(DENY)
    said = bucketed.run("--cores", "1", PROBES, check=False)
    assert "ACCESS_DENIED" in said and "it needs s3:ListBucket" in said
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{s3.free_port()}")
    began = time.monotonic()
    said = bucketed.run("--cores", "1", PROBES, check=False)
    assert "cannot be read: the server at http://127.0.0.1" in said, said[-2000:]
    assert time.monotonic() - began < 120
    assert "Traceback" not in said and SECRET not in said and KEY not in said
    assert not (bucketed.demo.dataset / "videos").exists()


def test_a_network_that_goes_away_in_the_middle_makes_no_rows(bucketed):
    """Jobs fail and leave nothing; the same command goes on when it is back."""
    bucketed.server.faults.of[".mp4"] = repeat(DENY)
    bucketed.server.faults.of["/footage"] = chain([""], repeat(DENY))  # the run's own listing
    said = bucketed.run("--cores", "2", PROBES, check=False)
    assert "cannot be read" in said
    assert not list((bucketed.demo.dataset / "videos").glob("*.csv"))
    bucketed.server.faults.of.clear()
    bucketed.run("--cores", "2", PROBES)
    assert bucketed.verdicts()[WALK] == "OK"
