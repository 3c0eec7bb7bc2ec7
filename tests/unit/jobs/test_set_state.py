"""What is said with an answer about a set that is being made, or whose last run stopped."""

from __future__ import annotations

import fcntl
import json
import os
from datetime import datetime

import pytest

from ferrari.common import settings
from ferrari.common.atomic_files import sha256_bytes
from ferrari.jobs import run_lock, set_state
from ferrari.ledger import tables
from ferrari.ledger.columns import COLUMNS
from ferrari.ledger.item_ids import video_id
from ferrari.provenance import last_run
from tests.unit.dashboard import live_set
from tests.unit.dashboard.live_set import BEGAN, end, job, start, tell
from tools import plan_run, verify

CONFIG = settings.completed({})


@pytest.fixture
def held():
    """Takes the lock of a file or folder, as a run does, until the test ends."""
    descriptors = []

    def hold(path):
        descriptors.append(os.open(path, os.O_RDONLY))
        fcntl.flock(descriptors[-1], fcntl.LOCK_EX)

    yield hold
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_run_at_work_is_told_with_how_far_it_is(tmp_path, held):
    the_set = live_set.make(tmp_path)
    assert set_state.at_work(tmp_path, the_set.dataset) == ""
    events = [start({"mask": 3, "crop": 2}), job("began", 1, 1), job("ended", 2, 1)]
    path = tell(the_set, *events, job("began", 2, 2))
    assert set_state.at_work(tmp_path, the_set.dataset) == "", "it is over"
    held(the_set.dataset)
    assert set_state.at_work(tmp_path, the_set.dataset) == "a run is at work", "not that one"
    held(path)
    began = f"{datetime.fromtimestamp(BEGAN):%Y-%m-%d %H:%M}"
    said = f"a run is at work since {began}: 1 of 5 jobs are done"
    assert set_state.at_work(tmp_path, the_set.dataset) == said


def test_jobs_that_a_killed_run_left_are_told(tmp_path, held):
    the_set = live_set.make(tmp_path)
    tell(the_set, start({"mask": 3}), end(4, "failed"))
    (tmp_path / ".snakemake/jobs.lock").touch()
    held(tmp_path / ".snakemake/jobs.lock")
    assert "a run was killed" in set_state.at_work(tmp_path, the_set.dataset)


def recorded(work, *runs):
    """Records of runs, the first first: status, and targets or a shard."""
    for number, (status, facts) in enumerate(runs):
        folder = work / "audit/runs" / str(number)
        folder.mkdir(parents=True)
        known = {"start": f"2026-01-0{number + 1}T10:00:00+00:00", "status": status, "targets": []}
        (folder / "run.json").write_text(json.dumps(known | facts))


PAGE, LOOK, SHARD = {"targets": ["page"]}, {"targets": ["verified"]}, {"shard": "1/2"}


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        ([], None),
        ([("success", {})], None),
        ([("success", {}), ("failed", {})], "1"),
        ([("failed", {}), ("success", {})], None),
        ([("failed", {}), ("success", {"targets": ["all"]})], None),
        ([("failed", {}), ("success", PAGE)], "0"),
        ([("failed", {}), ("success", SHARD)], "0"),
        ([("success", {}), ("failed", LOOK)], None),
        ([("success", {}), (None, {})], "1"),
    ],
)
def test_a_run_that_stopped_counts_until_a_whole_one_got_to_its_end(tmp_path, runs, told):
    recorded(tmp_path, *runs)
    found = last_run.unfinished(tmp_path / "audit")
    assert (found and found[0].name) == told
    assert found is None or int(found[1]["start"][9]) - 1 == int(told)


def stopped_by_its_references(work):
    """A set whose last run had a job that failed, as it lies there afterwards."""
    recorded(work, ("success", {}), ("failed", {}))
    (work / "dataset/videos").mkdir(parents=True)
    (work / "logs").mkdir()
    (work / "logs/who.log").write_text(
        "a line\nTraceback (most recent call last):\n  File it\nSubjectError: two people\n"
    )
    (work / "logs/old.log").write_text("Traceback (most recent call last):\nOldError: it\n")
    os.utime(work / "logs/old.log", (0, 0))


class Watched:
    """In place of a run that verifies: what it finds."""

    status = 1

    def __init__(self, work, *_, **__):
        self.work = work

    def run(self, _):
        (self.work / verify.VERDICT).write_text("tables_present: dataset/x.csv is missing\n")
        return self.status


