"""Which part of a settings section is a param of the jobs that read it.

A param holds everything that decides a job's result, in an order that does not depend on the
settings file. Snakemake reruns a job when a param's text changes, so settings that only affect
speed are left out. So are limits: when one is raised, a job itself finds the rows to try again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

#: Keys of a section that are limits: they decide about rows that reach them, and no others.
LIMITS = ("timeout_s", "memory_mb")
#: Keys that decide only how fast a result is reached. They are resources of a rule.
MEANS = ("batch", "device")


def settled(value: Any) -> Any:
    """A setting with its keys sorted at every level, because a param's text must not depend on
    their order in the settings file.
    """
    if isinstance(value, Mapping):
        return {key: settled(value[key]) for key in sorted(value)}
    return value


def what_matters(section: Mapping, but: Collection[str] = ()) -> dict:
    """A section without its limits, without what only affects speed, and without the keys in
    `but`.
    """
    left_out = {*LIMITS, *MEANS, *but}
    return settled({key: value for key, value in section.items() if key not in left_out})


def limits(section: Mapping) -> dict:
    """The limits of a section."""
    return {key: section[key] for key in LIMITS}
