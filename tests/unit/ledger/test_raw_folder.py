"""The folder of raw clips: what counts as a clip, whatever it is called."""

import os

import pytest

from ferrari.ledger import raw_folder


def test_ids_do_not_depend_on_other_files(tmp_path):
    (tmp_path / "one.mp4").touch()
    before = raw_folder.look_through(tmp_path).videos
    for other in ("sub/one.mp4", "zwei.mp4", "- leading.mp4", "new\nline.mp4"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    after = raw_folder.look_through(tmp_path).videos
    assert before.items() <= after.items() and len(after) == 5


def test_hidden_files_are_left_out_and_undecodable_names_are_not(tmp_path):
    (tmp_path / ".DS_Store").touch()
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    found = raw_folder.look_through(tmp_path).videos
    assert [os.fsencode(file) for file in found.values()] == [b"caf\xe9.mp4"]


def test_a_collision_is_an_error_that_names_both(tmp_path, monkeypatch):
    monkeypatch.setattr(raw_folder, "video_id", lambda relative: "same-0000000000")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(raw_folder.DuplicateIdError, match=r"(?s)a\.mp4.*b\.mp4|b\.mp4.*a\.mp4"):
        raw_folder.look_through(tmp_path)
