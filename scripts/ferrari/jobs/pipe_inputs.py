"""Answers quickly what Snakemake asks of each input before a job: does it come through a pipe?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: What marks an output that goes through a pipe, or comes from a job that serves others meanwhile.
_MARKS = ("pipe", "service")


def answer_without_search(job_class: type, rules: Iterable[Any]) -> bool:
    """Let jobs answer "no" without a search, unless a rule of `rules` has a pipe or a service.

    Snakemake's own answer (`Job.is_pipe_or_service_input`) goes through all jobs that a job waits
    for, once for each of its inputs. A step over the whole set has inputs from every clip, so the
    time grows with the square of the number of clips: 40 s of CPU time at 10,000.
    Returns whether jobs now answer without a search.
    """
    outputs = (output for rule in rules for output in rule.output)
    if any(output.is_flagged(mark) for output in outputs for mark in _MARKS):
        return False
    job_class.is_pipe_or_service_input = _none  # type: ignore[attr-defined]
    return True


def _none(job: Any, path: str) -> bool:
    return False
