"""The line that a run is watched by, and what goes past it."""

from __future__ import annotations

import io
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ferrari.common.places import SCRIPTS
from ferrari.jobs import progress_line, run_events, run_watch
from ferrari.jobs.run_failures import failures
from ferrari.jobs.run_progress import RunningJob, RunProgress
from ferrari.ledger import stages, tables
from ferrari.ledger.reasons import EXTRACTOR_REJECTED, LOW_RESOLUTION, NOT_A_VIDEO

START = {"event": "start", "time": 100.0, "pid": 7, "cores": 2, "log": ""}
CLIPS = {"a-1": "walk one.mp4", "b-2": "\x1b[31mred.mp4"}


def progress(*events):
    one = RunProgress()
    list(one.take(({"jobs": {"probe": 2, "mask": 2, "caption": 2}} | START, *events)))
    return one


def began(job, rule, of, time):
    return {"event": "began", "id": job, "rule": rule, "of": of, "time": time}


def test_the_line_names_stage_clip_jobs_time_clips_and_what_was_refused():
    before = progress(began(1, "probe", "a-1", 100.0))
    assert progress_line.line(before, CLIPS, 0, 101.0) == (
        "stage 0 probe 0 of 2 | walk one.mp4 | jobs 0 of 6 | time left not known yet | "
        "clips 0 of 2, refused 0"
    )
    ended = [{"event": "ended", "id": n, "time": 100.0 + 10 * n} for n in (1, 2, 3)]
    later = progress(
        began(1, "probe", "a-1", 100.0),
        ended[0],
        began(2, "mask", "a-1", 110.0),
        ended[1],
        began(3, "caption", "a-1", 120.0),
        ended[2],
        began(4, "mask", "b-2", 130.0),
    )
    said = progress_line.line(later, CLIPS, 1, 130.0)
    assert "stage 3 mask 1 of 2 | \\u001b[31mred.mp4 | jobs 3 of 6 | about 30 s left" in said
    assert "clips 1 of 2, refused 1 | 6 jobs a min" in said
    assert progress_line.line(later, CLIPS, 1, 130.0, 20) == "mask 1/2 | about 30 s left"[:20]
    assert progress_line.line(RunProgress(), CLIPS, 0, 130.0) == "", "nothing is planned yet"


def test_a_narrow_terminal_shows_clips_and_failures_and_leaves_out_what_matters_least():
    """At 80 columns the line was cut before the clips, and with a failure before the time left."""
    clips = {f"c-{n}": f"a long name of a clip {n}.mp4" for n in range(25)}
    jobs = {"probe": 2500, "mask": 2500, "caption": 2500}
    one = RunProgress()
    failed = {"event": "failed", "id": 1, "time": 110.0, "log": ""}
    start = {"jobs": jobs} | START
    list(one.take((start, began(1, "mask", "c-1", 100.0), failed, began(2, "mask", "c-2", 111.0))))
    told = {width: progress_line.line(one, clips, 12, 130.0, width) for width in (200, 120, 80, 70)}
    assert all(len(line) <= width for width, line in told.items())
    assert "a long name of a clip 2.mp4 | jobs 0 of 7,500 | FAILED 1" in told[200]
    assert "stage 3 mask 0 of 2,500 | jobs 0 of 7,500 | FAILED 1" in told[120]
    for width in (120, 80, 70):
        assert "FAILED 1" in told[width] and "left" in told[width], width
        assert told[width].endswith("refused 12"), width
    assert "mask 0/2,500 | jobs 0/7,500" in told[80] and "jobs" not in told[70]


