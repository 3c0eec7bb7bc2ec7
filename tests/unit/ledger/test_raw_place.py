"""Where raw clips lie: folders and addresses are joined each in its own way."""

import errno
import os
from pathlib import Path

import pytest

from ferrari.ledger import raw_place

DEFAULTS = {"dataset": "dataset", "raw_videos": None}


def test_places_are_seen_from_the_sets_folder():
    assert raw_place.of(DEFAULTS) == "dataset/00_raw_videos"
    assert raw_place.of(DEFAULTS, Path("/sets/anna")) == "/sets/anna/dataset/00_raw_videos"
    assert raw_place.of(DEFAULTS | {"raw_videos": "/clips"}, "/sets/anna") == "/clips"
    assert raw_place.of(DEFAULTS | {"raw_videos": "s3://footage/a"}, "/sets") == "s3://footage/a"


def test_files_are_joined_to_them():
    assert raw_place.join("clips", "a.mp4") == "clips/a.mp4"
    assert raw_place.join("s3://footage/a/", "b c.mp4") == "s3://footage/a/b c.mp4"


def test_an_address_counts_as_there_until_it_is_listed(tmp_path):
    assert raw_place.is_there(tmp_path) and raw_place.is_there("s3://footage")
    assert not raw_place.is_there(tmp_path / "none")


def test_a_mount_whose_other_side_went_away_is_no_folder_that_is_missing(tmp_path, monkeypatch):
    def gone(path, *_, **__):
        raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN), str(path))

    monkeypatch.setattr(os, "stat", gone)
    with pytest.raises(OSError, match="not connected"):
        raw_place.is_there(tmp_path)
