"""`verify` finds any single corruption of a finished dataset, and nothing in a sound one."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from ferrari.jobs import run_events
from ferrari.ledger import tables
from ferrari.ledger.raw_listing import find_videos
from ferrari.provenance import table_stamps
from ferrari.reports import checks
from ferrari.reports.page import ReportFiles
from ferrari.review import writing
from ferrari.review.contract import COLUMNS
from ferrari.verification.findings import Layout
from require_verified import VerificationError, require_verified
from tests.workflow.corruption import KINDS, Changes, files
from tests.workflow.demo_run import Demo
from verify_dataset import Verdict, examine, verify_dataset

FORMATS = ("kohya", "imagefolder")
WALK, REFUSED = "walk-room-1e6b6d7006", "voice-memo-cf7c383cdd"


@pytest.fixture(scope="module")
def dataset(demo, tmp_path_factory):
    """A copy of the finished demo's dataset, hard links kept; every test puts back what it does."""
    folder = tmp_path_factory.mktemp("verify")
    subprocess.run(["cp", "-a", str(demo.dataset), str(folder)], check=True)
    return folder / "dataset"


@pytest.fixture
def changes(dataset, tmp_path):
    """Changes to the copy that are undone after the test."""
    made = Changes(dataset, tmp_path)
    yield made
    made.undo()


def look(dataset: Path, **changed) -> Verdict:
    """`examine` with the demo's settings."""
    raw = changed.pop("raw", dataset / "00_raw_videos")
    arguments = {"formats": FORMATS, "videos": find_videos(raw)} | changed
    return examine(Layout(dataset=dataset, raw=raw, **arguments))


def statuses(verdict: Verdict) -> dict[str, str]:
    """Status of each check that is not a PASS, by name."""
    found = verdict.findings.checks()
    return {check.name: check.status for check in found if check.status != "PASS"}


def named(verdict: Verdict, check: str) -> list[tuple[str, str]]:
    """(where, why) of a check's findings."""
    return [(one.where, one.why) for one in verdict.findings.listed() if one.check == check]


def restamp(dataset: Path, table: str, rows: list) -> None:
    """Write a table anew with a stamp that fits, as somebody would who knows how it works."""
    path = dataset / table
    old = table_stamps.read(table_stamps.place(dataset, path))
    tables.write_table(path, rows[0].keys(), rows)
    inputs = [str(dataset / name) for name in old["inputs"]]
    table_stamps.write(
        table=path, dataset=dataset, rule=old["rule"], code=old["code"],
        settings=old["settings"], inputs=inputs,
    )  # fmt: skip


def forge(changes: Changes, table: str, edit) -> list[dict[str, str]]:
    """Change a table's rows by `edit` and stamp it anew; its rows."""
    dataset = changes.folder
    stamp = f"stamps/{table.removesuffix('.csv')}.json"
    rows = tables.read_table(dataset / table)
    for path in (table, stamp):
        changes.write(path, (dataset / path).read_bytes())  # to be put back afterwards
    edit(rows)
    restamp(dataset, table, rows)
    return rows


def test_a_sound_dataset_passes_every_check(dataset):
    verdict = look(dataset)
    assert statuses(verdict) == {}
    assert verdict.counts["Raw files"] == 19 and verdict.counts["Final images"] > 50
    assert verdict.findings.totals["final_images_trace_back"] == verdict.counts["Final images"]
    present = [path for path in files(dataset, "**/*") if not path.startswith("00_raw_videos/")]
    assert verdict.findings.totals["no_unlisted_files"] == len(present)


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_single_corruption_is_found_and_named(changes, dataset, kind, seed):
    path = KINDS[kind](changes, random.Random(f"{kind} {seed}"))
    verdict = look(dataset)
    assert "FAIL" in statuses(verdict).values(), path
    names = {path, path.removeprefix("stamps/"), path.removeprefix("00_raw_videos/")}
    names |= {Path(name).with_suffix(".csv").as_posix() for name in names}
    clip = {Path(path).stem} if path == "environments_pinned.csv" else set()
    assert {one.where for one in verdict.findings.listed()} & (names | clip), path


def test_hard_links_are_read_once_and_found_in_both_places(changes, dataset):
    image = files(dataset, f"05_final_training/kohya/img/*/{WALK}*.png")[0]
    original = f"04_augmented/{WALK}/{Path(image).name}"
    assert (dataset / image).samefile(dataset / original), "packages link by default"
    changes.write(original, b"another")
    paths = [where for where, _ in named(look(dataset), "files_unchanged")]
    assert {original, image} <= set(paths)


