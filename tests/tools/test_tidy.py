"""`make tidy`: what is left of clips that are gone, and of packages that nobody asks for."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import video_id
from ferrari.ledger.reasons import OK
from ferrari.provenance.run_crate import _snapshot
from ferrari.storage import buckets, run_listing
from tools import tidy

HERE, GONE = video_id("here.mp4"), video_id("gone.mp4")
OF_A_CLIP = (
    "dataset/videos/{}.csv",
    "dataset/01_extracted_frames/{}.csv",
    "dataset/01_extracted_frames/{}.linking.mkv",
    "dataset/01_extracted_frames/{}/frame.webp",
    "dataset/subject/sightings/{}.npz",
    "dataset/subject/identity/{}.csv",
    "dataset/subject/tracks/{}.csv",
    "dataset/04_augmented/{}/mask/one.png",
    "dataset/bad_frames/{}/NO_SUBJECT/frame.webp",
    "dataset/bad_videos/LOW_RESOLUTION/{}.mp4",
    "dataset/stamps/01_extracted_frames/{}.json",
    "logs/mask/{}.log",
    "benchmarks/mask/{}.tsv",
)
KEPT = (
    "dataset/review/decisions.csv",
    "dataset/captions/overrides.csv",
    "dataset/00_raw_videos/here.mp4",
    "my.yaml",
    "audit/runs/1/videos.csv",
)


def put(path, text="x" * 1000):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def work(tmp_path):
    """A set of one clip, with what is left of another one and of a package."""
    for name in KEPT:
        put(tmp_path / name)
    (tmp_path / "my.yaml").write_text("package: {formats: [kohya]}\n")
    for video in (HERE, GONE):
        for place in OF_A_CLIP:
            put(tmp_path / place.format(video))
    for name in ("kohya", "imagefolder"):
        for place in (f"{name}/a.png", f"{name}.csv"):
            put(tmp_path / "dataset/05_final_training" / place)
        put(tmp_path / f"dataset/stamps/05_final_training/{name}.json")
    final = tables.row("final", item="i", parent="", outcome="kept", video=HERE)
    tables.write_stage(tmp_path / "dataset/05_final_training/final.csv", "final", [final])
    return tmp_path


def all_files(work):
    return {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}


def test_what_is_left_is_listed_with_sizes_and_nothing_is_touched(work, capsys):
    before = all_files(work)
    assert tidy.main(["--work", str(work)]) == 0
    told = capsys.readouterr().out
    assert f"{GONE}   13 files" in told and "imagefolder   3 files" in told
    assert HERE not in told and "kohya" not in told
    assert "together 0.0 MB" in told and "YES=1 deletes it" in told
    assert all_files(work) == before


def test_a_clip_that_is_gone_is_gone_from_every_folder_and_all_else_stays(work, capsys):
    before = all_files(work)
    assert tidy.main(["--work", str(work), "--yes"]) == 0
    left = all_files(work)
    assert not [path for path in work.rglob("*") if GONE in path.name]
    gone = {place.format(GONE) for place in OF_A_CLIP}
    gone |= {name for name in before if "imagefolder" in name}
    assert before - left == gone
    clip, package = tables.read_table(work / "audit/tidied.csv")
    assert (clip["kind"], clip["name"], clip["files"], clip["bytes"]) == (
        *("clip", GONE),
        *("13", "13000"),
    )
    assert (package["kind"], package["name"]) == ("package", "imagefolder")
    capsys.readouterr()
    assert tidy.main(["--work", str(work), "--yes"]) == 0
    assert "Nothing is left over" in capsys.readouterr().out
    assert len(tables.read_table(work / "audit/tidied.csv")) == 2


def test_what_earlier_versions_wrote_is_listed_and_goes(work, capsys):
    """Nobody writes or reads these any more: what a job costs is named after its rule."""
    old = ("qc/qc3_extraction_summary.tsv", "weights/isnet-isnet.onnx.tsv", "verify_dataset.tsv")
    todays = ("qc3.tsv", "fetch_weights/isnet-isnet.onnx.tsv", "verify.tsv")
    for name in (*old, *todays):
        put(work / "benchmarks" / name)
    assert tidy.main(["--work", str(work)]) == 0
    told = capsys.readouterr().out
    assert "of earlier versions of the pipeline: 3" in told
    assert "benchmarks/weights   1 file," in told and "benchmarks/qc3" not in told
    assert tidy.main(["--work", str(work), "--yes"]) == 0
    left = all_files(work)
    assert not left & {f"benchmarks/{name}" for name in old}
    assert {f"benchmarks/{name}" for name in todays} <= left


def test_nothing_is_deleted_while_the_set_still_holds_its_images(work, capsys):
    rows = [
        tables.row("final", item=one, parent="", outcome="kept", video=one) for one in (HERE, GONE)
    ]
    tables.write_stage(work / "dataset/05_final_training/final.csv", "final", rows)
    before = all_files(work)
    assert tidy.main(["--work", str(work)]) == 0
    told = capsys.readouterr().out
    assert "YES=1" not in told, "it would be refused"
    assert tidy.main(["--work", str(work), "--yes"]) == 1
    refused = capsys.readouterr().err.splitlines()[-1]
    assert "05_final_training/final.csv still name clips that are gone" in refused
    assert f"Run the set first (make run WORK={work})" in refused
    assert refused.partition(": ")[2] in told
    assert all_files(work) - {".snakemake/run.lock"} == before


@pytest.mark.parametrize(("outcome", "status"), [("kept", 1), ("dropped", 0)])
def test_a_clip_whose_scene_stands_behind_others_is_kept_and_one_that_lent_none_is_not(
    work, outcome, status
):
    row = dict.fromkeys(COLUMNS["environments"], "")
    row |= {"environment": GONE, "video": GONE, "outcome": outcome}
    tables.write_table(work / "dataset/environments.csv", COLUMNS["environments"], [row])
    assert tidy.main(["--work", str(work), "--yes"]) == status


def refused(work, capsys, *words, status=1):
    """What tidy says that deletes nothing though it is asked to."""
    before = all_files(work)
    assert tidy.main(["--work", str(work), "--yes", *words]) == status
    assert all_files(work) == before
    return capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--all"]])
@pytest.mark.parametrize("state", ["not there", "empty", "pictures", "bucket"])
def test_without_clips_nothing_counts_as_left_over(work, monkeypatch, capsys, state, words):
    """The disk with the clips is not there, or raw_videos names another folder: with one of
    pictures, all frames, crops and cut-outs of the set were deleted.
    """
    raw = work / "dataset/00_raw_videos"
    (raw / "here.mp4").unlink()
    said = {"not there": "does not exist", "empty": "holds no files"}
    if state == "not there":
        raw.rmdir()
    if state == "pictures":
        put(raw / "me_1.png", "\x89PNG")
        put(raw / "notes.txt", "Take one")
        said["pictures"] = "none is a video (2 texts: me_1.png, notes.txt)"
    if state == "bucket":
        (work / "my.yaml").write_text("raw_videos: s3://clips/anna\n")
        monkeypatch.setattr(run_listing, "listed", lambda address: {})
        said["bucket"] = "s3://clips/anna holds no files"
    told = refused(work, capsys, *words)
    assert "nothing was deleted: the folder of raw clips" in told and said[state] in told
    assert "all that was made of 2 clips would count as left over" in told


def test_a_bucket_that_cannot_be_listed(work, monkeypatch, capsys):
    def fail(address):
        raise buckets.BucketError(f"{address} cannot be listed")

    (work / "my.yaml").write_text("raw_videos: s3://clips/anna\n")
    monkeypatch.setattr(run_listing, "listed", fail)
    assert "s3://clips/anna cannot be listed" in refused(work, capsys)


@pytest.mark.parametrize("count", [1, 30])
def test_a_folder_that_cannot_be_looked_into_holds_nobody_knows_what(
    work, monkeypatch, capsys, count
):
    """A disk that is mounted below the raw folder, and went away: its clips are not gone."""
    disks = [work / f"dataset/00_raw_videos/disk{n:02}" for n in range(count)]
    for disk in disks:
        put(disk / "clip.mp4")
    before = all_files(work)

    def closed(ask):
        def asked(path="."):
            if Path(path) in disks:
                raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
            return ask(path)

        return asked

    with monkeypatch.context() as patched:
        for name in ("scandir", "listdir"):
            patched.setattr(os, name, closed(getattr(os, name)))
        assert tidy.main(["--work", str(work), "--yes"]) == 1
    told = capsys.readouterr().err
    assert f"nothing was deleted: {disks[0]}" in told
    named = [disk for disk in disks if str(disk) in told]
    assert len(named) == min(count, 4) and ("and 26 more cannot be looked into" in told) == (
        count == 30
    )
    assert all_files(work) == before


def recorded(work, run, *files):
    refused = f"refused-{run}.mp4"
    put(work / f"dataset/02_yolo_crops/{video_id(refused)}.csv")
    (work / f"dataset/01_extracted_frames/{video_id(refused)}").mkdir()
    rows = [
        dict.fromkeys(COLUMNS["videos"], "")
        | {"item": video_id(file), "file": file, "verdict": verdict}
        for file, verdict in (*dict.fromkeys(files, OK).items(), (refused, "LOW_RESOLUTION"))
    ]
    place = work / f"audit/runs/{run}/videos.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    tables.write_table(place, COLUMNS["videos"], rows)


def others_here(work, number):
    """Another set's clips in the raw folder, which a run took in."""
    names = [f"other-{n}.mp4" for n in range(number)]
    for name in names:
        put(work / "dataset/00_raw_videos" / name)
        put(work / f"dataset/01_extracted_frames/{video_id(name)}/frame.webp")
    return names


