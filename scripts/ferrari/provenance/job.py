"""What a job tells those who write down how its output was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class Job(Protocol):
    """Snakemake's object `snakemake` in a script, or `ferrari.jobs.stage_job.Job`.

    `input`, `output` and `params` have their files and values as attributes, by the rule's names.
    """

    @property
    def rule(self) -> str: ...
    @property
    def input(self) -> Iterable[str]: ...
    @property
    def output(self) -> Any: ...
    @property
    def params(self) -> Any: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
