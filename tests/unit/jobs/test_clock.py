"""A clock that stands behind the files of a set ends a run before its first job."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from ferrari.jobs import clock

NOW = 1_790_000_000.0
REPORTS = Path("/a set/qc")


@pytest.fixture
def dataset(tmp_path):
    for name, ahead in (("videos.csv", -5), ("final.csv", 0)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (NOW + ahead, NOW + ahead))
    return tmp_path


@pytest.mark.parametrize("behind", [0, 30, 59], ids=["none", "half a minute", "a minute"])
def test_clocks_that_differ_a_little_are_no_fault(dataset, behind):
    clock.require_not_behind(
        dataset, ["videos.csv", "final.csv", "none.csv"], REPORTS, NOW - behind
    )


def test_a_clock_that_was_put_back_is_told_with_both_times(dataset):
    with pytest.raises(clock.ClockError) as caught:
        clock.require_not_behind(dataset, ["videos.csv", "final.csv"], REPORTS, NOW - 86400)
    told = str(caught.value)
    assert "2026-09-20" in told and f"{dataset / 'final.csv'} was written at 2026-09-21" in told
    assert "Set the clock right" in told and f"find {dataset} '/a set/qc' -newermt now" in told


def test_a_disk_whose_own_clock_is_ahead_is_no_fault(tmp_path, monkeypatch):
    """A network disk dates files by its server's clock, those of the next run as well."""
    (tmp_path / "videos.csv").touch()
    behind = time.time() - 600
    monkeypatch.setattr(time, "time", lambda: behind)
    clock.require_not_behind(tmp_path, ["videos.csv"], REPORTS)


def test_a_table_that_is_later_than_a_new_file_is_told(tmp_path):
    (tmp_path / "videos.csv").touch()
    os.utime(tmp_path / "videos.csv", (time.time() + 600, time.time() + 600))
    with pytest.raises(clock.ClockError):
        clock.require_not_behind(tmp_path, ["videos.csv"], REPORTS)
    assert [path.name for path in tmp_path.iterdir()] == ["videos.csv"]


def test_a_set_that_is_not_there_says_nothing(tmp_path):
    clock.require_not_behind(tmp_path / "none", ["videos.csv"], REPORTS, 0.0)


def test_weights_that_are_dated_ahead_are_told(dataset):
    """Each job that reads them failed, without a word of what to do."""
    net, other = dataset / "my net", dataset / "other.onnx"
    net.mkdir()
    other.touch()
    os.utime(net, (NOW + 86400, NOW + 86400))
    os.utime(other, (NOW + 30, NOW + 30))
    missing = dataset / "not fetched yet"
    clock.require_none_ahead([other, missing], dataset, NOW)
    with pytest.raises(clock.ClockError) as caught:
        clock.require_none_ahead([other, net, missing], dataset, NOW)
    told = str(caught.value)
    assert f"{net} is dated 2026-09-22" in told and "the clock stands at 2026-09-21" in told
    assert f"find -L '{net}' -newermt now -exec touch {{}} +" in told


def test_what_is_said_to_help_does_even_where_weights_are_links(tmp_path):
    """A link's own time is not what Snakemake compares."""
    (tmp_path / "weights").mkdir()
    real, link = tmp_path / "weights/own.onnx", tmp_path / "link.onnx"
    real.touch()
    os.utime(real, (time.time() + 900, time.time() + 900))
    link.symlink_to(real)
    with pytest.raises(clock.ClockError) as caught:
        clock.require_none_ahead([link], tmp_path)
    advice = str(caught.value).rpartition("time of now: ")[2]
    subprocess.run(shlex.split(advice), check=True)
    clock.require_none_ahead([link], tmp_path)


def test_of_many_pictures_the_folder_is_named(tmp_path):
    for number in range(9):
        (tmp_path / f"{number}.jpg").touch()
        os.utime(tmp_path / f"{number}.jpg", (time.time() + 900, time.time() + 900))
    said = rf"and 6 more are dated up to .* reads them .* give them .* find -L {tmp_path} -newermt"
    with pytest.raises(clock.ClockError, match=said):
        clock.require_none_ahead(sorted(tmp_path.glob("*.jpg")), tmp_path)