def test_where_clips_are_gone_at_once_and_still_named_all_1_is_not_the_last_word(work, capsys):
    (work / "dataset/00_raw_videos/here.mp4").unlink()
    recorded(work, "2", "here.mp4", "gone.mp4")
    recorded(work, "3", *others_here(work, 9))
    assert tidy.main(["--work", str(work)]) == 0
    told = capsys.readouterr().out
    assert "YES=1 ALL=1 deletes what was made of them. Not yet, though: 05_final_tr" in told
    assert f"make run WORK={work}" in told and f"make run WORK={work}" in refused(work, capsys)


def test_the_folder_of_another_set(work, capsys):
    """However many clips that set has: none of those of the run before are in its folder."""
    (work / "dataset/00_raw_videos/here.mp4").unlink()
    names = others_here(work, 9)
    recorded(work, "2", "here.mp4", "gone.mp4")
    recorded(work, "3", *names)
    tables.write_stage(work / "dataset/05_final_training/final.csv", "final", [])
    told = refused(work, capsys)
    assert "Only 0 of 2 clips of the run of 2 still lie in " in told
    assert "raw_videos" in told and "YES=1 ALL=1 deletes" in told
    assert tidy.main(["--work", str(work)]) == 0
    told = capsys.readouterr().out
    assert "Nothing was deleted. Only 0 of 2 clips" in told and "YES=1 deletes" not in told
    assert tidy.main(["--work", str(work), "--yes", "--all"]) == 0, "it was meant"
    assert not [path for path in work.rglob("*") if HERE in path.name or GONE in path.name]


