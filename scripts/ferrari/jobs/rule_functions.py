"""Functions for rules, in a form that Snakemake calls quickly: it does so for 70,000 jobs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def of_clip(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A param, input or priority function of a rule: `function` of the job's clip id.

    Snakemake inspects a function's signature up to three times before each call. Python computes it
    anew each time, which takes longer than all our functions, unless it is stored with them.
    """

    def asked(wildcards: Any) -> Any:
        return function(wildcards.video)

    asked.__signature__ = _SIGNATURE  # type: ignore[attr-defined]  # read by inspect.signature
    return asked


_SIGNATURE = inspect.signature(lambda wildcards: None)