def test_verify_says_first_that_the_last_run_stopped_and_why(tmp_path, monkeypatch, capsys):
    """It named what was missing by its paths, as if somebody had deleted it."""
    stopped_by_its_references(tmp_path)
    monkeypatch.setattr(verify.run_watch, "Watch", Watched)
    assert verify.verify(tmp_path, CONFIG, [], 1) == 1
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("The run of 2026-01-02T10:00:00+00:00 stopped before its end, and none")
    assert f"make run WORK={tmp_path}" in first
    assert "SubjectError: two people" in others and "OldError: it" not in others
    assert others[-1].startswith("tables_present")


@pytest.mark.parametrize(
    "words",
    [
        "Terminating processes on user request, this might take some time.\n",
        "Will exit after finishing currently running jobs (scheduler).\n",
    ],
    ids=["Ctrl-C", "SIGTERM"],
)
def test_of_a_run_that_was_stopped_from_outside_nothing_is_to_be_mended(
    tmp_path, monkeypatch, capsys, words
):
    """Ctrl-C was called something that stopped the run, and had to be mended."""
    recorded(tmp_path, ("failed", {}))
    (tmp_path / "dataset/videos").mkdir(parents=True)
    (tmp_path / "logs").mkdir()
    (tmp_path / "audit/runs/0/snakemake.log").write_text(words)
    monkeypatch.setattr(verify.run_watch, "Watch", Watched)
    assert verify.verify(tmp_path, CONFIG, [], 1) == 1
    first = capsys.readouterr().out.splitlines()[0]
    assert (
        "stopped from outside (Ctrl-C, or an order to end) before its end" in first
        and "Mend" not in first
    )
    assert f"The same run goes on where it was (make run WORK={tmp_path})" in first


def of_clips(work, *files):
    """A set whose last run saw `files` and got to its end."""
    recorded(work, ("success", {}))
    (work / "logs").mkdir()
    (work / "dataset/00_raw_videos").mkdir(parents=True)
    seen = [
        dict.fromkeys(COLUMNS["videos"], "")
        | {"item": video_id(name), "file": name, "verdict": verdict}
        for name, verdict in files
    ]
    tables.write_table(work / "dataset/videos.csv", COLUMNS["videos"], seen)
    return work / "dataset/00_raw_videos"


def verified(work, monkeypatch, capsys, config=CONFIG):
    """What verify prints of a set in which it finds something."""
    monkeypatch.setattr(verify.run_watch, "Watch", Watched)
    assert verify.verify(work, config, [], 1) == 1
    return capsys.readouterr().out.splitlines()


def test_verify_says_first_which_clips_are_gone_or_new(tmp_path, monkeypatch, capsys):
    """It named tables to delete, and not that a clip was taken out since."""
    raw = of_clips(tmp_path, ("stays.mp4", "OK"), ("out.mp4", "OK"), (".hid", "SYSTEM_FILE"))
    for name in ("stays.mp4", "in.mp4"):
        (raw / name).write_bytes(b"\0\0\0 ftypisom")
    first, blank, verdict = verified(tmp_path, monkeypatch, capsys)
    assert first.startswith(
        "Gone since the last run: 1 (out.mp4). New since the last run: 1 (in.mp4). If that is "
        f"meant, run the set first (make run WORK={tmp_path}), and verify then"
    )
    assert not blank and verdict.startswith("tables_present")
    shard = CONFIG | {"shard": "1/2"}
    first = verified(tmp_path, monkeypatch, capsys, shard)[0]
    assert "out.mp4" in first and "in.mp4" not in first, "it is another machine's"


@pytest.mark.parametrize("state", ["the same", "not there", "a bad table", "an empty table"])
def test_verify_says_nothing_of_clips_where_that_is_not_it(tmp_path, monkeypatch, capsys, state):
    raw = of_clips(tmp_path, ("stays.mp4", "OK"))
    if state == "not there":
        raw.rmdir()
    else:
        (raw / "stays.mp4").write_bytes(b"\0\0\0 ftypisom")
    if "table" in state:
        data = b"" if "empty" in state else b"file\n\xff\0\n"
        (tmp_path / "dataset/videos.csv").write_bytes(data)
    (verdict,) = verified(tmp_path, monkeypatch, capsys)
    assert verdict.startswith("tables_present")


