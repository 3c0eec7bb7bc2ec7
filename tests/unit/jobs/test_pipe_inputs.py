"""Whether an input comes through a pipe is answered without a search where no rule has a pipe."""

import inspect
from types import SimpleNamespace

import pytest
from snakemake.io import IOFile, flag, pipe, service
from snakemake.jobs import Job

from ferrari.jobs.pipe_inputs import answer_without_search

PLAIN = IOFile("clip.csv")


class Asked:
    """A job class that has Snakemake's own question, and nothing else of it."""

    is_pipe_or_service_input = Job.is_pipe_or_service_input


def rule(*outputs):
    return SimpleNamespace(output=[IOFile(output) for output in outputs])


def waiting(job_class, name, *, through_pipe):
    """A job of `job_class` that waits for one other, which makes `name`."""
    job = job_class()
    before = Asked()
    before.pipe_or_service_output = {name} if through_pipe else set()
    job.dag = SimpleNamespace(dependencies={job: {before: {name}}})
    return job


def test_without_a_pipe_no_job_is_looked_through():
    job_class = type("Own", (Asked,), {})
    assert answer_without_search(job_class, [rule("clip.csv"), rule("all.csv", "page.html")])
    job = job_class()  # it has no graph to look through
    assert job.is_pipe_or_service_input(PLAIN) is False


@pytest.mark.parametrize("marked", [pipe, service])
def test_with_a_pipe_in_any_rule_snakemake_looks_itself(marked):
    job_class = type("Own", (Asked,), {})
    assert not answer_without_search(job_class, [rule("all.csv"), rule("x", marked("stream"))])
    for through_pipe in (True, False):
        job = waiting(job_class, "stream", through_pipe=through_pipe)
        assert job.is_pipe_or_service_input("stream") is through_pipe


def test_another_mark_is_no_pipe():
    job_class = type("Own", (Asked,), {})
    assert answer_without_search(job_class, [rule(flag("folder", "directory"))])


def test_snakemake_still_asks_this_before_a_job():
    """Else the answer would lie there unasked, and steps over the whole set would be slow again."""
    assert list(inspect.signature(Job.is_pipe_or_service_input).parameters) == ["self", "path"]
    assert "self.is_pipe_or_service_input(f)" in inspect.getsource(Job.prepare)