def test_trainers_files_are_named_and_do_not_fail(changes, dataset):
    cache = f"05_final_training/kohya/img/4_sks person/{WALK}-f000000-p0-v0_0768x1024_sdxl.npz"
    changes.write(cache, b"latents")
    verdict = look(dataset)
    assert statuses(verdict) == {} and [w for w, _ in named(verdict, "trainer_files")] == [cache]
    changes.write(f"04_augmented/{WALK}/latents.npz", b"latents")
    assert statuses(look(dataset)) == {"no_unlisted_files": "FAIL"}, "only in packages"


def test_files_of_desktops_are_named_and_do_not_fail(changes, dataset):
    left = [
        "04_augmented/.DS_Store",
        f"01_extracted_frames/{WALK}/Thumbs.db",
        f"05_final_training/kohya/img/4_sks person/._{WALK}-f000000-p0-v0.png",
        "stamps/videos/desktop.ini",
    ]
    for path in left:
        changes.write(path, b"a view's settings")
    verdict = look(dataset)
    assert statuses(verdict) == {}
    assert sorted(where for where, _ in named(verdict, "desktop_files")) == sorted(left)
    changes.write("04_augmented/notes.DS_Store", b"mine")
    assert statuses(look(dataset)) == {"no_unlisted_files": "FAIL"}


def test_what_a_killed_job_left_is_a_warning(changes, dataset):
    left = ["02_yolo_crops/.x-0123456789.part/a.png", "videos/.v.csv.77.part"]
    for path in left:
        changes.write(path, b"half")
    verdict = look(dataset)
    assert statuses(verdict) == {"no_leftovers": "WARN"}
    found = [where for where, _ in named(verdict, "no_leftovers")]
    assert found == ["02_yolo_crops/.x-0123456789.part", left[1]]


def test_a_clip_that_was_added_and_not_processed_asks_for_a_run(changes, dataset):
    changes.write("00_raw_videos/new clip.mp4", b"not looked at yet")
    verdict = look(dataset)
    assert statuses(verdict) == {"raw_files_have_tables": "FAIL"}
    (check,) = [c for c in verdict.findings.checks() if c.status == "FAIL"]
    assert check.figure == "1 of 20" and check.rows == ("new%20clip.mp4",)
    assert "run the pipeline" in check.explanation


def test_a_clip_taken_away_fails_until_the_pipeline_ran_again(changes, dataset):
    changes.delete("00_raw_videos/walk_room.mp4")
    verdict = look(dataset)
    found = statuses(verdict)
    assert found["nothing_of_clips_gone"] == "WARN"
    assert found["videos_ledger_balances"] == found["final_ledger_balances"] == "FAIL"
    traced = {where.rsplit("-f", 1)[0] for where, _ in named(verdict, "final_images_trace_back")}
    assert traced == {WALK}


def test_what_was_left_of_a_torn_decision_is_the_pipelines_own(changes, dataset):
    """It was put aside by the next decision, and says nothing against the dataset."""
    changes.made("review/decisions.csv").parent.mkdir(parents=True, exist_ok=True)
    (dataset / "review/decisions.csv").write_text(f"{','.join(COLUMNS)}\nabcd1,2026-11-29T2")
    changes.made("review/torn_lines.txt")
    assert "is now in" in writing.mend(dataset)
    assert (dataset / "review/torn_lines.txt").is_file() and statuses(look(dataset)) == {}


def test_sound_tables_of_clips_that_are_gone_are_named_only(changes, dataset):
    gone = "videos/gone-0123456789.csv"
    row = tables.row("probe", item="gone-0123456789", parent="g.mp4", outcome="kept", reason="OK")
    tables.write_stage(changes.made(gone), "probe", [row])
    stamp = changes.made("stamps/videos/gone-0123456789.json")
    assert statuses(look(dataset)) == {"no_unlisted_files": "FAIL"}, "without a stamp: a stranger"
    table_stamps.write(
        table=dataset / gone, dataset=dataset, rule="probe", code="c", settings={}, inputs=[]
    )
    assert stamp.is_file()
    verdict = look(dataset)
    assert statuses(verdict) == {"nothing_of_clips_gone": "WARN"}
    assert [where for where, _ in named(verdict, "nothing_of_clips_gone")] == [gone]


def test_a_changed_raw_file_breaks_the_trace_of_each_of_its_images(changes, dataset):
    changes.write("00_raw_videos/walk_room.mp4", b"another clip")
    verdict = look(dataset)
    ((where, why),) = named(verdict, "raw_files_unchanged")
    assert where == "walk_room.mp4" and "not the one that stage 0 saw" in why
    images = [r for r in tables.read_table(dataset / "05_final_training/final.csv")
              if r["video"] == WALK and r["outcome"] == "kept"]  # fmt: skip
    traced = named(verdict, "final_images_trace_back")
    assert {item for item, _ in traced} == {row["item"] for row in images}
    (clip,) = [clip for clip in verdict.clips if clip["video"] == WALK]
    assert clip["faults"] == len(images) + 1 and clip["final_images"] == len(images)


