"""What the live page says, read off a lock, a file of events and tables."""

import fcntl
import os
import subprocess
import sys

import pytest

from ferrari.dashboard import run_state
from ferrari.dashboard.run_control import RunControl
from ferrari.dashboard.run_state import RunState
from ferrari.jobs import run_lock
from ferrari.ledger.stages import table
from tests.unit.dashboard import live_set
from tests.unit.dashboard.live_set import BEGAN, end, job, start, tell
from tests.unit.large_dataset import write_tables


class Seen:
    """A watch over a set, at a moment that a test chooses, and what is at work as it says."""

    def __init__(self, folder, monkeypatch):
        self.set = live_set.make(folder)
        self.control = RunControl(self.set, lambda the_set, kind: ("sleep", "60"))
        self.now = BEGAN + 100
        self.at_work, self.held = run_lock.NOTHING, None
        self.watch = RunState(self.set, self.control, lambda: self.now)
        monkeypatch.setattr(run_lock, "at_work", lambda *_: self.at_work)
        monkeypatch.setattr(run_state, "_SAME_S", 0.0)

    def hold(self, path) -> None:
        """Have a file of events held by a run that is alive."""
        self.held = os.open(path, os.O_RDONLY)
        fcntl.flock(self.held, fcntl.LOCK_EX)
        self.at_work = run_lock.RUN

    def __call__(self) -> dict:
        return self.watch.state()


@pytest.fixture
def seen(tmp_path, monkeypatch):
    seen = Seen(tmp_path, monkeypatch)
    yield seen
    if seen.held is not None:
        os.close(seen.held)


def test_a_set_that_was_never_run(seen):
    state = seen()
    assert state["phase"] == "none" and state["sentence"] == "No run of this set is recorded yet."
    assert state["stages"] == [] and state["refused"] == [] and state["why_not"] == ""
    assert state["machine"]["disk_free"] > 0 and state["machine"]["memory_free"] > 0
    assert state["pace"]["rate"] is None


def test_a_run_at_work(seen):
    path = tell(
        seen.set,
        *[start({"mask": 4, "qc5": 1}), job("began", 10, 1), job("ended", 30, 1)],
        *[job("began", 30, 2), job("began", 31, 3)],
    )
    seen.hold(path)
    state = seen()
    assert state["phase"] == "running" and "been at work since 2027-01-15" in state["sentence"]
    assert state["stages"] == [
        {
            **{"stage": "mask", "title": "Cut-outs", "planned": 4},
            "done": 1,
            "running": 2,
            **{"failed": 0, "blocked": 0},
        },
        {
            **{"stage": "whole set", "title": "The whole set", "planned": 1},
            **{"done": 0, "running": 0, "failed": 0, "blocked": 0},
        },
    ]
    assert [(each["title"], each["of"], each["seconds"]) for each in state["now"]] == [
        ("Cut-outs", "clip-0000000002", 70.0),
        ("Cut-outs", "clip-0000000003", 69.0),
    ]
    assert state["run"]["done"] == 1 and state["run"]["planned"] == 5
    assert state["pace"]["rate"] == pytest.approx(0.6)
    tell(seen.set, job("ended", 90, 2))
    assert seen()["run"]["done"] == 2, "what was read is not read again, what is new is"


@pytest.mark.parametrize(
    ("job_is", "status", "phase", "said"),
    [
        ("ended", "success", "success", "ended well"),
        ("failed", "failed", "failed", "ended with failed jobs"),
        ("ended", "failed", "stopped", "was stopped, or could not go on"),
    ],
)
def test_the_end_of_a_run(seen, job_is, status, phase, said):
    jobs = [job("began", 1, 1), job(job_is, 2, 1, log="logs/x.log")]
    tell(seen.set, start({"mask": 2}), *jobs, end(3, status))
    state = seen()
    assert state["phase"] == phase and said in state["sentence"] and state["now"] == []
    assert state["run"]["ended"] == BEGAN + 3


def test_a_run_that_ends_is_not_taken_for_another_one(seen):
    """Its process holds the lock for a moment after its last word."""
    seen.hold(tell(seen.set, start({"mask": 1}), end(99, "success")))
    assert seen()["phase"] == "success"


