"""Which of Snakemake's output lines are meant for people: not the location of an error in the
rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What Snakemake says of itself before the workflow can have it leave that out.
_OPENING = ("Using workflow specific profile", "Config file ", "Assuming unrestricted shared")
#: What it says of jobs that failed: the run's last lines say which, why, and what to do.
_OF_FAILURES = (
    "Cannot restore ",
    "Removing output files of failed job",
    "Exiting because a job execution failed",
    "At least one job did not complete successfully",
)
#: An error that the workflow raised for people; its message follows, and then the way to it.
_HEAD = re.compile(r"WorkflowError( in (file|rule) .*)?:$")
_WAY = re.compile(r'  File "[^"]*", line \d+, in ')


class EngineWords:
    """Takes the lines of a run one by one."""

    def __init__(self) -> None:
        self._in_error = False

    def is_for_people(self, line: str) -> bool:
        """Whether the next line is for people."""
        if line.startswith((*_OPENING, *_OF_FAILURES)):
            return False
        if _HEAD.match(line):
            self._in_error = True
            return False
        return not (self._in_error and _WAY.match(line))


def for_people(text: str) -> str:
    """The lines of a text that are for people."""
    words = EngineWords()
    lines: Iterable[str] = (line for line in text.splitlines() if words.is_for_people(line))
    return "\n".join(lines).strip()
