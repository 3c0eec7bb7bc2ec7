"""The graph itself, on stubs without footage: what is lost is found, and it grows with the clips.

What a run costs at 10,000 clips is measured (`make bench`); here is what must not come back.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from bench import stubs
from ferrari.captions import overrides
from ferrari.ledger import item_ids, stages
from ferrari.review import decision_table, writing
from tests.unit.review.rows import decided, undone
from tests.workflow import warm_snakemake
from tests.workflow.demo_run import ROOT, Demo

pytestmark = pytest.mark.timeout(300)
CLIPS = 3
VIDEO = item_ids.video_id(stubs.file_name(1))
#: How many input names one more clip adds, by rule. `augment` has the bank of scenes beside it.
NAMES_A_CLIP = {
    **{"probe": 0, "extract": 1, "detect": 2, "crop": 2, "mask": 1, "augment": 4, "caption": 3},
    **{"videos": 2, "select_final": 1, "ledger": 0, "environments": 3, "qc0": 0, "all": 0},
    **dict.fromkeys(("qc3", "qc_identity", "qc4", "qc5", "qc6", "qc7"), 1),
    "qc8": 0,
}


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Demo:
    """A few clips for which nothing is to be done; their tables are empty."""
    folder = tmp_path_factory.mktemp("stubs") / "run"
    folder.mkdir()
    stubs.finished(folder, CLIPS, run=warm_snakemake.on_stubs)
    return Demo(folder)


@pytest.fixture
def copy(done, tmp_path) -> Demo:
    return done.copy(tmp_path / "copy")


def table(run: Demo, stage: str) -> Path:
    return run.dataset / stages.table(stage, VIDEO)


@pytest.mark.parametrize("lost", ["probe", "mask", "caption"])
def test_a_lost_table_is_made_anew_with_what_was_made_of_it(copy, lost):
    table(copy, lost).unlink()
    planned = copy.planned()
    order = list(stages.FOLDERS)
    before, after = order[: order.index(lost)], order[order.index(lost) :]
    assert planned[lost] == 1 and not set(before) & set(planned)
    assert {*after, "select_final", "ledger"} <= set(planned)


@pytest.mark.parametrize("lost", stages.OF_WHO)
def test_who_the_subject_is_is_named_anew_where_it_is_lost(copy, lost):
    (copy.dataset / lost).unlink()
    planned = copy.planned()
    assert planned["who"] == 1 and "detect" not in planned


def test_a_lost_report_is_made_anew(copy):
    (copy.folder / "qc_reports/qc5_masks_summary.html").unlink()
    planned = copy.planned()
    assert planned["qc5"] == planned["qc_index"] == 1 and "mask" not in planned


def test_what_a_run_that_was_cut_short_lost_is_made_anew(copy):
    """Without a final table too: a rule over all clips reads tables that it does not name."""
    for path in ("dataset/05_final_training/final.csv", "audit/ledger.parquet"):
        (copy.folder / path).unlink()
    table(copy, "extract").unlink()
    planned = copy.planned()
    assert planned["extract"] == planned["select_final"] == planned["ledger"] == 1


def test_a_clip_more_adds_so_many_names_and_no_more(tmp_path):
    """They are the memory and the time at 10,000 clips: a stage that is named once more shows."""
    counts = []
    for clips in (2, 6):
        run = Demo(tmp_path / str(clips))
        stubs.raw_files(run.folder, clips)
        found = dict.fromkeys(NAMES_A_CLIP, 0)
        for rule, files in re.findall(r"^rule (\w+):\n    input: (.*)$", run.run("-n"), re.M):
            found[rule] = found.get(rule, 0) + len(files.split(", "))
        counts.append(found)
    few, many = counts
    grown = {rule: (many[rule] - few[rule]) / 4 for rule in NAMES_A_CLIP}
    assert grown == NAMES_A_CLIP


def test_a_line_of_the_overrides_reruns_its_clips_captions_and_no_others(copy):
    """The rules over all clips follow; before the captions, and for other clips, nothing."""
    table = copy.dataset / overrides.PLACE
    table.parent.mkdir()
    unknown = "no-such-clip-0123456789-f000001-p0"
    table.write_text(f"item,caption\n{VIDEO}-f000001-p0-v0,sks person\n{unknown},sks person\n")
    planned = copy.planned()
    jobs = {stage: planned.get(stage, 0) for stage in stages.FOLDERS}
    assert jobs == {**dict.fromkeys(stages.FOLDERS, 0), "caption": 1}
    assert planned["qc7"] == planned["select_final"] == 1


def test_a_clip_goes_on_before_others_begin_and_those_that_are_waited_for_come_first(tmp_path):
    """Else all clips are searched before one is cut, and card and cores wait for each other."""
    run = Demo(tmp_path / "run")
    stubs.raw_files(run.folder, CLIPS + 3)
    overlay = {"augment": {"environment_clips": 1}}
    output = run.run("--cores", "1", "dataset/05_final_training/final.csv", overlay=overlay)
    done = re.findall(r"^localrule (\w+):\n(?:    .*\n)*?    wildcards: video=(\S+)$", output, re.M)
    with open(run.dataset / "environments_pinned.csv", newline="") as table:
        (pinned,) = (line["video"] for line in csv.DictReader(table))
    assert done[:3] == [(stage, pinned) for stage in ("probe", "extract", "detect")]
    stages_of = {clip: [stage for stage, of in done if of == clip] for _, clip in done}
    assert set(map(tuple, stages_of.values())) == {tuple(stages.FOLDERS)}
    begun = [place for place, (stage, clip) in enumerate(done) if stage == "probe"]
    assert all(done[place - 1][0] == "caption" for place in begun[1:])


DECIDED = {
    "crop": decided("drop", f"{VIDEO}-f000001-p0", "item"),
    "mask": decided("drop", f"{VIDEO}-f000001-p0", "cutout"),
    "caption": decided("caption", f"{VIDEO}-f000001-p0", "cutout", value="sks person"),
    "final": decided("drop", f"{VIDEO}-f000001-p0-v0", "image"),
    "videos": decided("drop", VIDEO, "clip"),
}


@pytest.mark.parametrize("stage", DECIDED)
def test_a_decision_reruns_its_clips_jobs_from_its_stage_on_and_no_others(copy, stage):
    row = DECIDED[stage]
    writing.append(copy.dataset, [row])
    planned = copy.planned()
    order = list(stages.FOLDERS)
    after = order[order.index(stage) :] if stage in order else []
    assert {name: planned.get(name, 0) for name in order} == {n: int(n in after) for n in order}
    assert planned["select_final"] == planned["qc7"] == planned["croissant"] == 1
    assert planned.get("videos", 0) == (stage == "videos")
    writing.append(copy.dataset, [undone(row)])
    assert copy.planned() == {}


def test_decisions_that_cannot_be_used_end_the_run_before_its_first_job(copy):
    row = DECIDED["caption"]
    writing.append(copy.dataset, [row])
    table = copy.dataset / overrides.PLACE
    table.parent.mkdir()
    table.write_text(f"item,caption\n\n{row.target},sks person\n")
    said = copy.run("-n", check=False)
    assert f"{row.target} has two captions" in said
    assert "overrides.csv, line 3" in said and "decisions.csv, line 2" in said
    with open(copy.dataset / decision_table.PLACE, "a") as stream:
        stream.write("torn")
    assert "decisions.csv, line 3 is cut off" in copy.run("-n", check=False)


def test_no_rule_lists_the_clips_by_itself():
    """Snakemake hashes a whole list for each of its items where the rule has another's output."""
    shared = ("common.smk", "awaited.smk")
    rules = [path for path in (ROOT / "rules").glob("*.smk") if path.name not in shared]
    assert rules and not [path.name for path in rules if "in VIDEOS" in path.read_text()]
