"""Where raw clips lie: folders and addresses are joined each in its own way."""

import errno
import os
from pathlib import Path

import pytest

from ferrari.common.settings import SettingsError
from ferrari.ledger import raw_place

DEFAULTS = {
    "dataset": "dataset", "raw_videos": None,
    "qc_reports": "qc_reports", "audit": "audit", "cache": "cache",
}  # fmt: skip


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


@pytest.mark.parametrize(
    ("raw", "others", "named"),
    [
        (".", {}, "dataset"),
        ("./", {}, "dataset"),
        ("dataset", {}, "dataset"),
        ("..", {}, "dataset"),
        ("link", {}, "dataset"),
        (".", dict.fromkeys(("dataset", "qc_reports", "audit", "cache"), "/elsewhere"), "logs"),
        ("clips", {"cache": "clips/cache"}, "cache"),
    ],
)
def test_clips_among_what_runs_make_are_refused(tmp_path, raw, others, named):
    work = tmp_path / "set"
    work.mkdir()
    (work / "link").symlink_to(".")
    config = DEFAULTS | {"raw_videos": raw} | others
    with pytest.raises(SettingsError, match=rf"holds .*\({named}\).* \(raw_videos\)"):
        raw_place.require_apart(config, work)


@pytest.mark.parametrize("raw", [None, "clips", "../clips", "dataset-raw", "s3://clips", "none"])
def test_clips_beside_what_runs_make_are_not(tmp_path, raw):
    (tmp_path / "clips").mkdir()
    raw_place.require_apart(DEFAULTS | {"raw_videos": raw}, tmp_path)
