"""What rules give Snakemake to ask, in a form that is quickly asked: 70,000 jobs ask it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def of_clip(function: Callable[[str], Any]) -> Callable[[Any], Any]:
    """A param, input or priority function of a rule: `function` of the id of the job's clip.

    Snakemake looks at a function's signature up to three times before each call. Python works it
    out anew each time, which takes longer than all our functions, unless it lies beside them.
    """

    def asked(wildcards: Any) -> Any:
        return function(wildcards.video)

    asked.__signature__ = _SIGNATURE  # type: ignore[attr-defined]  # read by inspect.signature
    return asked


_SIGNATURE = inspect.signature(lambda wildcards: None)
