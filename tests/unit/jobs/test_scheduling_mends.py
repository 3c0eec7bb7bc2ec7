"""What is mended of Snakemake's scheduling answers and wakes as before, only more cheaply."""

import inspect
import logging
import re
import threading
import time
from types import SimpleNamespace

import pytest
from snakemake.executors.local import Executor
from snakemake.io import IOFile, flag, pipe, service
from snakemake.jobs import Job
from snakemake.logging import ColorizingTextHandler
from snakemake.scheduling.job_scheduler import JobScheduler

from ferrari.jobs.scheduling_mends import (
    ends_without_a_lock,
    failures_are_noted_unread,
    no_search_for_pipes,
    one_timer_at_a_time,
)

PLAIN = IOFile("clip.csv")


class Asked:
    """A job class that has Snakemake's own question, and nothing else of it."""

    is_pipe_or_service_input = Job.is_pipe_or_service_input


def workflow(*outputs):
    """A workflow with a rule for each of the `outputs`."""
    rules = [SimpleNamespace(output=[IOFile(output)]) for output in outputs]
    return SimpleNamespace(rules=rules)


def waiting(job_class, of, *, through_pipe=False):
    """A job of the workflow `of` that waits for one other, which makes `stream`."""
    job, before = job_class(), Asked()
    before.pipe_or_service_output = {"stream"} if through_pipe else set()
    job.rule = SimpleNamespace(workflow=of)
    job.dag = SimpleNamespace(dependencies={job: {before: {"stream"}}})
    return job


def test_without_a_pipe_no_job_is_looked_through():
    job_class, ours = type("Own", (Asked,), {}), workflow("clip.csv", "all.csv")
    assert no_search_for_pipes(job_class, ours)
    job = waiting(job_class, ours)
    job.dag = None  # there is no graph to look through
    assert job.is_pipe_or_service_input(PLAIN) is False


@pytest.mark.parametrize("marked", [pipe, service])
def test_with_a_pipe_in_any_rule_snakemake_looks_itself(marked):
    job_class, ours = type("Own", (Asked,), {}), workflow("all.csv", marked("stream"))
    assert not no_search_for_pipes(job_class, ours)
    for through_pipe in (True, False):
        job = waiting(job_class, ours, through_pipe=through_pipe)
        assert job.is_pipe_or_service_input("stream") is through_pipe


def test_a_job_of_another_workflow_in_the_process_still_looks():
    job_class, ours = type("Own", (Asked,), {}), workflow("clip.csv")
    assert no_search_for_pipes(job_class, ours)
    for through_pipe in (True, False):
        job = waiting(job_class, workflow(pipe("stream")), through_pipe=through_pipe)
        assert job.is_pipe_or_service_input("stream") is through_pipe


def test_another_mark_is_no_pipe():
    job_class = type("Own", (Asked,), {})
    assert no_search_for_pipes(job_class, workflow(flag("folder", "directory")))


class Scheduler:
    """A scheduler's way to be woken, as Snakemake has it."""

    _schedule_reevalutation = JobScheduler._schedule_reevalutation

    def __init__(self):
        self._open_jobs = threading.Semaphore(0)

    def times_woken(self, seconds):
        """How often it is woken within `seconds`."""
        until, times = time.monotonic() + seconds, 0
        while self._open_jobs.acquire(timeout=max(0.0, until - time.monotonic())):
            times += 1
        return times


@pytest.mark.parametrize("mended", [True, False])
def test_a_scheduler_that_looks_often_is_woken_once(mended):
    scheduler_class = type("Own", (Scheduler,), {})
    if mended:
        one_timer_at_a_time(scheduler_class)
    scheduler = scheduler_class()
    for _ in range(20):
        scheduler._schedule_reevalutation(0.01)
    assert scheduler.times_woken(0.5) == (1 if mended else 20)


def test_it_is_woken_again_after_each_look():
    scheduler_class = type("Own", (Scheduler,), {})
    one_timer_at_a_time(scheduler_class)
    scheduler = scheduler_class()
    for _ in range(3):
        scheduler._schedule_reevalutation(0.01)
        assert scheduler._open_jobs.acquire(timeout=10)


class Unread(logging.Handler):
    """Snakemake's handler of the terminal where nobody reads that any more."""

    name = "DefaultStreamHandler"

    def emit(self, record):
        raise BrokenPipeError


def test_a_job_that_fails_unread_is_noted():
    """The run waited for it for ever: `make review`, ended while it made the page, left one."""
    logger = logging.Logger("a run")
    logger.addHandler(Unread())
    noted = []

    def job():
        logger.error("failed")
        noted.append("failed")

    failures_are_noted_unread(logger)
    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert noted == ["failed"]
    with pytest.raises(BrokenPipeError):  # in the main thread it ends the run
        job()


class Ordered:
    """What of a scheduler an order to end concerns, as Snakemake has it."""

    exit_gracefully = JobScheduler.exit_gracefully

    def __init__(self):
        self._lock, self._open_jobs = threading.Lock(), threading.Semaphore(0)
        self._user_kill = None


def test_an_order_to_end_waits_for_no_lock():
    """A run whose jobs were ended with it (`kill -- -GROUP`) waited for itself for ever."""
    scheduler_class = type("Own", (Ordered,), {})
    ends_without_a_lock(scheduler_class)
    scheduler = scheduler_class()
    order = threading.Thread(target=scheduler.exit_gracefully, args=(15, None))
    with scheduler._lock:
        order.start()
        order.join(10)
        assert not order.is_alive() and scheduler._user_kill == "graceful"
    assert scheduler._open_jobs.acquire(timeout=10)


def test_snakemake_still_has_what_is_mended():
    """Else the mends would lie there unused, and long runs would be slow again."""
    assert list(inspect.signature(Job.is_pipe_or_service_input).parameters) == ["self", "path"]
    assert "self.is_pipe_or_service_input(f)" in inspect.getsource(Job.prepare)
    told = inspect.signature(JobScheduler._schedule_reevalutation)
    assert list(told.parameters) == ["self", "delay"]
    assert "self._open_jobs.release()" in inspect.getsource(JobScheduler._schedule_reevalutation)
    assert "self._schedule_reevalutation(" in inspect.getsource(JobScheduler.schedule)
    told = inspect.getsource(JobScheduler.exit_gracefully)
    assert "with self._lock" in told and 'self._user_kill = "graceful"' in told
    assert "signal.signal(signal.SIGTERM, self.exit_gracefully)" in inspect.getsource(JobScheduler)
    raises = r"except BrokenPipeError:\s+raise"
    assert re.search(raises, inspect.getsource(ColorizingTextHandler.emit))
    told = inspect.getsource(Executor._callback)
    assert re.search(r"print_exception\(.*\)\s+self.report_job_error\(job_info\)", told)
