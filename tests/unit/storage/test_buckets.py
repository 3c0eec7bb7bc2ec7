"""Buckets: what lies in one, and an object of it on the disk, whole or not at all."""

import pytest

from ferrari.storage import buckets
from ferrari.storage.buckets import BucketError, ObjectError
from tests.unit.storage.fake_store import FakeStore

CLIP = "s3://footage/shoot/a.mp4"


def test_objects_are_listed_by_what_stands_behind_the_address(store: FakeStore):
    store.put("footage/shoot/a.mp4", b"abc")
    store.put("footage/shoot/day 1/b.mp4", b"")
    store.put("footage/shooting/c.mp4", b"c")
    found = buckets.listed("s3://footage/shoot/")
    assert found.keys() == {"a.mp4", "day 1/b.mp4"}
    assert found["a.mp4"] == buckets.Listed(3, 10**9)
    assert buckets.listed("s3://footage").keys() == {
        *("shoot/a.mp4", "shoot/day 1/b.mp4", "shooting/c.mp4")
    }
    assert buckets.listed("s3://footage/nothing") == {}
    for address in ("s3://none-such", "s3://none-such/shoot"):
        with pytest.raises(BucketError, match="no bucket none-such"):
            buckets.listed(address)


def test_markers_of_folders_are_no_objects_and_empty_files_are(store: FakeStore):
    for name in ("day 1/", "day 1/a.mp4", "day 2/", "empty.mp4"):
        store.put(f"footage/shoot/{name}", b"")
    assert buckets.listed("s3://footage/shoot").keys() == {"day 1/a.mp4", "empty.mp4"}


@pytest.mark.parametrize("key", ["day//a.mp4", "./a.mp4", "day/../a.mp4"])
def test_a_key_that_pyarrow_takes_for_another_is_refused_by_name(store: FakeStore, key, tmp_path):
    store.put("footage/shoot/a.mp4", b"somebody else")
    store.put(f"footage/shoot/{key}", b"abc")
    assert key in buckets.listed("s3://footage/shoot")
    with pytest.raises(ObjectError, match="has an empty part"):
        buckets.fetch(f"s3://footage/shoot/{key}", tmp_path / "a")


def test_a_rewritten_object_has_another_state(store: FakeStore):
    store.put("footage/shoot/a.mp4", b"abc")
    before = buckets.listed("s3://footage/shoot")["a.mp4"].state
    store.put("footage/shoot/a.mp4", b"xyz")
    assert buckets.listed("s3://footage/shoot")["a.mp4"].state != before


def test_an_object_is_fetched_whole_with_what_its_store_says(store: FakeStore, tmp_path):
    content = bytes(range(256)) * 70_000  # more than two requests
    store.put("footage/shoot/a.mp4", content)
    seen = buckets.fetch(CLIP, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == content
    assert seen == buckets.look(CLIP) and seen.size == len(content) and len(seen.etag) == 32


def test_a_copy_that_was_cut_off_is_made_again(store: FakeStore, tmp_path):
    store.put("footage/shoot/a.mp4", b"abcdef")
    store.cut["footage/shoot/a.mp4"] = 1
    buckets.fetch(CLIP, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"abcdef"
    store.cut["footage/shoot/a.mp4"] = 9
    with pytest.raises(ObjectError, match="ended after 3 of 6 bytes"):
        buckets.fetch(CLIP, tmp_path / "a")


def test_an_object_that_is_replaced_meanwhile_is_fetched_again(
    store: FakeStore, tmp_path, monkeypatch
):
    store.put("footage/shoot/a.mp4", b"old...")
    looks = []

    def told(source):
        if len(looks) == 1:
            store.put("footage/shoot/a.mp4", b"newer.")
        looks.append(described(source))
        return looks[-1]

    described = buckets._described
    monkeypatch.setattr(buckets, "_described", told)
    buckets.fetch(CLIP, tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"newer."


def test_what_is_wrong_with_an_object_is_told_from_what_is_wrong_with_the_way(
    store: FakeStore,
    tmp_path,
):
    with pytest.raises(ObjectError, match="is no longer in the bucket"):
        buckets.fetch(CLIP, tmp_path / "a")
    store.put("footage/shoot/a.mp4", b"abc")
    store.denied.add("footage/shoot/a.mp4")
    with pytest.raises(ObjectError, match="cannot be fetched: AWS Error ACCESS_DENIED"):
        buckets.look(CLIP)
    store.is_down = True
    with pytest.raises(BucketError, match=r"a\.mp4 cannot be read: .*connect to server"):
        buckets.look(CLIP)
    with pytest.raises(BucketError, match="Check raw_videos"):
        buckets.listed("s3://footage/shoot")


def test_a_full_disk_is_no_fault_of_the_object(store: FakeStore):
    store.put("footage/shoot/a.mp4", b"abc")
    with pytest.raises(OSError, match="No space left"):
        buckets.fetch(CLIP, "/dev/full")


@pytest.mark.parametrize(
    "address", ["s3:/footage", "s3://", "s3://Footage/a", "s3://key:secret@footage/a", "s3:footage"]
)
def test_what_is_no_address_is_refused_without_its_key(address):
    with pytest.raises(BucketError, match="is no address of a bucket") as refused:
        buckets.listed(address)
    assert "secret" not in str(refused.value)
    assert buckets.is_address(address)


def test_the_servers_address_is_told_without_a_key(store: FakeStore, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://me:secret@minio:9000")
    store.is_down = True
    with pytest.raises(BucketError, match="minio:9000") as refused:
        buckets.listed("s3://footage/shoot")
    assert "secret" not in str(refused.value)
