"""What people call by hand, on a set whose clips lie in a bucket."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from ferrari.common import settings
from ferrari.dashboard import dry_run
from ferrari.ledger import raw_listing
from ferrari.ledger.clips_waiting import ClipsWaiting
from ferrari.ledger.raw_listing import find_videos
from ferrari.provenance.trace import Dataset
from ferrari.storage.buckets import BucketError
from ferrari.verification.findings import Findings, Layout
from scripts.tools import new_set, plan_run, trace_item
from tests.unit.storage.fake_store import FakeStore

verify_dataset = importlib.import_module("verify_dataset")
ADDRESS = "s3://footage/anna 1"


@pytest.fixture
def shoot(store: FakeStore) -> FakeStore:
    """Two clips in the bucket."""
    store.put("footage/anna 1/a.mp4", b"abc")
    store.put("footage/anna 1/day/b.mp4", b"defgh")
    return store


@pytest.fixture
def own(shoot, tmp_path) -> Path:
    """The settings of a set that was begun on them."""
    said = new_set.begin(tmp_path / "set", ADDRESS, "sks", "person")
    assert f"2 files in {ADDRESS} may be clips" in said
    return tmp_path / "set/my.yaml"


def test_a_set_is_begun_on_a_bucket(own):
    assert yaml.safe_load(own.read_text())["raw_videos"] == ADDRESS


def test_a_bucket_that_cannot_be_listed_begins_no_set(shoot, tmp_path):
    shoot.is_down = True
    with pytest.raises(BucketError, match="cannot be read"):
        new_set.begin(tmp_path / "set", ADDRESS, "sks", "person")
    assert not (tmp_path / "set").exists()


def test_a_plan_knows_how_much_there_is(own):
    this = plan_run._Set(own.parent, [own], settings.load(own), 1)
    files = this.files_found()
    sizes = raw_listing.sizes(files, this.raw)
    found = plan_run.footage(this.dataset, files, sizes, (), ClipsWaiting())
    assert (found.files, found.bytes) == (2, 8)


def test_a_forecast_hangs_on_the_objects(own, shoot):
    the_set = SimpleNamespace(raw=ADDRESS, config_files=[own])

    def states() -> list:
        return dry_run._states(dry_run._raw(the_set, settings.load(own)), ADDRESS)

    before = states()
    assert len(before) == 2 and states() == before
    shoot.put("footage/anna 1/a.mp4", b"xyz")
    assert states() != before


def test_a_trace_finds_clips_by_their_address(shoot, tmp_path):
    assert trace_item.waiting_clip(ADDRESS, "b.mp4") == "day/b.mp4"
    assert trace_item.waiting_clip(ADDRESS, f"{ADDRESS}/a.mp4") == "a.mp4"
    assert trace_item.waiting_clip(ADDRESS, "c.mp4") == ""
    dataset = Dataset(tmp_path, ADDRESS)
    (video,) = (one for one, file in find_videos(ADDRESS).items() if file == "day/b.mp4")
    assert video in dataset._as_raw(f"{ADDRESS}/day/b.mp4")
    told = dataset._raw({"file": "day/b.mp4", "bytes": "5"})
    assert told == {
        "path": f"{ADDRESS}/day/b.mp4", "there": True, "bytes": 5, "same_size": True, "gone": False,
    }  # fmt: skip
    assert not dataset._raw({"file": "c.mp4", "bytes": "5"})["there"]


def test_verify_holds_objects_to_their_etags(shoot, tmp_path):
    layout = Layout(dataset=tmp_path, raw=ADDRESS, videos=find_videos(ADDRESS), formats=())
    etags = {video: etag for video, (etag, _) in verify_dataset._raw_looks(layout, None).items()}
    shoot.put("footage/anna 1/a.mp4", b"xyz")
    del shoot.objects["footage/anna 1/day/b.mp4"]
    findings = Findings()
    for video, look in verify_dataset._raw_looks(layout, None).items():
        clip = SimpleNamespace(video=video, rows={"probe": [{}]}, raw_etag=etags[video])
        verify_dataset._raw_fault(layout, findings, clip, *look)
        never = SimpleNamespace(video=video, rows={"probe": [{}]}, raw_etag="")
        assert verify_dataset._raw_fault(layout, findings, never, *look) == ""
    assert sorted((fault.where, fault.why) for fault in findings.faults) == [
        ("a.mp4", "the raw file is not the one that stage 0 saw"),
        ("day/b.mp4", "the raw file is no longer in the bucket"),
    ]


@pytest.mark.parametrize("raw", ["raw/", "s3://footage/raw/"])
def test_a_place_without_clips_is_told_by_its_name(raw, tmp_path):
    verdict = verify_dataset.examine(Layout(tmp_path / "dataset", raw, videos={}, formats=()))
    faults = [one for one in verdict.findings.listed() if one.check == "raw_files_found"]
    assert [one.where for one in faults] == ["raw"]
