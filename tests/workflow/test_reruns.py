"""What runs again after a change: jobs planned, and items that are really worked on.

These are the lines of the table in docs/reruns.md.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass

import pytest

from ferrari.captions import overrides
from ferrari.common.atomic_files import sha256_file
from ferrari.jobs import planned_jobs
from ferrari.ledger import tables
from ferrari.ledger.refused_files import refuse_frame
from ferrari.ledger.stages import table
from ferrari.provenance import table_stamps
from ferrari.review import writing
from tests.generator import faults
from tests.generator.spec import ClipSpec, FigureSpec
from tests.settings import unloadable_model
from tests.unit.review.rows import decided
from tests.workflow import small_run
from tools import tidy, verify

pytestmark = pytest.mark.timeout(300)
#: Stages with a job a clip, in the order of flow.
STAGES = ("probe", "extract", "detect", "crop", "mask", "augment", "caption")
CLIPS = 3
#: Jobs over the whole set that have a log: tables, reports and pages, packages, what others read.
#: Not `who`: here no clip votes and there are no pictures, so it depends on no file.
WHOLE_SET = (
    *("videos", "environments", "select_final"),
    *("qc0", "qc0_page", "qc3", "qc_identity", "qc4", "qc5", "qc6"),
    *("qc7", "qc8", "index", "kohya", "imagefolder", "croissant", "ledger"),
)
#: What per-clip stages write, below the dataset.
OF_STAGES = ("videos/", "0", "bad_", "subject/")
OF_STAGES += ("stamps/0", "stamps/videos/", "stamps/subject/")
IDLE = "nothing to do"
FRESH = r"(\d+) of (\d+) items to work on"


@dataclass
class Rerun:
    """A run after a change: for each stage its jobs, those with nothing to do, and items."""

    jobs: dict[str, int]
    idle: dict[str, int]
    items: dict[str, int]


def rerun(run, **overlay) -> Rerun:
    """Run up to the final table; the run after it has nothing to do."""
    shutil.rmtree(run.folder / "logs")
    run.run("--cores", "2", small_run.FINAL, overlay=overlay)
    found = Rerun({}, {}, {})
    for stage in STAGES:
        texts = [path.read_text() for path in (run.folder / "logs" / stage).glob("*.log")]
        found.jobs[stage] = len(texts)
        found.idle[stage] = sum("nothing to do" in text for text in texts)
        found.items[stage] = sum(int(n) for text in texts for n, _ in re.findall(FRESH, text))
    assert run.planned(small_run.FINAL, overlay=overlay) == {}
    return found


@pytest.fixture
def run(small, tmp_path):
    return small.copy(tmp_path / "copy")


def clip_of(run, start: str) -> str:
    (table,) = (run.dataset / "videos").glob(f"{start}*.csv")
    return table.stem


def outputs(run) -> dict[str, str]:
    """Digests of what the stages wrote; of stamps only those of per-clip tables."""
    return {name: digest for name, digest in run.digests().items() if name.startswith(OF_STAGES)}


def test_a_touched_file_is_read_and_nothing_is_made(run):
    before = outputs(run)
    os.utime(run.dataset / "00_raw_videos/walk one.mp4")
    found = rerun(run)
    assert found.jobs["probe"] == found.jobs["mask"] == 1
    assert found.idle == found.jobs and not any(found.items.values())
    assert outputs(run) == before


def test_a_copied_project_is_looked_at_and_worked_on_nowhere(small, tmp_path):
    """Times of change are all new: each job runs, reports and packages too, and makes nothing."""
    shutil.copytree(small.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    run = type(small)(tmp_path / "copy", small.repository, small.config)
    shutil.rmtree(run.folder / "logs")
    before, reports = run.digests(), report_digests(run)
    run.run("--cores", "2")
    logs = {
        path.relative_to(run.folder / "logs"): path for path in run.folder.rglob("logs/**/*.log")
    }
    worked = {str(name) for name, log in logs.items() if IDLE not in log.read_text()}
    assert worked == {"croissant.log", "ledger.log"}
    assert len(logs) == len(STAGES) * CLIPS + len(WHOLE_SET)
    assert run.digests() == before and report_digests(run) == reports


@pytest.mark.slow
def test_a_touched_clip_of_a_whole_project_works_on_nothing(small, tmp_path):
    run = small.copy(tmp_path / "copy")
    shutil.rmtree(run.folder / "logs")
    before, reports = run.digests(), report_digests(run)
    os.utime(run.dataset / "00_raw_videos/wave_two.mp4")
    run.run("--cores", "2")
    worked = [log for log in run.folder.rglob("logs/**/*.log") if IDLE not in log.read_text()]
    assert {log.name for log in worked} == {"croissant.log", "ledger.log"}
    assert run.digests() == before and report_digests(run) == reports


def report_digests(run) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in (run.folder / "qc_reports").glob("*.*")}


def test_a_raised_limit_opens_the_rows_that_it_had_ended_and_no_others(run):
    before = outputs(run)
    video, item = ended_by_memory(run)
    found = rerun(run)  # the table of masks has changed, and with it what is made of it
    assert (found.jobs["mask"], found.items["augment"], found.items["caption"]) == (0, 0, 0)
    assert outputs(run) != before

    found = rerun(run, mask={"memory_mb": 9000})
    spared = dict.fromkeys(("probe", "extract", "detect", "crop"), 0)
    assert found.jobs == dict.fromkeys(STAGES, CLIPS) | spared
    assert (found.items["mask"], found.items["augment"]) == (1, 1)
    assert found.items["caption"] == images_of(run, video, item) > 0
    assert found.idle["mask"] == CLIPS - 1
    assert outputs(run) == before


def ended_by_memory(run) -> tuple[str, str]:
    """Make one cut-out's row what it is where the network ran out of memory on that crop."""
    video = clip_of(run, "walk")
    table = run.dataset / f"03_masked_subjects/{video}.csv"
    rows = tables.read_stage(table, "mask")
    lost = next(row for row in rows if row["outcome"] == "kept")
    crop = next(
        row
        for row in tables.read_stage(run.dataset / f"02_yolo_crops/{video}.csv", "crop")
        if row["item"] == lost["item"]
    )
    (run.dataset / lost["path"]).unlink()
    blank = dict.fromkeys(lost, "")
    about = {name: lost[name] for name in ("segmenter", "weights_sha256", "device")}
    data = (run.dataset / crop["path"]).read_bytes()
    path = refuse_frame(f"{lost['item']}.png", data, video, "OUT_OF_MEMORY", run.dataset)
    refused = {
        **blank,
        **about,
        "item": lost["item"],
        "parent": lost["parent"],
        "outcome": "quarantined",
        "reason": "OUT_OF_MEMORY",
        "path": path,
        "sha256": crop["sha256"],
    }
    tables.write_stage(table, "mask", [refused if row is lost else row for row in rows])
    place = table_stamps.place(run.dataset, table)
    stamp = table_stamps.read(place)
    table_stamps.write(
        table=table,
        dataset=run.dataset,
        rule="mask",
        code=stamp["code"],
        settings=stamp["settings"],
        inputs=[str(run.dataset / name) for name in stamp["inputs"]],
        limits={"memory_mb": 8192, "timeout_s": 120},
        items=stamp["items"],
    )
    return video, lost["item"]


