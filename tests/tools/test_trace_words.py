"""`make trace` of what no table tells of: a clip that waits, a near miss, nothing at all."""

from __future__ import annotations

import pytest

from ferrari.ledger import tables
from ferrari.ledger.item_ids import video_id
from tools import trace_item

DONE, WAITING = "walk_room.mp4", "new/IMG 0042.MOV"


@pytest.fixture
def work(tmp_path):
    """A set with one clip that was looked at, and one that waits."""
    for name in (DONE, WAITING):
        path = tmp_path / "dataset/00_raw_videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    row = {"item": video_id(DONE), "parent": DONE, "outcome": "kept"}
    rows = [tables.row("probe", **row, file=DONE)]
    tables.write_stage(tmp_path / f"dataset/videos/{video_id(DONE)}.csv", "probe", rows)
    videos = [tables.row("videos", **row, file=DONE, verdict="OK")]
    tables.write_stage(tmp_path / "dataset/videos.csv", "videos", videos)
    return tmp_path


def told(work, item, capsys):
    assert trace_item.main([item, "--work", str(work)]) == 1
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("asked", [WAITING, "IMG 0042.MOV", video_id(WAITING)])
def test_a_clip_that_waits_for_a_run_is_told_to_wait(work, capsys, asked):
    said = told(work, asked, capsys)
    assert said.startswith(f"{WAITING} lies in {work}") and "no run has looked at it yet" in said


def test_a_near_miss_is_asked_about(work, capsys):
    assert f"did you mean {DONE}?" in told(work, "walk_rom.mp4", capsys)


def test_of_nothing_near_it_is_said_what_can_be_named(work, capsys):
    assert "name a clip, an image, or an id in a table" in told(work, "zzzzzz", capsys)


def test_of_a_set_that_nothing_was_made_of_that_is_said(tmp_path, capsys):
    said = told(tmp_path, "a.mp4", capsys)
    assert f"Nothing was made in {tmp_path / 'dataset'} yet" in said and "WORK=folder" in said
