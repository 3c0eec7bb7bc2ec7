"""A bucket is listed once a run; what a job is handed is what the run was told."""

import os

import pytest

from ferrari.storage import buckets, run_listing
from tests.unit.storage.fake_store import FakeStore

ADDRESS = "s3://footage/shoot"


@pytest.fixture
def handed(store: FakeStore, tmp_path, monkeypatch):
    """The listing of a run with two clips, one of which is deleted after it."""
    monkeypatch.setenv(run_listing.LISTING, "")  # the test's end puts back what was there
    monkeypatch.delenv(run_listing.LISTING)
    store.put("footage/shoot/a.mp4", b"abc")
    store.put("footage/shoot/Stra\N{LATIN SMALL LETTER SHARP S}e/b c.mp4", b"")
    told = buckets.listed(ADDRESS)
    run_listing.hand_on(ADDRESS, told, tmp_path)
    del store.objects["footage/shoot/a.mp4"]
    return told


def test_a_job_knows_what_its_run_was_told(handed, store: FakeStore):
    assert len(handed) == 2
    store.is_down = True
    assert run_listing.listed(ADDRESS) == handed
    assert list(run_listing.listed(ADDRESS)) == list(handed)


def test_another_address_is_listed(handed, store: FakeStore):
    assert run_listing.listed("s3://footage").keys() == {
        name.removeprefix("footage/") for name in store.objects
    }


def test_a_run_lists_anew_whatever_it_was_handed(handed, store: FakeStore):
    run_listing.forget()
    assert len(run_listing.listed(ADDRESS)) == 1


def test_where_the_file_is_not_the_bucket_is_asked(handed, store: FakeStore, tmp_path):
    run_listing.clear(tmp_path)
    assert not (tmp_path / run_listing.FOLDER).exists()
    assert os.environ[run_listing.LISTING]
    assert len(run_listing.listed(ADDRESS)) == 1
