"""Who votes: drawn by hash, pinned by name, moved by nothing but references or a deletion."""

import pytest

from ferrari.ledger.tables import LedgerError, read_table
from ferrari.subject.pins import PinError, pin, voters

VIDEOS = [f"clip{i}-{i:010x}" for i in range(40)]


def raw(videos):
    """Raw files: id and path."""
    return {video: f"{video}.mp4" for video in videos}


def test_the_draw_is_by_hash_and_writes_nothing(tmp_path):
    path = tmp_path / "subject_pinned.csv"
    drawn = voters(path, raw(VIDEOS), 1, 12)
    assert len(drawn.clips) == 12 and set(drawn.clips) < set(VIDEOS) and not drawn.said()
    assert drawn == voters(path, raw(reversed(VIDEOS)), 1, 12)
    assert drawn != voters(path, raw(VIDEOS), 2, 12)
    assert voters(path, raw([]), 1, 12).clips == ()
    assert not path.exists()


def test_a_clip_that_comes_later_does_not_vote(tmp_path):
    path = tmp_path / "subject_pinned.csv"
    first = voters(path, raw(VIDEOS[:20]), 1, 24)
    assert pin(path, first.clips) and not pin(path, VIDEOS)
    for seed, count in ((1, 24), (9, 3)):
        assert voters(path, raw(VIDEOS), seed, count) == first


def test_a_clip_that_comes_before_the_pin_replaces_one_at_most(
    tmp_path,
):
    before = set(voters(tmp_path / "none", raw(VIDEOS[:-1]), 1, 12).clips)
    after = set(voters(tmp_path / "none", raw(VIDEOS), 1, 12).clips)
    assert len(before & after) >= 11


def test_clips_that_are_gone_are_said_and_the_others_decide(tmp_path):
    path = tmp_path / "subject_pinned.csv"
    pin(path, VIDEOS[:6])
    found = voters(path, raw(VIDEOS[5:]), 1, 24)
    assert found.clips == (VIDEOS[5],) and found.gone == tuple(VIDEOS[:5])
    assert found.said() == (
        f"5 of 6 clips that voted on who the subject is are gone ({VIDEOS[0]}, {VIDEOS[1]}, "
        f"{VIDEOS[2]} and 2 more); the others decide"
    )
    pin(path, found.clips)
    back = voters(path, raw(VIDEOS), 1, 24)
    assert back.clips == tuple(VIDEOS[:6]), "what comes back votes again"


def test_another_dataset_s_pin_is_an_error_that_says_what_to_do(tmp_path):
    path = tmp_path / "subject_pinned.csv"
    pin(path, VIDEOS[:20])
    with pytest.raises(PinError, match=r"none of the 20 .* another dataset's.*delete") as raised:
        voters(path, raw(VIDEOS[20:]), 1, 24)
    assert str(path) in str(raised.value)


def test_two_datasets_with_copies_of_one_pin_and_some_clips_in_common_do_as_it_says(tmp_path):
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    pin(one, VIDEOS[:8])
    other.write_bytes(one.read_bytes())
    assert voters(one, raw(VIDEOS[:20]), 1, 24).clips == tuple(VIDEOS[:8])
    assert voters(other, raw(VIDEOS[6:]), 1, 24).clips == tuple(VIDEOS[6:8])
    assert other.read_bytes() == one.read_bytes()


def test_references_that_change_move_the_pin_and_those_that_stay_do_not(tmp_path):
    path = tmp_path / "subject_pinned.csv"
    pin(path, VIDEOS[:5])
    assert pin(path, [], "a" * 64) and not pin(path, [], "a" * 64)
    assert read_table(path) == [{"video": "", "references_sha256": "a" * 64}]
    assert pin(path, [], "b" * 64)
    assert voters(path, raw(VIDEOS), 1, 12) == voters(tmp_path / "none", raw(VIDEOS), 1, 12)
    assert pin(path, VIDEOS[:3]), "without references it is drawn anew"
    assert voters(path, raw(VIDEOS), 1, 12).clips == tuple(VIDEOS[:3])


def test_a_pin_of_nothing_is_drawn_anew(tmp_path):
    """A dataset without clips pinned nobody; its first clips vote."""
    path = tmp_path / "subject_pinned.csv"
    pin(path, [])
    assert voters(path, raw(VIDEOS[:3]), 1, 12).clips == tuple(VIDEOS[:3])
    assert pin(path, VIDEOS[:3])


def test_a_damaged_pin_is_an_error(tmp_path):
    path = tmp_path / "subject_pinned.csv"
    path.write_text("video\nclip0-0000000000\n")
    with pytest.raises(LedgerError, match=r"references_sha256.*delete it"):
        voters(path, raw(VIDEOS), 1, 12)


@pytest.mark.parametrize("ending", [".jpg", ".txt", ".thm", ".wav", ""])
def test_photos_and_texts_take_no_place_among_the_voters(tmp_path, ending):
    others = {f"other{i}-{i:010x}": f"other{i}{ending}" for i in range(200)}
    films = {video: f"Day 1/{video}.MOV" for video in VIDEOS[:20]}
    found = voters(tmp_path / "none", others | films, 1, 12).clips
    assert found == voters(tmp_path / "none", films, 1, 12).clips and len(found) == 12
    assert len(voters(tmp_path / "none", others, 1, 12).clips) == 12, "nothing is named as film"


def test_what_was_pinned_stays_whatever_it_is_named(tmp_path):
    """A list that an earlier version drew from all files moves by no change of the draw."""
    path = tmp_path / "subject_pinned.csv"
    pin(path, VIDEOS[:4])
    files = raw(VIDEOS) | dict.fromkeys(VIDEOS[:2], "a.jpg")
    assert voters(path, files, 1, 24).clips == tuple(VIDEOS[:4])