def test_a_lost_row_under_a_stamp_that_fits_is_found_by_the_sums(changes, dataset):
    lost = []
    forge(changes, f"03_masked_subjects/{WALK}.csv", lambda rows: lost.append(rows.pop(0)))
    verdict = look(dataset)
    found = {check.name: check for check in verdict.findings.checks()}
    assert found["mask_ledger_balances"].rows == (lost[0]["item"],)
    assert "1 lost" in found["mask_ledger_balances"].figure
    assert found["tables_as_stamped"].status == "PASS"
    reads = [where for where, _ in named(verdict, "inputs_as_stamped")]
    assert reads == [
        f"04_augmented/{WALK}.csv",
        f"05_final_training/captions/{WALK}.csv",
        "05_final_training/final.csv",  # its rows have the side and the light of each cut-out
    ]
    assert found["final_images_trace_back"].status == "FAIL"


def test_a_caption_changed_under_a_stamp_that_fits_is_found_in_final_and_packages(changes, dataset):
    def edit(rows):
        rows[0]["caption"] = rows[0]["caption"].replace("sks", "ohwx")

    rows = forge(changes, "05_final_training/final.csv", edit)
    verdict = look(dataset)
    item = rows[0]["item"]
    assert [where for where, _ in named(verdict, "cells_carried_forward")] == [item]
    differing = named(verdict, "packages_as_final")
    metadata = "05_final_training/imagefolder/train/metadata.jsonl"
    assert differing == [
        (item, "kohya.csv and final.csv differ"),
        (item, "imagefolder.csv and final.csv differ"),
        (item, f"its caption in {metadata} is not that of final.csv"),
    ]


def test_a_frames_time_and_timestamp_agree(changes, dataset):
    def edit(rows):
        rows[1]["pts"] = str(2 * int(rows[1]["pts"]))  # as behind a filter that halves the units
        rows[2]["pts"] = rows[2]["time_base"] = ""

    rows = forge(changes, f"01_extracted_frames/{WALK}.csv", edit)
    ((where, why),) = named(look(dataset), "times_as_timestamps")
    assert where == rows[1]["item"] and f"time_s says {rows[1]['time_s']}" in why


def test_rows_say_where_their_files_are_and_what_they_hold(changes, dataset):
    def edit(rows):
        rows[0]["sha256"] = ""
        rows[1]["path"] = "../../etc/passwd"
        rows[2]["outcome"], rows[2]["reason"] = "dropped", ""
        rows[3]["item"] = rows[4]["item"]

    rows = forge(changes, f"02_yolo_crops/{WALK}.csv", edit)
    verdict = look(dataset)
    assert (rows[0]["item"], "path without sha256") in named(verdict, "rows_name_their_files")
    assert ("../../etc/passwd", "leads out of the dataset's folder") in named(
        verdict, "files_present"
    )
    assert (rows[2]["item"], "dropped without a reason") in named(verdict, "rows_sound")
    assert (rows[4]["item"], "stands in two rows") in named(verdict, "rows_sound")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 99,
        b"item,parent\na\n",
        b'"' * 7 + b"\r\r\n",
        b"\xff\xfe",
        b"x" * 140_000 + b",",
    ],
    ids=["empty", "zeros", "short", "quotes", "no-text", "huge-cell"],
)
def test_a_table_of_garbage_is_a_finding_and_no_traceback(changes, dataset, data):
    table = f"03_masked_subjects/{WALK}.csv"
    changes.write(table, data)
    verdict = look(dataset)
    assert table in [where for where, _ in named(verdict, "tables_as_stamped")]
    assert table in [where for where, _ in named(verdict, "rows_sound")]


@pytest.mark.parametrize(
    "check, path",
    [
        ("files_present", f"02_yolo_crops/{WALK}/{WALK}-f000000-p0.png"),
        ("files_present", "05_final_training/imagefolder/train/metadata.jsonl"),
        ("tables_as_stamped", f"02_yolo_crops/{WALK}.csv"),
        ("stamps_sound", f"stamps/02_yolo_crops/{WALK}.json"),
        ("pinned_clips_as_drawn", "environments_pinned.csv"),
    ],
)
def test_a_pipe_in_a_files_place_does_not_hang(changes, dataset, check, path):
    changes.delete(path)
    os.mkfifo(changes.made(path))
    ((where, why),) = named(look(dataset), check)
    assert Path(where).with_suffix("") == Path(path.removeprefix("stamps/")).with_suffix("")
    assert why == ("has no stamp" if check == "stamps_sound" else "is no regular file")


