"""What of a section of the settings is a param of the jobs that read it.

All that decides what comes out of them, in an order that does not depend on the settings file.

Snakemake runs a job anew when a param's text differs, so what only decides how fast a result is
reached is left out, and so are limits: a job looks for itself which rows a raised one opens again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

#: Keys of a section that are limits: they decide about rows that reach them, and no others.
LIMITS = ("timeout_s", "memory_mb")
#: Keys that decide only how fast a result is reached. They are resources of a rule.
MEANS = ("batch", "device")


def settled(value: Any) -> Any:
    """A setting with the keys of its parts sorted, down to the last: a param's text must not depend
    on the order in which a settings file names them.
    """
    if isinstance(value, Mapping):
        return {key: settled(value[key]) for key in sorted(value)}
    return value


def what_matters(section: Mapping, but: Collection[str] = ()) -> dict:
    """A section without its limits, without what changes only how fast it goes, and without the
    keys in `but`.
    """
    left_out = {*LIMITS, *MEANS, *but}
    return settled({key: value for key, value in section.items() if key not in left_out})


def limits(section: Mapping) -> dict:
    """The limits of a section."""
    return {key: section[key] for key in LIMITS}