def test_half_of_the_clips_are_gone_and_no_run_is_recorded(work, capsys):
    """Somebody deleted the records: what has frames counts."""
    put(work / f"dataset/01_extracted_frames/{video_id('too.mp4')}/frame.webp")
    told = refused(work, capsys)
    assert "Only 1 of 3 clips that the dataset has frames of still lie in" in told


ON_A_DISK = ("disk/day/1.mp4", "disk/day/2.mp4", "disk/3.mp4")


def with_a_disk(work):
    """More clips than those of a disk below the raw folder, which is not mounted any more."""
    for name in ON_A_DISK:
        put(work / f"dataset/01_extracted_frames/{video_id(name)}/frame.webp")
    return ["here.mp4", *others_here(work, 5)]


@pytest.mark.parametrize("point", ["empty", "not there"])
@pytest.mark.parametrize("known_by", ["run", "tables"])
def test_a_disk_below_the_raw_folder_with_few_of_the_clips(work, capsys, point, known_by):
    """What half of the clips decides does not see it: its clips were taken for gone, and tidied."""
    stay = with_a_disk(work)
    if known_by == "run":
        recorded(work, "2", *stay, *ON_A_DISK)
    for name in ON_A_DISK if known_by == "tables" else ():
        row = tables.row("probe", item=video_id(name), parent=name, outcome="kept", file=name)
        tables.write_stage(work / f"dataset/videos/{video_id(name)}.csv", "probe", [row])
    if point == "empty":
        (work / "dataset/00_raw_videos/disk").mkdir()
    whose = "of the run of 2" if known_by == "run" else "that the dataset has frames of"
    told = refused(work, capsys)
    assert f"nothing was deleted. Only 0 of 3 clips {whose} in the folder disk still lie" in told
    assert "YES=1 ALL=1 deletes" in told
    assert tidy.main(["--work", str(work), "--yes", "--all"]) == 0, "it was meant"


