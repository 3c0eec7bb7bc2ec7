"""The executor beside the profile for SLURM: what it mends of the plugin, without a cluster."""

import asyncio
import importlib
import logging
from types import SimpleNamespace

import pytest

from tests.slurm.runs import PROFILE

pytest.importorskip("snakemake_executor_plugin_slurm")
JOBS = [SimpleNamespace(external_jobid=str(number), job=f"job {number}") for number in (1, 2, 3)]


@pytest.fixture
def plugin(monkeypatch):
    """The executor's module, with short pauses; what it is made of is stood in for by tests."""
    monkeypatch.syspath_prepend(str(PROFILE.parent))
    found = importlib.import_module("snakemake_executor_plugin_slurm_batch")
    monkeypatch.setattr(found, "_PAUSE_S", 0.01)
    monkeypatch.setattr(found.SlurmExecutor, "__init__", lambda self, workflow, logger: None)
    return found


@pytest.fixture
def executor(plugin):
    made = plugin.Executor(None, None)
    made.logger = logging.getLogger("test")
    return made


def active(executor) -> list:
    async def ask() -> list:
        return [job async for job in executor.check_active_jobs(JOBS)]

    return asyncio.run(ask())


def test_jobs_of_which_slurm_says_nothing_stay_active(executor, plugin, monkeypatch):
    async def silent(self, jobs):
        return
        yield

    monkeypatch.setattr(plugin.SlurmExecutor, "check_active_jobs", silent)
    assert active(executor) == JOBS


def test_jobs_that_have_ended_do_not(executor, plugin, monkeypatch):
    base = plugin.SlurmExecutor
    monkeypatch.setattr(base, "report_job_success", lambda self, job: None)
    monkeypatch.setattr(base, "report_job_error", lambda self, job, **named: None)

    async def told(self, jobs):
        self.report_job_success(jobs[0])
        self.report_job_error(jobs[1], msg="failed", aux_logs=[])
        yield jobs[2]

    monkeypatch.setattr(base, "check_active_jobs", told)
    assert active(executor) == [JOBS[2]]


LATER = (
    "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job "
    "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    "sbatch: error: QOSMaxSubmitJobPerUserLimit",
    "sbatch: error: Batch job submission failed: Resource temporarily unavailable",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying.",
    "Batch job submission failed: Required partition not available (inactive or drain)",
    "Batch job submission failed: Unable to contact slurm controller (connect failure)",
)
NEVER = (
    "sbatch: error: QOSMaxWallDurationPerJobLimit\nsbatch: error: Batch job submission failed: Job "
    "violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
    "Batch job submission failed: Invalid partition name specified",
    "Batch job submission failed: Socket timed out on send/recv operation",  # it may be there
)


def submitting(plugin, monkeypatch, refusals: list[str]) -> list[str]:
    """Have the plugin's submissions refused one after the other; the list of what it reports."""
    reported = []
    base = plugin.SlurmExecutor

    def run_job(self, job):
        if refusals:
            self._report_job_error_threadsafe(SimpleNamespace(job=job), refusals.pop(0))

    monkeypatch.setattr(base, "run_job", run_job)
    monkeypatch.setattr(
        base, "_report_job_error_threadsafe", lambda self, info, msg: reported.append(msg)
    )
    return reported


@pytest.mark.parametrize("refusal", LATER)
def test_a_submission_that_slurm_takes_later_waits(executor, plugin, monkeypatch, caplog, refusal):
    refusals = [refusal] * 3
    reported = submitting(plugin, monkeypatch, refusals)
    executor.run_job("a job")
    assert refusals == [] and reported == []
    assert caplog.text.count("SLURM takes no job at present") == 1


@pytest.mark.parametrize("refusal", NEVER)
def test_one_that_it_never_takes_is_a_failed_try(executor, plugin, monkeypatch, refusal):
    reported = submitting(plugin, monkeypatch, [refusal])
    executor.run_job("a job")
    assert reported == [refusal]


def test_the_end_of_the_run_ends_waiting(executor, plugin, monkeypatch):
    monkeypatch.setattr(plugin, "_PAUSE_S", 600)
    monkeypatch.setattr(plugin.SlurmExecutor, "cancel_jobs", lambda self, jobs: None)
    reported = submitting(plugin, monkeypatch, [LATER[0]] * 3)
    executor.cancel_jobs([])
    executor.run_job("a job")
    assert reported == [LATER[0]]
