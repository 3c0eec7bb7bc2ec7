"""Stages 0 and 1 on clips of a bucket: the same as from a disk, or a row that says why not."""

import importlib
from types import SimpleNamespace

import pytest

from ferrari.ledger import item_ids, tables
from ferrari.storage.buckets import BucketError
from ferrari.video import fetched_clips
from ferrari.video.raw_files import RawFileChangedError
from tests.generator import faults
from tests.generator.spec import ClipSpec
from tests.settings import section
from tests.stage.clip_run import Run

stage_0 = importlib.import_module("00_probe_video")
stage_1 = importlib.import_module("01_extract_frames")
SPEC = ClipSpec(seed=1, width=160, height=120, n_frames=20, fps="25", gop=10)
NAME, OBJECT = "walk one.mp4", "footage/shoot/walk one.mp4"
RAW, VIDEO = f"s3://{OBJECT}", item_ids.video_id(NAME)


@pytest.fixture
def clip(tmp_path):
    """A clip on the disk."""
    path = tmp_path / NAME
    faults.good(path, SPEC)
    return path


def probe(dataset, raw=RAW) -> dict[str, str]:
    """Stage 0; its row."""
    out = dataset / f"videos/{VIDEO}.csv"
    settings = section("probe", min_short_side=64)
    stage_0.probe_video(
        raw=raw, file=NAME, video=VIDEO, dataset=str(dataset), out_csv=str(out), settings=settings
    )
    (row,) = tables.read_stage(out, "probe")
    return row


def extract(dataset, raw=RAW) -> list[dict[str, str]]:
    """Stage 1; its rows."""
    out = dataset / f"01_extracted_frames/{VIDEO}.csv"
    stage_1.extract_video(
        raw=raw, probe_csv=str(dataset / f"videos/{VIDEO}.csv"), video=VIDEO, threads=1,
        dataset=str(dataset), out_csv=str(out), settings=section("extract"),
    )  # fmt: skip
    return tables.read_stage(out, "extract")


def left(dataset) -> list:
    return list((dataset / fetched_clips.FOLDER).iterdir())


def test_rows_and_frames_are_those_of_a_clip_on_the_disk(store, clip, tmp_path):
    store.put(OBJECT, clip.read_bytes())
    local, dataset = Run(tmp_path / "local"), tmp_path / "bucket"
    row = probe(dataset)
    assert len(row["etag"]) == 32 and row | {"etag": ""} == local.probe(clip)
    rows = extract(dataset)
    assert rows == local.extract_probed(clip) and rows[0]["outcome"] == "kept"
    assert [(dataset / row["path"]).read_bytes() for row in rows] == [
        (tmp_path / "local" / row["path"]).read_bytes() for row in rows
    ]
    assert store.fetched == [OBJECT], "once for both stages"
    assert left(dataset) == []


def test_a_refused_clip_is_kept_aside_and_does_not_wait(store, tmp_path):
    store.put(OBJECT, b"no video")
    row = probe(tmp_path)
    assert row["outcome"] == "quarantined"
    assert (tmp_path / row["path"]).read_bytes() == b"no video"
    assert left(tmp_path) == []


def test_a_small_copy_of_another_clip_does_not_wait_on(store, clip, tmp_path, monkeypatch):
    store.put(OBJECT, clip.read_bytes())
    probe(tmp_path)
    assert len(left(tmp_path)) == 1
    reason = {"outcome": "dropped", "reason": "LOW_RESOLUTION_TWIN"}
    twin = tables.row("extract", item=VIDEO, parent=VIDEO, **reason)
    monkeypatch.setattr(stage_1, "_twin", lambda *_: twin)
    (row,) = extract(tmp_path)
    assert row["reason"] == "LOW_RESOLUTION_TWIN" and left(tmp_path) == []


def test_a_clip_that_cannot_be_fetched_is_a_row_until_it_can_be(store, clip, tmp_path):
    store.put(OBJECT, clip.read_bytes())
    store.denied.add(OBJECT)
    row = probe(tmp_path)
    assert (row["outcome"], row["reason"], row["sha256"]) == ("quarantined", "NOT_FETCHED", "")
    assert row["detail"].startswith("the object cannot be fetched: AWS Error ACCESS_DENIED")
    assert fetched_clips.failures(tmp_path).keys() == {VIDEO}
    assert extract(tmp_path) == []
    store.denied.clear()
    assert probe(tmp_path)["outcome"] == "kept"
    assert fetched_clips.failures(tmp_path) == {}
    assert extract(tmp_path)[0]["outcome"] == "kept"


def test_a_bucket_that_cannot_be_asked_makes_no_row(store, clip, tmp_path):
    store.put(OBJECT, clip.read_bytes())
    store.is_down = True
    with pytest.raises(BucketError, match="Check raw_videos, the network"):
        probe(tmp_path)
    assert not (tmp_path / f"videos/{VIDEO}.csv").exists()


def test_a_clip_that_goes_between_the_stages_ends_the_job(store, clip, tmp_path):
    store.put(OBJECT, clip.read_bytes())
    probe(tmp_path)
    fetched_clips.clear(tmp_path)  # it did not fit, say
    del store.objects[OBJECT]
    with pytest.raises(RawFileChangedError, match="is no longer in the bucket: stage 0 could"):
        extract(tmp_path)
    store.put(OBJECT, b"another one")
    with pytest.raises(RawFileChangedError, match="not the file that stage 0 looked at"):
        extract(tmp_path)


def test_a_table_holds_while_the_etag_does(store, clip, tmp_path):
    store.put(OBJECT, clip.read_bytes())
    probe(tmp_path)
    table = SimpleNamespace(table=str(tmp_path / f"videos/{VIDEO}.csv"))
    job = SimpleNamespace(output=table, params=SimpleNamespace(raw=RAW))
    store.put(OBJECT, clip.read_bytes())  # written again, the same
    assert stage_0.still_holds(job) and store.fetched == [OBJECT]
    store.put(OBJECT, b"another one")
    assert not stage_0.still_holds(job)
    del store.objects[OBJECT]
    assert not stage_0.still_holds(job)
