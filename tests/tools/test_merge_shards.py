"""`make merge`: whole files or none, nothing while a run is at work; what is said of the rest."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys

import pytest

from ferrari.jobs import run_lock
from ferrari.ledger.item_ids import video_id
from tests.settings import ENVIRONMENT
from tests.unit.provenance.test_last_run import record
from tools import merge_shards

AT_WORK = (
    "import time; from ferrari.jobs import run_lock; run_lock.require('dataset'); "
    "print('holds', flush=True); time.sleep(60)"
)


@pytest.fixture
def machines(tmp_path, monkeypatch):
    """Two working folders that share a table; the second has one of its own."""
    monkeypatch.setattr(run_lock, "_held", {})
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        record(folder, "1", {})
        (folder / "dataset").mkdir()
        (folder / "dataset/shared.csv").write_text("item\n")
        (folder / ".snakemake/metadata").mkdir(parents=True)
    (folders[1] / "dataset/own.csv").write_text("item\nwalk\n" * 1000)
    os.utime(folders[1] / "dataset/own.csv", ns=(5, 5))
    yield folders
    for descriptor in run_lock._held.values():
        os.close(descriptor)


def merge(machines) -> int:
    return merge_shards.main([*map(str, machines), "--into", str(machines[0])])


def test_what_is_missing_comes_with_its_time(machines):
    assert merge(machines) == 0
    came = machines[0] / "dataset/own.csv"
    assert came.read_bytes() == (machines[1] / "dataset/own.csv").read_bytes()
    assert came.stat().st_mtime_ns == 5


def test_a_full_disk_leaves_no_half_file_and_the_same_command_goes_on(
    machines, monkeypatch, capsys
):
    copy2 = shutil.copy2

    def half(source, target):
        with open(target, "wb") as stream:
            stream.write(b"item\nwa")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copy2", half)
    assert merge(machines) == 1
    said = capsys.readouterr().err
    assert "own.csv" in said and "No space left" in said and "same command again" in said
    assert os.listdir(machines[0] / "dataset") == ["shared.csv"]
    monkeypatch.setattr(shutil, "copy2", copy2)
    assert merge(machines) == 0 and (machines[0] / "dataset/own.csv").exists()


@pytest.mark.parametrize("busy", [0, 1])
def test_nothing_is_merged_while_a_run_is_at_work(machines, busy, capsys):
    running = subprocess.Popen(
        [sys.executable, "-c", AT_WORK],
        cwd=machines[busy],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert running.stdout.readline() == "holds\n"
        assert merge(machines) == 2
    finally:
        running.kill()
        running.wait()
        running.stdout.close()
    assert "at work" in capsys.readouterr().err
    assert not (machines[0] / "dataset/own.csv").exists()


def require_elsewhere(machines, monkeypatch):
    """The second machine's folder is a mount that can only be read."""
    require = run_lock.require

    def refused(dataset, working):
        if working == machines[1]:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(working))
        require(dataset, working)

    monkeypatch.setattr(run_lock, "require", refused)


def test_a_folder_that_can_only_be_read_is_merged(machines, monkeypatch):
    require_elsewhere(machines, monkeypatch)
    assert merge(machines) == 0 and (machines[0] / "dataset/own.csv").exists()


def test_a_run_in_a_folder_that_can_only_be_read_is_noticed(machines, monkeypatch, capsys):
    require_elsewhere(machines, monkeypatch)
    monkeypatch.setattr(run_lock, "at_work", lambda dataset, working: run_lock.RUN)
    assert merge(machines) == 2
    assert f"a run is at work in {machines[1]}" in capsys.readouterr().err


def test_no_run_begins_in_any_of_the_folders_meanwhile(machines, monkeypatch):
    copy2, seen = shutil.copy2, []

    def copy(source, target):
        with monkeypatch.context() as another_process:
            another_process.setattr(run_lock, "_held", {})
            seen.extend(run_lock.at_work(folder / "dataset", folder) for folder in machines)
        return copy2(source, target)

    monkeypatch.setattr(shutil, "copy2", copy)
    assert merge(machines) == 0
    assert set(seen) == {run_lock.RUN}


def test_a_second_time_nothing_is_copied(machines, monkeypatch, capsys):
    assert merge(machines) == 0
    monkeypatch.setattr(shutil, "copy2", lambda source, target: pytest.fail(f"{source} again"))
    assert merge(machines) == 0
    assert "0 files came" in capsys.readouterr().out