def test_verify_says_nothing_of_it_where_all_is_sound(tmp_path, monkeypatch, capsys):
    stopped_by_its_references(tmp_path)
    monkeypatch.setattr(Watched, "status", 0)
    monkeypatch.setattr(verify.run_watch, "Watch", Watched)
    assert verify.verify(tmp_path, CONFIG, [], 1) == 0
    assert "before its end" not in capsys.readouterr().out


@pytest.mark.parametrize("tool", ["verify", "plan"])
def test_an_answer_during_a_run_says_so_first(tmp_path, monkeypatch, capsys, tool, held):
    stopped_by_its_references(tmp_path)
    held(tmp_path / "dataset")
    if tool == "verify":
        monkeypatch.setattr(verify.run_watch, "Watch", Watched)
        assert verify.verify(tmp_path, CONFIG, [], 1) == 1
    else:
        monkeypatch.setattr(plan_run._Set, "files_found", lambda _: {})
        monkeypatch.setattr(plan_run.subprocess, "run", ended)
        assert plan_run.plan(plan_run._Set(tmp_path, [], CONFIG, 1)) == 1
    out = capsys.readouterr().out
    assert out.startswith("NOTE: a run is at work. What follows is ") and "stopped" not in out


def ended(command, **_):
    return plan_run.subprocess.CompletedProcess(command, 1, "", "it failed")


def test_whoever_asks_holds_nothing(tmp_path):
    the_set = live_set.make(tmp_path)
    set_state.at_work(tmp_path, the_set.dataset)
    assert not run_lock.is_held(the_set.dataset, fcntl.LOCK_EX)


REFERENCES = ("setting", "file", "sha256")


def with_pictures(work, **contents):
    """A set whose subject was told by the pictures that lie there now."""
    folder = work / "references"
    folder.mkdir()
    rows = []
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content)
        digest = sha256_bytes(content) if content else ""
        rows.append({"setting": "subject.references", "file": f"{name}.jpg", "sha256": digest})
    (work / "dataset/subject").mkdir(parents=True)
    tables.write_table(work / "dataset/subject/references.csv", REFERENCES, rows)
    return folder


def test_pictures_that_came_went_or_changed_are_told(tmp_path):
    folder = with_pictures(tmp_path, a=b"a", b=b"b", c=b"c", unread=b"")
    assert set_state.other_pictures(tmp_path, CONFIG) == ""
    (folder / "b.jpg").write_bytes(b"another")
    (folder / "c.jpg").unlink()
    for number in range(5):
        (folder / f"new{number}.jpg").write_bytes(b"n")
    told = set_state.other_pictures(tmp_path, CONFIG)
    assert (
        "since the last run: 5 new (new0.jpg, new1.jpg, new2.jpg and 2 more), 1 gone (c.jpg), "
        "1 changed (b.jpg). Who the subject is gets decided anew"
    ) in told


def test_pictures_of_a_set_that_had_none_are_new_and_all_may_go(tmp_path):
    folder = with_pictures(tmp_path)
    folder.rmdir()
    assert set_state.other_pictures(tmp_path, CONFIG) == "", "the clips voted, and will again"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"a")
    assert "1 new (a.jpg)" in set_state.other_pictures(tmp_path, CONFIG)
    others = tmp_path / "others"
    others.mkdir()
    (others / "x.jpg").write_bytes(b"x")
    config = settings.completed({"subject": {"not": "others"}})
    assert "2 new (a.jpg, x.jpg)" in set_state.other_pictures(tmp_path, config)
    single = settings.completed({"subject": {"mode": "single"}})
    assert set_state.other_pictures(tmp_path, single) == ""


def test_a_picture_whose_name_is_no_utf8_can_be_printed(tmp_path):
    """`print` would end in a UnicodeEncodeError."""
    folder = with_pictures(tmp_path)
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"a")
    assert "1 new (caf\\xe9.jpg)" in set_state.other_pictures(tmp_path, CONFIG)


def test_pictures_beside_the_command_are_none_of_the_sets(tmp_path, monkeypatch):
    """`make plan WORK=` is called where another set may lie: its references were told as new."""
    work = tmp_path / "work"
    work.mkdir()
    with_pictures(work).rmdir()
    (tmp_path / "references").mkdir()
    (tmp_path / "references/a.jpg").write_bytes(b"a")
    monkeypatch.chdir(tmp_path)
    assert set_state.other_pictures(work, CONFIG) == ""


def test_a_set_that_was_never_run_has_nothing_to_compare(tmp_path):
    (tmp_path / "references").mkdir()
    assert set_state.other_pictures(tmp_path, CONFIG) == ""