@pytest.mark.parametrize(
    ("stage", "outcome", "reason", "counts"),
    [
        ("probe", "kept", "", False),
        ("probe", "quarantined", LOW_RESOLUTION, True),
        ("probe", "quarantined", NOT_A_VIDEO, False),
        ("extract", "quarantined", EXTRACTOR_REJECTED, True),
        ("extract", "dropped", "DUPLICATE_FRAME", False),
    ],
)
def test_a_clip_is_refused_by_what_its_table_says(tmp_path, stage, outcome, reason, counts):
    table = tmp_path / stages.table(stage, "a-1")
    table.parent.mkdir(parents=True)
    row = {"item": "a-1", "parent": "a-1", "outcome": outcome, "reason": reason}
    tables.write_stage(table, stage, [tables.row(stage, **row)])
    assert progress_line.is_refused(RunningJob(1, stage, "a-1", 0.0), tmp_path) is counts
    assert not progress_line.is_refused(RunningJob(1, "mask", "a-1", 0.0), tmp_path)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_text_goes_above_the_line(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    screen = run_watch.Screen(stream)
    screen.show(lambda width: f"{width} wide")
    screen.say("text")
    screen.show(lambda width: f"{width} wide")
    screen.clear()
    assert stream.getvalue() == "39 wide\r\x1b[Ktext\n39 wide\r\x1b[K"


def test_in_a_file_the_line_comes_once_a_minute_and_when_something_begins():
    """Of the first minute a file said nothing, and never when."""
    now = [0.0]
    stream = io.StringIO()
    screen = run_watch.Screen(stream, clock=lambda: now[0])
    for moment in (1.0, 59.0, 61.0, 62.0, 63.0, 120.0, 122.0, 123.0):
        now[0] = moment
        screen.show(lambda width: f"at {now[0]:.0f}", phase=moment > 61)
    screen.say("text")
    screen.clear()
    said = re.sub(r"(?m)^\d\d:\d\d ", "HH:MM ", stream.getvalue())
    assert said == "HH:MM at 1\nHH:MM at 61\nHH:MM at 62\nHH:MM at 122\ntext\n"


class Piped(io.StringIO):
    """A stream that is the file `number` of the process."""

    def __init__(self, number):
        super().__init__()
        self.fileno = lambda: number


@pytest.mark.parametrize(
    ("output", "listens"),
    [("file", ["terminal", "output"]), ("pipe", ["output"]), ("/dev/null", ["terminal"])],
)
def test_what_standard_output_was_sent_to_has_the_run_as_well(
    tmp_path, monkeypatch, output, listens
):
    """`make run > log`: the file was empty in the morning."""
    numbers = {"file": os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY)}
    numbers["pipe"], end = os.pipe()
    numbers["/dev/null"] = os.open(os.devnull, os.O_WRONLY)
    streams = {"terminal": Terminal(), "output": Piped(numbers[output])}
    monkeypatch.setattr(sys, "stderr", streams["terminal"])
    monkeypatch.setattr(sys, "stdout", streams["output"])
    assert run_watch.listeners() == [streams[name] for name in listens]
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert run_watch.listeners() == [sys.stderr], "2>&1, nohup"
    for number in (*numbers.values(), end):
        os.close(number)


