"""The jobs of a dry run, and which of them a person's decisions alone cause."""

from __future__ import annotations

import pytest

from ferrari.jobs import planned_jobs
from ferrari.review.decisions import DECIDED
from tests.unit.review.rows import WALK, WAVE

NOW, BEFORE = f"{DECIDED}0123456789abcdef", f"{DECIDED}fedcba9876543210"
CODE, OLD_CODE = "1111222233334444", "5555666677778888"
CHANGED = "Params have changed since last execution: Union of exclusive params before and now"
UPDATED = "Input files updated by another job: "


def changed(before: str, now: str) -> str:
    return f"{CHANGED} across all output: before: {before} now: {now} "


def job(rule: str, output: str, reason: str, clip: str = "", inputs: str = "") -> str:
    """What a dry run says of a job."""
    lines = [f"rule {rule}:"]
    lines += [f"    input: {inputs}"] * bool(inputs)
    files = ", ".join(f"{file} (update)" for file in output.split(", "))
    lines += [f"    output: {files}", f"    log: logs/{rule}.log", "    jobid: 7"]
    lines += [f"    benchmark: b/{rule}.tsv", f"    reason: {reason}"]
    lines += [f"    wildcards: video={clip}"] * bool(clip)
    lines += ["    resources: tmpdir=<TBD>"]
    return "[Sun Nov 29 20:00:00 2026]\n" + "\n".join(lines) + "\n\n"


def split(*told: str) -> tuple[list[str], list[str]]:
    """The rules of jobs that decisions cause, and of the others."""
    planned = planned_jobs.read("".join(told))
    decided = planned_jobs.caused_by_decisions(planned)
    return [one.rule for one in decided], [one.rule for one in planned if one not in decided]


DECIDED = changed("''", f"'{NOW}'")
CROP = job("crop", "crop.csv, crop", DECIDED, WALK)
MASK = job("mask", "mask.csv", f"{UPDATED}crop.csv", WALK, inputs="crop.csv")
FINAL = job("select_final", "final.csv", f"{UPDATED}mask.csv, crop.csv")


def test_jobs_are_read_with_their_clips_files_and_reasons():
    crop, mask = planned_jobs.read(CROP + MASK + job("all", "x", f"{UPDATED}final.csv"))
    assert (crop.rule, crop.clip, crop.outputs) == ("crop", WALK, ("crop.csv", "crop"))
    assert mask.waits_for == ("crop.csv",) and crop.waits_for == ()
    assert planned_jobs.clips([crop, mask]) == [WALK]
    assert planned_jobs.read("localrule videos:\n    output: v.csv\n")[0].rule == "videos"


def test_decisions_that_wait_are_told_whatever_else_there_is_to_do():
    """With a clip gone the jobs that would apply a decision ran anyway, and a plan said nothing."""
    told = planned_jobs.decided_told
    assert told(planned_jobs.read(CROP + MASK + FINAL), 1) == (
        "3 jobs, of 1 clip and over the whole set"
    )
    probe = job("probe", "frames.csv", "Missing output files: frames.csv", WALK)
    assert told(planned_jobs.read(probe), 2) == (
        "2 since the last run, applied by jobs that run anyway"
    )
    assert told(planned_jobs.read(probe), 0) == ""


def test_what_follows_from_a_decision_is_caused_by_it():
    assert split(CROP, MASK, FINAL) == (["crop", "mask", "select_final"], [])


@pytest.mark.parametrize(
    "reason",
    [
        "Missing output files: crop.csv",
        "Updated input files: frames.csv",
        "Code has changed since last execution",
        "Set of input files has changed since last execution",
        changed(f"'{BEFORE}'", f"'{CODE}'"),
        changed(f"'{OLD_CODE}'", f"'{CODE}'"),  # digests, but of the code
        changed(f"'{BEFORE}','{OLD_CODE}'", f"'{NOW}','{CODE}'"),
        changed(f"'{OLD_CODE}'", "''"),
        changed("''", "<nothing exclusive>"),
        changed("'0.25'", "'0.3'"),
        changed(f"0.25,'{BEFORE}'", f"0.3,'{NOW}'"),
        changed("['a', 'b']", "<nothing exclusive>"),
        f"Updated input files: frames.csv; {DECIDED}",
        "",
    ],
)
def test_another_reason_of_its_own_makes_it_wait_anyway_and_all_that_follows(reason):
    other = job("crop", "crop.csv", reason, WALK)
    assert split(other, MASK, FINAL) == ([], ["crop", "mask", "select_final"])


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (f"'{BEFORE}'", f"'{NOW}'"),
        (f"'{BEFORE}'", "''"),
        (f"'{BEFORE}'", "<nothing exclusive>"),
        ("<nothing exclusive>", f"'{NOW}'"),
    ],
)
def test_decided_first_decided_anew_and_taken_back_are_decisions(before, now):
    assert split(job("crop", "crop.csv", changed(before, now), WALK)) == (["crop"], [])


def test_a_job_of_both_is_counted_once_and_would_run_anyway():
    extract = job("extract", "frames.csv", "Missing output files: frames.csv", WAVE)
    both = job("select_final", "final.csv", f"{UPDATED}mask.csv, frames.csv; {DECIDED}")
    decided, anyway = split(CROP, MASK, extract, both)
    assert decided == ["crop", "mask"] and anyway == ["extract", "select_final"]


def test_what_waits_for_nobody_knows_what_is_not_put_down_to_decisions():
    assert split(CROP, job("mask", "mask.csv", f"{UPDATED}other.csv")) == (["crop"], ["mask"])


def test_ten_thousand_jobs_take_no_square_of_time():
    told = "".join(
        job("crop", f"crop{n}.csv", DECIDED, f"clip-{n:010d}")
        + job("mask", f"mask{n}.csv", f"{UPDATED}crop{n}.csv", f"clip-{n:010d}")
        for n in range(5000)
    )
    decided, anyway = split(told)
    assert len(decided) == 10_000 and anyway == []
