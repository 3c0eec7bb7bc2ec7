"""A run's events: what a handler on Snakemake's logger writes, and what a reader makes of it."""

import errno
import json
import logging
import os
from types import SimpleNamespace

import pytest

from ferrari.jobs import run_events
from ferrari.jobs.run_events import EventLog, EventReader


@pytest.fixture
def logger():
    """A logger as Snakemake's: events are attributes of its records."""
    logger = logging.getLogger("events-test")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)


def workflow(**jobs):
    """What a handler is told of a workflow: its jobs, by rule."""
    named = [
        SimpleNamespace(rule=SimpleNamespace(name=rule)) for rule in jobs for _ in range(jobs[rule])
    ]
    return SimpleNamespace(
        dag=SimpleNamespace(needrun_jobs=lambda: iter(named)),
        resource_settings=SimpleNamespace(cores=2),
        dag_settings=SimpleNamespace(targets={"all", "qc_reports/index.html"}),
        scheduler=SimpleNamespace(print_progress=False),
    )


@pytest.fixture
def begun(tmp_path, monkeypatch, logger):
    """A file of events that has begun in an empty working folder, and its reader."""
    monkeypatch.chdir(tmp_path)
    events = EventLog()
    made = workflow(probe=2, all=1)
    events.begin(made, logger, [str(tmp_path / ".snakemake/log/x.log")])
    assert made.scheduler.print_progress, "else a quiet run says of no job that it ended"
    (path,) = run_events.files(".")
    yield events, EventReader(path), logger
    if events._file is not None:
        os.close(events._file)


def began(logger, number, rule="probe", video="a-0123456789"):
    known = {"event": "job_info", "jobid": number, "rule_name": rule, "wildcards": {"video": video}}
    logger.info("a job", extra=known)


def test_a_run_s_events_are_told_in_order(begun):
    events, reader, logger = begun
    began(logger, 7)
    logger.info("text that is no event")
    logger.info(None, extra={"event": "progress", "done": 0, "total": 2})
    logger.info("done", extra={"event": "job_finished", "job_id": 7})
    began(logger, 8, video="b-0123456789")
    logger.error("bad", extra={"event": "job_error", "jobid": 8, "log": ["logs/probe/b.log"]})
    began(logger, 0, rule="all", video="")
    events.end("failed")
    told = [{key: each[key] for key in each if key != "time"} for each in reader.new()]
    assert told == [
        {
            **{"event": "start", "jobs": {"probe": 2}, "pid": os.getpid(), "cores": 2},
            "targets": ["qc_reports/index.html"],
            "log": ".snakemake/log/x.log",
        },
        {"event": "began", "id": 7, "rule": "probe", "of": "a-0123456789"},
        {"event": "ended", "id": 7},
        {"event": "began", "id": 8, "rule": "probe", "of": "b-0123456789"},
        {"event": "failed", "id": 8, "log": "logs/probe/b.log"},
        {"event": "end", "status": "failed"},
    ]
    assert reader.new() == []


def test_how_a_file_begins(begun, tmp_path):
    _, reader, _ = begun
    assert run_events.start_of(reader.path) == reader.new()[0]
    (tmp_path / "new.jsonl").write_text('{"event": "st')
    assert run_events.start_of(tmp_path / "new.jsonl") == {}
    assert run_events.start_of(tmp_path / "none.jsonl") == {}


def test_the_folder_of_the_fork_servers_sockets_is_its_user_s_alone(begun, tmp_path):
    assert (tmp_path / run_events.FOLDER.parent).stat().st_mode & 0o777 == 0o700


def test_half_a_line_comes_when_it_is_whole(begun):
    _, reader, _ = begun
    reader.new()
    line = json.dumps({"event": "ended", "id": 1, "time": 5.0}) + "\n"
    with open(reader.path, "a") as stream:
        stream.write(line[:9])
        stream.flush()
        assert reader.new() == []
        stream.write(line[9:])
    assert reader.new() == [json.loads(line)]


@pytest.mark.parametrize(
    "damage", [b"{half\n", b"\xff\xfe\n", b"[]\n", b"\n", b'{"event": "end"}\n', b"{}\n"]
)
def test_a_line_that_is_no_event_is_passed_over(begun, damage):
    _, reader, _ = begun
    reader.new()
    sound = json.dumps({"event": "ended", "id": 1, "time": 5.0}) + "\n"
    with open(reader.path, "ab") as stream:
        stream.write(damage + sound.encode())
    assert reader.new() == [json.loads(sound)]


def test_a_file_that_is_gone_has_no_more(begun):
    _, reader, _ = begun
    reader.path.unlink()
    assert reader.new() == []


def test_a_full_disk_ends_the_file_and_not_the_run(begun, monkeypatch):
    events, reader, logger = begun
    write = os.write
    monkeypatch.setattr(run_events.os, "write", lambda file, data: write(file, data[:5]))
    began(logger, 1)
    monkeypatch.setattr(run_events.os, "write", write)
    began(logger, 2)
    events.end("success")
    assert [each["event"] for each in reader.new()] == ["start"], "nothing is glued to half a line"


def test_a_disk_that_refuses_ends_the_file_and_not_the_run(begun, monkeypatch):
    events, _, logger = begun

    def refuse(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(run_events.os, "write", refuse)
    began(logger, 1)
    events.end("success")


def test_a_handler_that_never_began_says_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    EventLog().end("failed")
    assert list(tmp_path.iterdir()) == []


def test_the_files_of_old_runs_go(tmp_path, monkeypatch, logger):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / run_events.FOLDER
    folder.mkdir(parents=True)
    for number in range(15):
        (folder / f"20200101T0000{number:02d}000000Z-1.jsonl").touch()
    events = EventLog()
    events.begin(workflow(), logger)
    os.close(events._file)
    left = run_events.files(tmp_path)
    assert len(left) == run_events.KEPT
    assert left[0].name > "2020" and left[1].name.startswith("20200101T000014")


def test_a_reader_knows_whether_more_may_come(begun):
    events, reader, _ = begun
    assert reader.is_written()
    events.end("success")
    assert reader.is_written(), "until the process ends"
    os.close(events._file)
    events._file = None
    assert reader.is_written() is False
