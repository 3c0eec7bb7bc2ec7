"""Clips of a bucket on the disk: while a job needs them, and from stage 0 to stage 1."""

from pathlib import Path

import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.storage.buckets import ObjectError
from ferrari.video import fetched_clips
from ferrari.video.fetched_clips import at_hand
from tests.unit.storage.fake_store import FakeStore

RAW, VIDEO = "s3://footage/shoot/Walk One.MP4", "walk-one-0123456789"
DIGEST = sha256_bytes(b"abc")


@pytest.fixture
def clip(store: FakeStore) -> FakeStore:
    store.put("footage/shoot/Walk One.MP4", b"abc")
    return store


def left(dataset: Path) -> list[str]:
    """What lies in the folder of fetched clips."""
    return sorted(path.name for path in (dataset / fetched_clips.FOLDER).rglob("*"))


def test_a_clip_of_the_disk_is_itself(tmp_path):
    with at_hand("clips/a.mp4", VIDEO, tmp_path) as found:
        assert (found.path, found.etag) == ("clips/a.mp4", "")
        found.hand_on = True
    assert not (tmp_path / fetched_clips.FOLDER).exists()


def test_a_fetched_clip_is_gone_after_its_job(clip, tmp_path):
    with at_hand(RAW, VIDEO, tmp_path) as found:
        path = Path(found.path)
        assert path.read_bytes() == b"abc" and path.name == f"{VIDEO}.MP4" and found.etag
        assert path.is_relative_to(tmp_path)
    assert left(tmp_path) == []
    with pytest.raises(ZeroDivisionError), at_hand(RAW, VIDEO, tmp_path):
        _ = 1 / 0
    assert left(tmp_path) == []


def test_one_that_is_handed_on_is_not_fetched_again(clip, tmp_path):
    with at_hand(RAW, VIDEO, tmp_path) as found:
        found.hand_on = True
    assert left(tmp_path) == [f"{VIDEO}.MP4"]
    with at_hand(RAW, VIDEO, tmp_path, DIGEST) as found:
        assert Path(found.path).read_bytes() == b"abc" and found.etag == ""
        assert (tmp_path / fetched_clips.FOLDER / f"{VIDEO}.MP4").exists() is False
    assert left(tmp_path) == [] and len(clip.fetched) == 1


def test_one_with_other_bytes_than_are_wanted_is_not_taken(clip, tmp_path):
    with at_hand(RAW, VIDEO, tmp_path) as found:
        found.hand_on = True
    clip.put("footage/shoot/Walk One.MP4", b"xyz")
    with at_hand(RAW, VIDEO, tmp_path, sha256_bytes(b"xyz")) as found:
        assert Path(found.path).read_bytes() == b"xyz" and found.etag
    assert left(tmp_path) == [] and len(clip.fetched) == 2


def test_what_does_not_fit_does_not_wait(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(fetched_clips, "MOST_WAITING", 5)
    for video in (VIDEO, "other-0123456789"):
        with at_hand(RAW, video, tmp_path) as found:
            found.hand_on = True
    assert left(tmp_path) == [f"{VIDEO}.MP4"]


def test_a_clip_that_cannot_be_fetched_leaves_nothing(clip, tmp_path):
    clip.denied.add("footage/shoot/Walk One.MP4")
    with pytest.raises(ObjectError), at_hand(RAW, VIDEO, tmp_path):
        pass
    assert left(tmp_path) == []


def test_a_note_makes_the_state_of_a_clip_another_each_time(tmp_path):
    assert fetched_clips.failures(tmp_path) == {}
    fetched_clips.note_failure(VIDEO, tmp_path)
    first = fetched_clips.failures(tmp_path)
    assert first.keys() == {VIDEO}
    fetched_clips.note_failure(VIDEO, tmp_path)
    assert fetched_clips.failures(tmp_path) != first
    fetched_clips.forget_failure(VIDEO, tmp_path)
    fetched_clips.forget_failure(VIDEO, tmp_path)
    assert fetched_clips.failures(tmp_path) == {}


def test_a_note_that_goes_while_notes_are_read_is_none(tmp_path, monkeypatch):
    for video in (VIDEO, "other-0123456789"):
        fetched_clips.note_failure(video, tmp_path)
    listed = Path.iterdir

    def and_forgotten(folder):
        found = list(listed(folder))
        fetched_clips.forget_failure(VIDEO, tmp_path)
        return iter(found)

    monkeypatch.setattr(Path, "iterdir", and_forgotten)
    assert fetched_clips.failures(tmp_path).keys() == {"other-0123456789"}


def test_clearing_takes_what_killed_jobs_left(clip, tmp_path):
    (tmp_path / fetched_clips.FOLDER / "job-killed").mkdir(parents=True)
    (tmp_path / fetched_clips.FOLDER / "job-killed/a.mp4").write_bytes(b"half")
    fetched_clips.clear(tmp_path)
    assert left(tmp_path) == []