def images_of(run, video: str, cutout: str) -> int:
    rows = tables.read_stage(run.dataset / f"04_augmented/{video}.csv", "augment")
    return sum(row["parent"] == cutout for row in rows)


@pytest.mark.slow
def test_a_raised_limit_that_ended_nothing_works_on_nothing(run):
    before = outputs(run)
    found = rerun(run, detect={"timeout_s": 999})
    assert found.jobs == {**dict.fromkeys(STAGES, CLIPS), "probe": 0, "extract": 0}
    assert found.idle == found.jobs and outputs(run) == before


@pytest.mark.slow
def test_a_clip_that_ran_out_of_time_is_tried_again_with_more(run):
    table = run.dataset / f"01_extracted_frames/{clip_of(run, 'walk')}.csv"
    rerun(run, extract={"fps": 3, "timeout_s": 0.001})
    (row,) = tables.read_stage(table, "extract")
    assert (row["reason"], row["value"]) == ("EXTRACTOR_REJECTED", "DECODE_TIMEOUT")
    assert rerun(run, extract={"fps": 3, "timeout_s": 0.0005}).idle["extract"] == CLIPS
    found = rerun(run, extract={"fps": 3})
    assert (found.jobs["extract"], found.idle["extract"]) == (CLIPS, 1), "all but the thumbnail"
    assert len(tables.kept(tables.read_stage(table, "extract"))) > 1


@pytest.mark.slow
def test_a_threshold_is_applied_anew_and_only_what_it_changed_is_made(run):
    video = clip_of(run, "walk")
    crops = tables.read_stage(run.dataset / f"02_yolo_crops/{video}.csv", "crop")
    sides = sorted(float(row["value"]) for row in crops if row["outcome"] == "kept")
    found = rerun(run, detect={"min_side": int(sides[0]) + 1})
    frames = found.items["crop"]
    assert frames > 2 and found.items["mask"] == 0, "crops that stay are not masked again"
    assert found.jobs["detect"] == 0, "and no frame is searched"
    assert found.items["augment"] == found.items["caption"] == 0
    back = rerun(run)
    assert back.items["crop"] == frames
    assert 0 < back.items["mask"] == back.items["augment"] < frames


@pytest.mark.slow
def test_one_clip_more_is_worked_on_alone(run):
    spec = ClipSpec(
        seed=34, n_frames=20, scenes=("room",), figures=(FigureSpec(seed=134, framing="full"),)
    )
    faults.good(run.dataset / "00_raw_videos/third.mp4", spec)
    found = rerun(run)
    assert found.jobs == dict.fromkeys(STAGES, 1)
    assert not any(found.idle.values()) and found.items["crop"] > 0