@pytest.mark.parametrize("state", ["a clip stays", "a file stays", "ignored", "one clip", "week"])
def test_a_folder_of_which_clips_were_taken_out_one_by_one(work, state):
    """No question where the disk is plainly there, where the settings say so, or a clip went with
    the folder that held nothing else.
    """
    disk = work / "dataset/00_raw_videos/disk"
    had = ON_A_DISK[2:] if state == "one clip" else ON_A_DISK
    stay = with_a_disk(work)
    recorded(work, "2", *stay, *had)
    if state == "a clip stays":
        put(disk / "day/new.mp4")
    if state == "a file stays":
        put(disk / "day/.DS_Store")
    if state == "ignored":
        put(disk / "day/1.mp4")
        (work / "my.yaml").write_text("package: {formats: [kohya]}\nintake: {ignore: [disk]}\n")
    if state == "week":
        recorded(work, "3", *stay, *ON_A_DISK[1:])
        recorded(work, "4", *stay, *ON_A_DISK[2:])
    assert tidy.main(["--work", str(work), "--yes"]) == 0


def test_the_outermost_folder_that_is_gone_is_named(work, capsys):
    recorded(work, "2", *with_a_disk(work), *ON_A_DISK)
    put(work / "dataset/00_raw_videos/disk/new.mp4")
    assert "0 of 2 clips of the run of 2 in the folder disk/day still lie" in refused(work, capsys)


def test_a_few_clips_a_week_are_taken_out_without_more_ado(work, capsys):
    """Held against the last run that had them, and not against all that ever were in the set."""
    late = [f"late-{n}.mp4" for n in range(5)]
    for name in late:
        put(work / f"dataset/01_extracted_frames/{video_id(name)}/frame.webp")
    stay = ["here.mp4", *others_here(work, 3)]
    recorded(work, "2", *stay, "gone.mp4", *late[:3])
    recorded(work, "3", *stay, *late[3:])
    recorded(work, "4", *stay)
    put(work / "audit/runs/5/videos.csv", "")  # of a run that was killed
    assert tidy.main(["--work", str(work), "--yes"]) == 0
    assert not [path for path in work.rglob("*") if path.name.startswith("late-")]


def test_a_link_is_deleted_and_not_what_it_leads_to(work, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    put(elsewhere / "precious.png")
    link = work / "dataset/03_masked_subjects" / GONE
    link.parent.mkdir()
    link.symlink_to(elsewhere)
    assert tidy.main(["--work", str(work), "--yes"]) == 0
    assert (elsewhere / "precious.png").is_file() and not link.is_symlink()


def test_the_workflow_lies_once_in_audit_however_many_runs_it_made(tmp_path):
    for run in ("1", "2"):
        _snapshot(tmp_path / "runs" / run / "workflow", tmp_path / "code")
    first, second = (tmp_path / "runs" / run / "workflow/Snakefile" for run in ("1", "2"))
    assert first.samefile(second) and first.read_text().startswith('"""Ferrari Pipeline')
    kept = len(list((tmp_path / "code").iterdir()))
    assert 100 < kept <= sum(path.is_file() for path in (tmp_path / "runs/1").rglob("*"))