def test_what_cannot_be_read_is_an_error_not_left_out(machines, monkeypatch, capsys):
    (machines[1] / "dataset/01_extracted_frames").mkdir()
    scandir = os.scandir

    def broken(path):
        if os.fspath(path).endswith("01_extracted_frames"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", broken)
    assert merge(machines) == 1
    assert "01_extracted_frames" in capsys.readouterr().err
    assert not (machines[0] / "dataset/own.csv").exists()


def test_a_folder_that_lies_on_another_disk_comes_along(machines, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "walk.csv").write_text("item\n")
    (machines[1] / "dataset/01_extracted_frames").symlink_to(disk)
    assert merge(machines) == 0
    assert (machines[0] / "dataset/01_extracted_frames/walk.csv").read_text() == "item\n"


def test_what_killed_jobs_left_half_written_stays_where_it_is(machines):
    frames = machines[1] / "dataset/01_extracted_frames"
    (frames / ".walk.part").mkdir(parents=True)
    (frames / ".walk.part/1.webp").write_bytes(b"half")
    (frames / ".walk.csv.7.part").write_bytes(b"half")
    assert merge(machines) == 0
    assert not (machines[0] / "dataset/01_extracted_frames").exists()


def test_a_folder_without_snakemakes_records_is_refused(machines, capsys):
    """As `cp -r set/*` copies it: a setting that changes later would not reach its files."""
    shutil.rmtree(machines[1] / ".snakemake")
    assert merge(machines) == 2
    assert ".snakemake/metadata is not there" in capsys.readouterr().err
    assert not (machines[0] / "dataset/own.csv").exists()


def test_a_folder_without_a_dataset_is_refused_and_left_as_it_is(machines, capsys):
    """Its lock made a file in place of the dataset, over which the next run there would stumble."""
    shutil.rmtree(machines[1] / "dataset")
    assert merge(machines) == 2
    assert f"{machines[1] / 'dataset'} is not there" in capsys.readouterr().err
    assert not (machines[1] / "dataset").exists()


@pytest.mark.parametrize("place", ["/data/anna", "../anna"])
@pytest.mark.parametrize("setting", ["dataset", "audit"])
def test_files_outside_the_working_folder_are_refused(machines, setting, place, capsys):
    record(machines[1], "2", {setting: place})
    assert merge(machines) == 2
    assert f"has its files in {place}" in capsys.readouterr().err


def test_other_settings_are_named(machines, capsys):
    record(machines[1], "2", {"detect": {"confidence": 0.5}, "threads": {"mask": 1}})
    assert merge(machines) == 0
    (line,) = [said for said in capsys.readouterr().out.splitlines() if "OTHER SETTINGS" in said]
    assert "(detect.confidence: 0.5, now 0.35)" in line and str(machines[1]) in line


def test_clips_that_no_shard_finished_are_counted(machines, capsys):
    """Whatever the cause: a shard that was never run or was killed, a clip that came later."""
    raw = machines[0] / "dataset/00_raw_videos"
    raw.mkdir()
    for name in ("one.mp4", "two.mp4", "three.mp4"):
        (raw / name).touch()
    assert merge(machines) == 0
    assert "3 of 3 clips are not finished" in capsys.readouterr().out
    for folder, name in zip(machines, ("one.mp4", "two.mp4"), strict=True):
        captions = folder / "dataset/05_final_training/captions"
        captions.mkdir(parents=True)
        (captions / f"{video_id(name)}.csv").touch()
    assert merge(machines) == 0
    assert "1 of 3 clips are not finished" in capsys.readouterr().out
    (raw / "three.mp4").unlink()
    assert merge(machines) == 0
    assert "not finished" not in capsys.readouterr().out


def test_a_clip_whose_raw_file_is_not_here_is_named(machines, capsys):
    """Somebody gave a clip to one machine alone."""
    (machines[0] / "dataset/00_raw_videos").mkdir()
    (machines[0] / "dataset/00_raw_videos/one.mp4").touch()
    (machines[1] / "dataset/videos").mkdir()
    (machines[1] / f"dataset/videos/{video_id('late.mp4')}.csv").touch()
    assert merge(machines) == 0
    assert f"1 clip that shards worked on ({video_id('late.mp4')}" in capsys.readouterr().out


@pytest.mark.parametrize("leads_to", [".", "..", "../.."])
def test_a_link_to_a_folder_above_itself_is_named_and_nothing_is_copied(machines, leads_to, capsys):
    """It was followed until the system refused a path of forty links."""
    stage = machines[1] / "dataset/01_extracted_frames"
    stage.mkdir()
    (stage / "back").symlink_to(leads_to)
    assert merge(machines) == 2
    said = capsys.readouterr().err
    assert "back is a link to a folder above itself" in said and "delete the link" in said
    assert not (machines[0] / "dataset/own.csv").exists()


def test_two_links_to_one_folder_are_no_loop(machines, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "walk.csv").write_text("item\n")
    for name in ("01_extracted_frames", "02_yolo_crops"):
        (machines[1] / "dataset" / name).symlink_to(disk)
    assert merge(machines) == 0
    assert (machines[0] / "dataset/02_yolo_crops/walk.csv").exists()


def test_a_folder_that_is_named_twice_is_one(machines, tmp_path):
    """Its second name found it locked, by this command itself: "another run is at work"."""
    (tmp_path / "link").symlink_to(machines[1])
    words = [*map(str, machines), str(machines[1]), str(tmp_path / "link")]
    assert merge_shards.main([*words, "--into", str(machines[0])]) == 0
    assert (machines[0] / "dataset/own.csv").exists()


def test_folders_that_share_a_dataset_need_no_merging(machines, capsys):
    """Each of them found the dataset locked by the other, which is this command."""
    shutil.rmtree(machines[1] / "dataset")
    (machines[1] / "dataset").symlink_to(machines[0] / "dataset")
    assert merge(machines) == 2
    said = capsys.readouterr().err
    assert f"{machines[0]} and {machines[1]} have one dataset" in said and "another run" not in said


def test_a_dataset_that_can_only_be_read_is_not_locked_by_oneself(machines, monkeypatch):
    """The working folder's lock was had before the dataset's, and was taken for a run's."""

    def only_read(dataset):
        if str(machines[1]) in str(dataset):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(dataset))

    monkeypatch.setattr(run_lock, "_require_no_shards", only_read)
    assert merge(machines) == 0 and (machines[0] / "dataset/own.csv").exists()
