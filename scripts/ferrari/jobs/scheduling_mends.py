"""Mends four places of Snakemake 9: the cost of two grows with the square of the number of jobs,
and at the other two a run waits for ever.

None changes anything of what comes out. A test asks whether Snakemake still has these places; see
docs/decisions/0081-two-mends-of-snakemake.md.
"""

from __future__ import annotations

import _thread
import functools
import logging
import threading
from collections.abc import Callable
from typing import Any

#: What marks an output that goes through a pipe, or comes from a job that serves others meanwhile.
_PIPE_MARKS = ("pipe", "service")


def one_timer_at_a_time(scheduler_class: type) -> None:
    """Let a scheduler have one timer that wakes it, not one more for each job that it started.

    Snakemake's scheduler looks for jobs to start whenever a job has ended. While jobs wait, each
    look starts a timer that makes it look again after the time span of --max-jobs-per-timespan
    (1 s). That look starts a timer too. So each ended job adds a look a second until the run's
    end: after 5,000 jobs, 5,000 looks and 5,000 new threads a second.
    """
    scheduler_class._schedule_reevalutation = _wake_once  # type: ignore[attr-defined]


def _wake_once(scheduler: Any, delay: float) -> None:
    """Wake `scheduler` after `delay` seconds, unless a timer that will wake it is set already."""
    if vars(scheduler).get("ferrari_timer_is_set"):
        return
    scheduler.ferrari_timer_is_set = True

    def wake() -> None:
        scheduler.ferrari_timer_is_set = False  # before it looks: its look may set the next one
        scheduler._open_jobs.release()

    threading.Timer(delay, wake).start()


def no_search_for_pipes(job_class: type, workflow: Any) -> bool:
    """Let jobs of `workflow` answer "no" without a search, unless it has a pipe or a service.

    Before a job, Snakemake asks of each input whether it comes through a pipe. Its own answer
    (`Job.is_pipe_or_service_input`) goes through all jobs that the job waits for. A step over the
    whole set has inputs from every clip and waits for every clip: 40 s of CPU time at 10,000.
    Jobs of another workflow in this process still search.
    Returns whether jobs of this one now answer without a search.
    """
    outputs = (output for rule in workflow.rules for output in rule.output)
    if any(output.is_flagged(mark) for output in outputs for mark in _PIPE_MARKS):
        return False
    search = job_class.is_pipe_or_service_input  # type: ignore[attr-defined]

    def is_pipe_or_service_input(job: Any, path: str) -> bool:
        return job.rule.workflow is not workflow and search(job, path)

    job_class.is_pipe_or_service_input = is_pipe_or_service_input  # type: ignore[attr-defined]
    return True


def failures_are_noted_unread(logger: logging.Logger) -> None:
    """Let a run whose output nobody reads any more note that a job failed.

    The thread of a job says that it failed, and only then tells the scheduler. Where the reader is
    gone, saying it raises BrokenPipeError: the scheduler never heard of it, and waited for ever for
    a job that had ended. In the main thread the error ends the run, as it did.
    """
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":
            handler.emit = functools.partial(_emit, handler.emit)  # type: ignore[method-assign]


def _emit(emit: Callable[[logging.LogRecord], None], record: logging.LogRecord) -> None:
    try:
        emit(record)
    except BrokenPipeError:
        if threading.current_thread() is threading.main_thread():
            raise


def ends_without_a_lock(scheduler_class: type) -> None:
    """Let a scheduler note an order to end (SIGTERM) without a lock. Call it before there is one.

    A signal's handler runs in the main thread, wherever that is: where it holds the scheduler's
    lock, or is in the handler of a first order, it waited for itself for ever. Jobs that end by the
    same order make that likely: their ends are dealt with under the lock.
    """
    scheduler_class.exit_gracefully = _note_the_order  # type: ignore[attr-defined]


def _note_the_order(scheduler: Any, *_: object) -> None:
    scheduler._user_kill = "graceful"
    # It is woken by a thread of its own, and one whose start takes no lock either.
    _thread.start_new_thread(scheduler._open_jobs.release, ())
