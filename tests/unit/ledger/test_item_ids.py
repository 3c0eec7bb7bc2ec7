"""Ids: safe everywhere, unique, and stable when other clips come or go."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferrari.ledger import item_ids

FULL_ID = re.compile(rf"^{item_ids.VIDEO_ID}$")


@given(st.text(min_size=1).filter(lambda t: "\0" not in t))
def test_any_name_gives_a_safe_id(name):
    video = item_ids.video_id(name)
    assert FULL_ID.match(video) and len(video) <= 51


def test_same_stem_case_and_unicode_form_stay_apart():
    files = ("a.mp4", "A.mp4", "a.mkv", "sub/a.mp4", "\u00e9.mp4", "e\u0301.mp4")
    assert len({item_ids.video_id(file) for file in files}) == 6


def test_ids_do_not_depend_on_other_files(tmp_path):
    (tmp_path / "one.mp4").touch()
    before = item_ids.look_through(tmp_path).videos
    for other in ("sub/one.mp4", "zwei.mp4", "- leading.mp4", "new\nline.mp4"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).touch()
    after = item_ids.look_through(tmp_path).videos
    assert before.items() <= after.items() and len(after) == 5


def test_hidden_files_are_left_out_and_undecodable_names_are_not(tmp_path):
    (tmp_path / ".DS_Store").touch()
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    found = item_ids.look_through(tmp_path).videos
    assert [os.fsencode(file) for file in found.values()] == [b"caf\xe9.mp4"]


def test_a_collision_is_an_error_that_names_both(tmp_path, monkeypatch):
    monkeypatch.setattr(item_ids, "video_id", lambda relative: "same-0000000000")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    with pytest.raises(item_ids.DuplicateIdError, match=r"(?s)a\.mp4.*b\.mp4|b\.mp4.*a\.mp4"):
        item_ids.look_through(tmp_path)


def test_items_name_their_parents_and_hold_nothing_that_trainers_cut():
    item = item_ids.variant_item(
        item_ids.crop_item(item_ids.frame_item("clip-0123456789", 7), 1), 2
    )
    assert item == "clip-0123456789-f000007-p1-v2"
    assert not set("._ ") & set(item)
