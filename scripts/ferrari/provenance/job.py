"""The parts of a job that are recorded as the provenance of its output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
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


class Params(dict):
    """A job's params, by attribute too, as Snakemake's scripts have them."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(f"the rule gives no param {name}") from error


def listed(given: Iterable[str] | str) -> list[str]:
    """The paths of an input or a param: Snakemake passes a single one as a plain string."""
    return [given] if isinstance(given, str) else list(given)


@dataclass(frozen=True)
class ScriptJob:
    """A `script:` job as stamps take it; all that it reads is among its inputs."""

    rule: str
    input: list[str]
    output: Any
    params: Params
    config: Mapping[str, Any]

    @classmethod
    def of(cls, job: Job, rule: str, tables: Iterable[str] = ()) -> ScriptJob:
        """From Snakemake's object. `rule` is the rule's own name, since that of a module's rule has
        a prefix; `tables` are the params that are paths of tables.
        """
        params, named = dict(job.params.items()), tuple(tables)
        read = [str(path) for name in named for path in params.pop(name)]
        inputs = [*map(str, job.input), *read]
        return cls(rule, inputs, job.output, Params(params), job.config)