@pytest.mark.parametrize("ends", [[], [end(50, "success")]])
def test_a_run_whose_events_are_still_an_earlier_one_s(seen, ends):
    """The earlier one may have been killed: then it never said that it is over."""
    tell(seen.set, start({"mask": 1}), job("began", 1, 1), *ends)
    seen.at_work = run_lock.RUN
    state = seen()
    assert state["phase"] == "starting" and "comes to its first job" in state["sentence"]
    assert state["stages"] == state["now"] == [] and state["run"]["planned"] == 0
    seen.hold(tell(seen.set, start({"probe": 2}), name="20270116T080000000000Z-1"))
    assert seen()["phase"] == "running" and seen()["run"]["planned"] == 2


@pytest.mark.parametrize("earlier", [True, False])
def test_a_run_that_leaves_no_events(seen, earlier):
    if earlier:
        tell(seen.set, start({"mask": 1}), end(50, "success"))
    seen.at_work = run_lock.RUN
    assert seen()["phase"] == "starting"
    seen.now += 31
    state = seen()
    assert state["phase"] == "silent" and "leaves no events here" in state["sentence"]
    assert state["stages"] == [] and state["now"] == []


def test_a_run_that_was_killed(seen):
    tell(seen.set, start({"mask": 2}), job("began", 1, 1))
    state = seen()
    assert state["phase"] == "killed" and "run again to go on" in state["sentence"]
    assert state["now"] == [], "nothing is at work"


def test_jobs_that_a_killed_run_left(seen):
    tell(seen.set, start({"mask": 2}), job("began", 1, 1))
    seen.at_work = run_lock.JOBS
    assert seen()["phase"] == "leftovers"


def test_without_locks_the_process_tells(seen, monkeypatch):
    monkeypatch.setattr(run_lock, "is_held", lambda *_: None)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    seen.at_work = run_lock.UNKNOWN
    path = tell(seen.set, start({"mask": 1}, pid=os.getpid()))
    assert seen()["phase"] == "running"
    path.unlink()
    tell(seen.set, start({"mask": 1}, pid=gone.pid), name="20280101T000000000000Z-2")
    assert seen()["phase"] == "killed"


def test_a_run_that_was_started_here_and_looks_at_what_to_do(seen):
    started = seen.control.start("dry")
    try:
        state = seen()
        assert state["phase"] == "starting" and state["sentence"].startswith("A dry run was")
        assert state["started"] == {"kind": "dry", "status": None} and state["why_not"]
    finally:
        started.process.kill()
        started.process.wait()
    assert seen()["started"]["status"] == -9


def test_a_run_that_was_started_here_and_is_over_is_not_said_to_go_on(seen):
    started = seen.control.start("run")
    try:
        seen.hold(tell(seen.set, start({"mask": 1}, pid=started.process.pid), end(3, "success")))
        state = seen()
        assert state["phase"] == "success" and "is about to end" in state["why_not"]
    finally:
        started.process.kill()
        started.process.wait()
    assert "is about to end" not in seen()["why_not"]


def test_a_failed_job_says_why(seen):
    log = seen.set.work / "logs/mask/a.log"
    log.parent.mkdir(parents=True)
    log.write_text(
        'x\nTraceback (most recent call last):\n  File "a.py"\nModelError: <b>no</b> weights\n\n'
        "WHAT TO DO: see the message above.\n"
    )
    tell(
        seen.set, start({"mask": 1}), job("began", 1, 1), job("failed", 2, 1, log="logs/mask/a.log")
    )
    (failed,) = seen()["failed"]
    assert failed["said"] == "ModelError: <b>no</b> weights\nWHAT TO DO: see the message above."
    assert failed["of"] == "clip-0000000001" and failed["log"] == "logs/mask/a.log"


def test_a_clip_is_called_by_its_file_s_name(seen):
    (video,) = write_tables(seen.set.dataset, 1, 1)
    seen.hold(tell(seen.set, start({"mask": 2}), job("began", 1, 1, of=video), job("began", 2, 2)))
    assert [each["of"] for each in seen()["now"]] == ["clip 0000.mp4", "clip-0000000002"]


@pytest.mark.parametrize("of", ["../../etc/passwd", "", "kohya", "clip-0123456789"])
def test_what_is_no_clip_is_called_as_it_is(seen, of):
    seen.hold(tell(seen.set, start({"mask": 2}), job("began", 1, 1, of=of)))
    assert [each["of"] for each in seen()["now"]] == [of]