def test_a_clip_taken_out_that_lent_no_scene_reruns_no_job_of_another(run):
    """The bank was drawn from it too, and keeps its row: all that changes is the bank's stamp."""
    gone = clip_of(run, "thumbnail")
    bank = run.dataset / "environments.csv"
    (row,) = [row for row in tables.read_table(bank) if row["video"] == gone]
    assert row["outcome"] == "dropped", "it was drawn, and lent none"
    before, drawn = outputs(run), bank.read_bytes()
    os.utime(bank)  # written after the clips came: copying them gave them a new time of change
    (run.dataset / "00_raw_videos/thumbnail.mp4").unlink()
    found = rerun(run)
    assert found.jobs == dict.fromkeys(STAGES, 0)
    assert IDLE in (run.folder / "logs/environments.log").read_text()
    after = before | outputs(run)
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {"stamps/05_final_training/final.json"} and bank.read_bytes() == drawn
    stamp = table_stamps.read(table_stamps.place(run.dataset, bank))
    assert not [name for name in stamp["inputs"] if gone in name], "they may be deleted now"
    assert tidy.main(["--work", str(run.folder), "--yes", "--config", *run.configs]) == 0
    assert run.planned(small_run.FINAL) == {}, "nor when its tables are gone too"
    assert not [path for path in run.dataset.rglob("*") if gone in path.name]
    assert verify.main(["--work", str(run.folder), "--cores", "2", "--config", *run.configs]) == 0
    os.utime(run.dataset / "00_raw_videos/walk one.mp4")
    assert run.planned(small_run.FINAL)["augment"] == CLIPS - 1, "a clip that lends one is touched"


def test_a_clip_taken_out_that_lent_a_scene_has_the_others_looked_at(run):
    (run.dataset / "00_raw_videos/wave_two.mp4").unlink()
    assert run.planned(small_run.FINAL)["augment"] == CLIPS - 1


@pytest.mark.slow
def test_a_caption_by_hand_is_one_items_work(run):
    before = outputs(run)
    video = clip_of(run, "walk")
    captions = run.dataset / f"05_final_training/captions/{video}.csv"
    row = tables.read_stage(captions, "caption")[0]
    table = run.dataset / overrides.PLACE
    table.parent.mkdir()
    table.write_text(f'item,caption\n{row["item"]},"sks person, {row["background"]}"\n')
    found = rerun(run)
    assert {s: n for s, n in found.jobs.items() if n} == {"caption": 1}
    assert found.items["caption"] == 1
    assert tables.read_stage(captions, "caption")[0]["caption_source"] == "override"
    table.unlink()
    assert rerun(run).items["caption"] == 1 and outputs(run) == before


@pytest.mark.slow
def test_what_decisions_cause_is_told_from_what_waited_anyway(run):
    """What Snakemake says of a dry run, read: another form of it would have all wait anyway."""
    walk, wave = clip_of(run, "walk"), clip_of(run, "wave")
    crops = tables.read_stage(run.dataset / table("crop", walk), "crop")
    row = decided("drop", next(one["item"] for one in crops if one["outcome"] == "kept"))
    writing.append(run.dataset, [row])

    def split() -> tuple[dict[str, str], dict[str, str]]:
        planned = planned_jobs.read(run.run("-n", "--nocolor", small_run.FINAL))
        caused = planned_jobs.caused_by_decisions(planned)
        others = [job for job in planned if job not in caused]
        return {job.rule: job.clip for job in caused}, {job.rule: job.clip for job in others}

    of_walk = {"crop": walk, "mask": walk, "augment": walk, "caption": walk}
    assert split() == (of_walk | {"select_final": ""}, {})
    (run.dataset / table("caption", wave)).unlink()
    assert split() == (of_walk, {"caption": wave, "select_final": ""})


def test_what_was_damaged_since_is_made_again(run):
    """A file that is not as its row says is never linked into the new folder."""
    video = clip_of(run, "walk")
    before = outputs(run)
    table = run.dataset / f"03_masked_subjects/{video}.csv"
    row = next(r for r in tables.read_stage(table, "mask") if r["outcome"] == "kept")
    (run.dataset / row["path"]).write_bytes(b"not a picture")
    stamp = table_stamps.place(run.dataset, run.dataset / f"02_yolo_crops/{video}.csv")
    stamp.unlink()
    os.utime(run.dataset / "00_raw_videos/walk one.mp4")
    found = rerun(run)
    assert found.idle["mask"] == 1, "the crops came out the same; `verify` finds the damage"
    (run.dataset / row["path"]).unlink()
    os.utime(run.dataset / "00_raw_videos/walk one.mp4")
    assert rerun(run).items["mask"] == 1 and outputs(run) == before


def test_a_job_that_failed_is_done_again(run):
    """Snakemake takes a failed job for done where it has put the output's old state back."""
    bad = unloadable_model(run.folder / "model")
    for _ in range(2):
        output = run.run("--cores", "2", check=False, overlay=bad)
        assert "Error in rule caption" in output
    made = (run.dataset / "05_final_training/captions").glob("*.csv")
    assert all(table.name.startswith("thumbnail") for table in made), "it has nothing to caption"
    assert run.planned()["caption"] == CLIPS
