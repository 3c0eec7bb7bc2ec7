"""What a run would find: clips that are new, begun, gone; files that are no clips."""

from __future__ import annotations

import pytest

from ferrari.ledger import clips_waiting
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import video_id
from ferrari.ledger.raw_listing import look_through

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
        | {"item": video_id(name), "file": name, "verdict": verdict}
        for name, verdict in (
            *((DONE, "OK"), (GONE, "OK"), ("old.txt", "NOT_A_VIDEO")),
            *((".DS_Store", "SYSTEM_FILE"), ("x.lrv", "IGNORED")),
        )
    ]
    return dataset, rows, raw


def test_each_file_is_counted_for_what_it_is(the_set):
    dataset, rows, raw = the_set
    found = clips_waiting.of(dataset, rows, str(raw), look_through(raw).videos, animations=False)
    assert found.new == {video_id(NEW)}
    assert found.begun == {video_id(BEGUN)}, "a run that failed or was stopped left it there"
    assert found.others == {video_id("old.txt"): "other file", video_id("notes.txt"): "text"}
    assert found.new_others == {video_id("notes.txt")}
    assert found.gone == (GONE,), "files of the system are no clips that went"


def test_a_set_that_was_never_run_has_new_clips_only(the_set, tmp_path):
    _, _, raw = the_set
    videos = look_through(raw).videos
    found = clips_waiting.of(tmp_path / "none", (), str(raw), videos, animations=True)
    assert found.new == {video_id(name) for name in (DONE, BEGUN, NEW)}
    assert not found.begun and found.gone == ()