def test_the_pinned_clips_are_those_of_the_bank(changes, dataset):
    pinned = "environments_pinned.csv"
    text = (dataset / pinned).read_text()
    changes.write(pinned, text.replace(f"{WALK}\n", "").encode())
    verdict = look(dataset)
    assert statuses(verdict) == {"pinned_clips_as_drawn": "FAIL"}
    assert named(verdict, "pinned_clips_as_drawn") == [(WALK, "the bank has a row of it")]
    changes.write(pinned, (text + "long-gone-0123456789\n").encode())
    assert statuses(look(dataset)) == {"pinned_clips_as_drawn": "FAIL"}, "not in order"
    gone = "a-long-gone-0123456789\n"
    changes.write(pinned, text.replace("video\n", f"video\n{gone}").encode())
    assert statuses(look(dataset)) == {}, "clips that are gone stay pinned"
    assert statuses(look(dataset, clip_scenes=False)) == {}, "not used with the user's own folder"


def test_a_package_that_is_not_asked_for_any_more_is_named_only(dataset):
    verdict = look(dataset, formats=("kohya",))
    assert statuses(verdict) == {"nothing_of_clips_gone": "WARN"}
    assert statuses(look(dataset, formats=("kohya", "imagefolder", "other"))) == {
        "tables_present": "FAIL"
    }


def test_other_folders_inside_the_datasets_are_left_alone(changes, dataset):
    changes.write("reports/page.html", b"<html>")
    assert statuses(look(dataset)) == {"no_unlisted_files": "FAIL"}
    assert statuses(look(dataset, not_ours=(dataset / "reports",))) == {}


def test_nothing_at_all_is_an_answer_too(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    verdict = look(tmp_path / "dataset", raw=raw)
    assert statuses(verdict) == {"raw_files_found": "FAIL", "tables_present": "FAIL"}
    (raw / "clip.mp4").touch()
    verdict = look(tmp_path / "dataset", raw=raw)
    assert statuses(verdict) == {"raw_files_have_tables": "FAIL", "tables_present": "FAIL"}


def test_the_report_says_what_was_found_and_the_gate_stops(changes, dataset, tmp_path):
    name = "04_augmented/<script>alert(1)<b>.png"
    changes.write(name.replace("/b", ""), b"not ours")
    names = ("verify_dataset.csv", "verify_dataset_videos.csv", "verify_dataset.html")
    out = ReportFiles(*(tmp_path / name for name in names))
    arguments = {
        "dataset": dataset, "raw_folder": dataset / "00_raw_videos", "formats": FORMATS,
        "clip_scenes": True, "not_ours": [],
    }  # fmt: skip
    verify_dataset(**arguments, out=out)
    page = out.html.read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script>alert(1)" not in page
    assert str(dataset) not in page and "stops packaging" not in page
    assert len(tables.read_table(out.videos_csv)) == 19
    with pytest.raises(
        VerificationError, match=r"no_unlisted_files: not so for 1 of .*04_augmented/<script"
    ):
        require_verified(checks_csv=out.csv)
    changes.undo()
    verify_dataset(**arguments, out=out)
    assert require_verified(checks_csv=out.csv).startswith("Verified: 38 checks")


def test_a_report_without_checks_verifies_nothing(tmp_path):
    checks.write(tmp_path / "v.csv", [])
    with pytest.raises(VerificationError, match="nothing was verified"):
        require_verified(checks_csv=tmp_path / "v.csv")


def test_make_verify_finds_and_repairs_nothing(demo, tmp_path):
    """The rules for real, on a dataset that lacks what Snakemake would love to make anew."""
    given = [str(demo.folder / name) for name in ("dataset", "references", "not_subject")]
    subprocess.run(["cp", "-a", *given, str(tmp_path)], check=True)
    copy = Demo(tmp_path, demo.repository, demo.config)
    gone = [f"04_augmented/{WALK}.csv", "environments_pinned.csv"]
    for path in gone:
        (copy.dataset / path).unlink()
    before = copy.digests()
    command = copy.command("verified", "--forcerun", "verify", "--cores", "1")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = (tmp_path / "logs/verified.log").read_text()
    assert gone[0] in said and gone[1] in said and "Traceback" not in said
    assert copy.digests() == before, "verify reads, and writes nothing into the dataset"
    assert (tmp_path / "qc_reports/verify_dataset.html").is_file()
    assert run_events.files(tmp_path) == [], "a run that makes nothing has nobody follow it"
