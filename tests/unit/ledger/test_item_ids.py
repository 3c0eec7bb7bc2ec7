"""Ids: safe everywhere, unique, and stable when other clips come or go."""

import re

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


def test_items_name_their_parents_and_hold_nothing_that_trainers_cut():
    item = item_ids.variant_item(
        item_ids.crop_item(item_ids.frame_item("clip-0123456789", 7), 1), 2
    )
    assert item == "clip-0123456789-f000007-p1-v2"
    assert not set("._ ") & set(item)