def test_a_later_run_takes_the_earlier_one_s_place(seen):
    tell(seen.set, start({"mask": 9}), end(3, "failed"))
    assert seen()["run"]["planned"] == 9
    tell(seen.set, start({"probe": 2}), name="20270116T080000000000Z-1")
    assert seen()["run"]["planned"] == 2 and seen()["phase"] == "killed"


def test_an_earlier_run_says_what_a_report_takes(seen):
    """It runs once a run: when it is measured it is over."""
    (seen.set.work / "benchmarks").mkdir()
    (seen.set.work / "benchmarks/qc5.tsv").write_text("s\th:m:s\n20\t0\n")
    told = [start({"mask": 2, "qc5": 1}), job("began", 90, 2), job("ended", 94, 2)]
    seen.hold(tell(seen.set, *told))
    pace = seen()["pace"]
    assert pace["left_s"] == pytest.approx(24.0) and pace["without"] == []


def test_a_page_that_was_brought_up_to_date_hides_no_night(seen):
    tell(seen.set, start({"mask": 9}), job("began", 1, 1))
    asked = ("qc_reports/review.html",)
    page = tell(
        seen.set,
        start({"review_page": 1}, targets=asked),
        name="20270116T080000000000Z-1",
    )
    assert (seen()["phase"], seen()["run"]["planned"]) == ("killed", 9)
    seen.hold(page)
    assert (seen()["phase"], seen()["run"]["planned"]) == ("running", 1), "while it goes on"


def test_a_run_of_one_package_made_the_set(seen):
    tell(seen.set, start({"mask": 9}), end(3, "failed"))
    asked = ("dataset/05_final_training/kohya.csv",)
    tell(seen.set, start({"mask": 2}, targets=asked), name="20270116T080000000000Z-1")
    assert seen()["run"]["planned"] == 2


def test_refused_rows_with_their_reasons(seen):
    write_tables(seen.set.dataset, 2, 3)
    state = seen()
    assert state["uncounted"] == 0
    (refused,) = state["refused"]
    assert (refused["stage"], refused["reason"], refused["rows"]) == (
        "Frames",
        "DUPLICATE_FRAME",
        2,
    )
    assert refused["means"].startswith("Nothing moves") and refused["to_do"]
    ledger = {one["stage"]: one for one in state["ledger"]}
    assert ledger["crop"]["kept"] == 6 and ledger["crop"]["title"] == "Crops"


def test_a_table_is_counted_when_its_job_ends(seen):
    named = write_tables(seen.set.dataset, 2, 3)
    first = next(iter(named))
    masks = seen.set.dataset / table("mask", first)
    text = masks.read_text()
    masks.unlink()
    seen.hold(tell(seen.set, start({"mask": 1}), job("began", 1, 1, of=first)))
    before = {one["stage"]: one for one in seen()["ledger"]}
    assert before["mask"]["kept"] == 3 and before["mask"]["waiting"] == 3
    masks.write_text(text)
    os.utime(masks, ns=(2**62, 2**62))
    still = {one["stage"]: one for one in seen()["ledger"]}
    assert still["mask"]["kept"] == 3, "nobody said that it changed"
    tell(seen.set, job("ended", 5, 1))
    after = {one["stage"]: one for one in seen()["ledger"]}
    assert after["mask"]["kept"] == 6 and after["mask"]["waiting"] == 0


def test_the_log_of_the_run(seen):
    assert seen.watch.log_tail() == ""
    log = seen.set.work / ".snakemake/log/x.log"
    log.parent.mkdir()
    log.write_bytes(b"first\n" + b"x" * 100_000 + b"\n\xffend\n")
    tell(seen.set, start({"mask": 1}, log=".snakemake/log/x.log"))
    seen()
    tail = seen.watch.log_tail()
    assert tail.endswith("\ufffdend\n") and len(tail) < 70_000 and "first" not in tail
    log.unlink()
    assert "cannot be read" in seen.watch.log_tail()


def test_the_log_of_what_was_started_here_comes_first(seen):
    tell(seen.set, start({"mask": 1}, log="elsewhere.log"), end(1, "failed"))
    seen()
    started = seen.control.start("run")
    try:
        started.log.write_text("it looks at the clips\n")
        assert seen.watch.log_tail() == "it looks at the clips\n"
    finally:
        started.process.kill()
        started.process.wait()


def test_a_log_that_is_gone_says_nothing_and_ends_nothing(seen):
    started = seen.control.start("run")
    started.process.kill()
    started.process.wait()
    started.log.unlink()
    assert seen.watch.log_tail() == ""
