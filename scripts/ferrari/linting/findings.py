"""What the linter of training folders reports: one finding for each trap in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, order=True)
class Finding:
    """`check` is `<trainer>/<trap>`; `path` is relative to the folder that was linted.

    `effect` says what the trainer would silently do, `cure` how to fix it.
    """

    check: str
    path: str
    effect: str
    cure: str

    def __str__(self) -> str:
        return f"{self.check}: {self.path}\n    {self.effect}\n    To mend it: {self.cure}"


@dataclass(frozen=True)
class Trap:
    """A trap with a name, and its cure; `found` makes the finding of one place."""

    check: str
    effect: str
    cure: str

    def found(self, path: str | Path, /, **details: object) -> Finding:
        """The finding at `path`; `details` fill the braces of the effect and the cure."""
        return Finding(
            self.check, str(path), self.effect.format(**details), self.cure.format(**details)
        )
