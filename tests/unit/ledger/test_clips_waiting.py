"""What a run would find: clips that are new, begun, gone; files that are no clips."""

from __future__ import annotations

import pytest

from ferrari.ledger import clips_waiting
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import video_id
from ferrari.ledger.raw_listing import look_through, sizes

DONE, BEGUN, NEW, GONE = "done.mp4", "begun.mp4", "new.mp4", "gone.mp4"
TABLES = {"videos": (DONE, BEGUN, GONE, "old.txt"), "05_final_training/captions": (DONE, "old.txt")}


@pytest.fixture
def the_set(tmp_path):
    raw, dataset = tmp_path / "raw", tmp_path / "dataset"
    raw.mkdir()
    for name in (DONE, BEGUN, NEW, "old.txt", "notes.txt"):
        (raw / name).write_bytes(b"text")
    for folder, names in TABLES.items():
        (dataset / folder).mkdir(parents=True)
        for name in names:
            (dataset / folder / f"{video_id(name)}.csv").touch()
    rows = [
        dict.fromkeys(COLUMNS["videos"], "")
        | {"item": video_id(name), "file": name, "verdict": verdict, "bytes": "4"}
        for name, verdict in (
            *((DONE, "OK"), (GONE, "OK"), ("old.txt", "NOT_A_VIDEO")),
            *((".DS_Store", "SYSTEM_FILE"), ("x.lrv", "IGNORED")),
        )
    ]
    return dataset, rows, raw


def waiting(dataset, rows, raw, animations=False):
    videos = look_through(raw).videos
    now = sizes(videos, raw)
    return clips_waiting.of(dataset, rows, str(raw), videos, sizes=now, animations=animations)


def test_each_file_is_counted_for_what_it_is(the_set):
    dataset, rows, raw = the_set
    found = waiting(dataset, rows, raw)
    assert found.new == {video_id(NEW)}
    assert found.begun == {video_id(BEGUN)}, "a run that failed or was stopped left it there"
    assert found.others == {video_id("old.txt"): "other file", video_id("notes.txt"): "text"}
    assert found.new_others == {video_id("notes.txt")}
    assert found.gone == (GONE,), "files of the system are no clips that went"


def test_a_set_that_was_never_run_has_new_clips_only(the_set, tmp_path):
    _, _, raw = the_set
    found = waiting(tmp_path / "none", (), raw, animations=True)
    assert found.new == {video_id(name) for name in (DONE, BEGUN, NEW)}
    assert not found.begun and found.gone == ()


@pytest.mark.parametrize(("data", "kind"), [(b"\0\0\0 ftypisom", None), (b"other text", "text")])
def test_another_file_of_that_name_is_looked_at_anew(the_set, data, kind):
    """A spoilt download that was fetched again stayed an "other file" of the plan."""
    dataset, rows, raw = the_set
    (raw / "old.txt").write_bytes(data)
    found = waiting(dataset, rows, raw)
    assert found.others.get(video_id("old.txt")) == kind


def test_a_spoilt_download_that_was_fetched_again_is_a_clip(the_set):
    dataset, rows, raw = the_set
    rows[0]["verdict"] = "NOT_A_VIDEO"  # of done.mp4
    assert video_id(DONE) in waiting(dataset, rows, raw).others, (
        "named as film, and known to be none"
    )
    (raw / DONE).write_bytes(b"\0\0\0 ftypisom")
    assert video_id(DONE) not in waiting(dataset, rows, raw).others


@pytest.mark.parametrize("verdict", ["IGNORED", "SYSTEM_FILE"])
def test_what_is_not_left_out_any_more_is_a_new_clip(the_set, verdict):
    dataset, rows, raw = the_set
    row = {"item": video_id(NEW), "file": NEW, "verdict": verdict, "bytes": "4"}
    found = waiting(dataset, [*rows, row], raw)
    assert found.new == {video_id(NEW)} and video_id(NEW) not in found.others