#: In Snakemake's place: a job fails because it is ended with the run.
ENDS = """
import json, os, signal, sys, time
from pathlib import Path
events = Path(".snakemake/ferrari/events")
events.mkdir(parents=True)
def tell(kind, **told):
    with open(events / f"20260101T000000000000Z-{os.getpid()}.jsonl", "a") as stream:
        stream.write(json.dumps({"event": kind, "time": time.time(), **told}) + "\\n")
def end(*_):
    tell("failed", id=1, log="")
    print("Error in rule mask")
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
tell("start", jobs={"mask": 2}, pid=os.getpid(), cores=1, log="")
tell("began", id=1, rule="mask", of="a")
print("begun", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGTERM, "was ended from outside"), (signal.SIGHUP, "its terminal was closed")],
)
def test_a_run_that_is_ended_from_outside_says_so_and_names_no_job(tmp_path, number, said):
    """Each of its jobs was told to have failed, without a message."""
    file, terminal = io.StringIO(), Terminal()
    watch = run_watch.Watch(tmp_path, tmp_path, {}, at_work="looking ...")
    watch.began -= 60
    say = run_watch.Screen.say

    def end_once_begun(screen, text):
        say(screen, text)
        if text == "begun" and screen.moves:
            os.kill(os.getpid(), number)

    ignored = signal.signal(number, signal.SIG_DFL)  # by `nohup make test`
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run_watch.Screen, "say", end_once_begun)
        status = watch.run([sys.executable, "-c", ENDS], [file, terminal])
    signal.signal(number, ignored)
    assert (status, watch.stopped) == (128 + number, number) and status in run_watch.ENDED
    assert said in file.getvalue() and not watch.progress.failed
    assert "failed" not in file.getvalue() and "Error" not in file.getvalue()
    assert (said in terminal.getvalue()) is (number == signal.SIGTERM), "it is gone"
    assert failures(watch) == []


@pytest.mark.parametrize(
    ("level", "place", "exception", "said", "shows"),
    [
        (logging.INFO, "snakemake/scheduling/job_scheduler.py", "", "Select jobs", False),
        (logging.INFO, "snakemake/workflow.py", "", "Nothing to be done (all is there)", True),
        (logging.WARNING, "snakemake/dag.py", "", "a file is missing", True),
        (logging.ERROR, "snakemake/exceptions.py", "WorkflowError", "no such setting", True),
        (logging.ERROR, "snakemake/exceptions.py", "RuleException", "a long command", False),
        (logging.INFO, "rules/common.smk", "", "9 captioned images", True),
    ],
)
def test_people_are_told_what_the_workflow_says_and_what_is_wrong(
    level, place, exception, said, shows
):
    record = logging.LogRecord("s", level, f"/x/{place}", 1, said, (), None)
    record.exception = exception
    assert run_watch.is_for_people(record, Path("/x/snakemake")) is shows


def test_a_job_that_waits_for_its_server_is_interrupted_without_a_traceback(tmp_path):
    """A terminal's Ctrl-C reaches it as well as the run."""
    warm = tmp_path / f"{os.getpid()}-warm"
    place = f"{warm}-{zlib.crc32(os.fsencode(sys.executable)):08x}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{place}.sock")
        server.listen()
        job = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SCRIPTS / "run_stage.py"), "a_stage"],
            env={"FERRARI_WARM": str(warm)},
            stderr=subprocess.PIPE,
        )
        client, _ = server.accept()
        client.recv(8)  # it has handed the job over, and waits
        job.send_signal(signal.SIGINT)
        _, said = job.communicate(timeout=60)
    assert (said, job.returncode) == (b"", -signal.SIGINT)


def test_an_earlier_run_of_the_same_process_id_is_not_taken_for_this_one(tmp_path):
    folder = tmp_path / run_events.FOLDER
    folder.mkdir(parents=True)
    earlier, other = folder / "20260101T000000000000Z-7.jsonl", folder / "20270101T0Z-17.jsonl"
    for path in (earlier, other):
        path.touch()
    os.utime(earlier, (5, 5))
    watch = run_watch.Watch(tmp_path, tmp_path, {})
    watch.began -= 60
    assert watch._own_events(7) is None
    own = folder / "20260102T000000000000Z-7.jsonl"
    own.touch()
    assert watch._own_events(7) == own


def test_a_job_that_is_tried_again_is_said_to_have_failed_once(tmp_path):
    """Weights are asked for three times: the same line stood there three times."""

    class Events:
        def __init__(self, *batches):
            self.batches = list(batches)

        def new(self):
            return self.batches.pop(0) if self.batches else []

    def tried(time, end):
        more = {"log": "a.log"} if end == "failed" else {}
        return [
            began(1, "fetch_weights", "yolo11s", time),
            {"event": end, "id": 1, "time": time + 1, **more},
        ]

    watch = run_watch.Watch(tmp_path, tmp_path, {})
    first = [{"jobs": {"fetch_weights": 1}} | START, *tried(100.0, "failed")]
    watch._events = Events(first, tried(102.0, "failed"), tried(104.0, "ended"))
    told = [list(watch._take_events()) for _ in range(3)]
    (said,), again, (well,) = told
    assert said.startswith("failed: fetch_weights of yolo11s.") and again == []
    assert well == "went well when it was tried again: fetch_weights of yolo11s"
