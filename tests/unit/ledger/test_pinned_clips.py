"""Clips drawn for the whole set: an order of hashes, written down once."""

from ferrari.ledger import pinned_clips, tables
from ferrari.ledger.pinned_clips import pinned_or_drawn as drawn

VIDEOS = [f"clip{i}-{i:010x}" for i in range(40)]


def raw(videos):
    """Raw files: id and path."""
    return {video: f"{video}.mp4" for video in videos}


def test_pinning_is_a_drawn_subset_that_no_order_changes(tmp_path):
    pinned = drawn(tmp_path / "none.csv", raw(VIDEOS), 1, 10, "scenes")
    assert len(pinned) == 10 and set(pinned) < set(VIDEOS)
    assert pinned == drawn(tmp_path / "none.csv", raw(reversed(VIDEOS)), 1, 10, "scenes")
    assert pinned != drawn(tmp_path / "none.csv", raw(VIDEOS), 2, 10, "scenes")
    assert not list(tmp_path.iterdir())


def test_pinned_clips_stay_when_clips_come_and_the_gone_are_left_out(tmp_path):
    path = tmp_path / "environments_pinned.csv"
    first = drawn(path, raw(VIDEOS[:5]), 1, 24, "scenes")
    pinned_clips.pin(path, first)
    assert drawn(path, raw(VIDEOS), 1, 24, "scenes") == first == sorted(VIDEOS[:5])
    assert drawn(path, raw(VIDEOS[1:]), 9, 24, "scenes") == sorted(VIDEOS[1:5])


def test_pin_writes_once(tmp_path):
    path = tmp_path / "environments_pinned.csv"
    pinned_clips.pin(path, ["a"])
    pinned_clips.pin(path, ["b"])
    assert tables.read_table(path) == [{"video": "a"}]


def test_each_purpose_has_a_draw_of_its_own():
    scenes, subject = (pinned_clips.draw(VIDEOS, 1, 10, what) for what in ("scenes", "subject"))
    assert scenes != subject and len(scenes) == len(subject) == 10


def test_what_is_drawn_is_named_as_film(tmp_path):
    files = raw(VIDEOS[:6]) | {f"photo{i}-{i:010x}": f"DCIM/{i}.JPG" for i in range(90)}
    assert drawn(tmp_path / "none.csv", files, 1, 10, "scenes") == sorted(VIDEOS[:6])
