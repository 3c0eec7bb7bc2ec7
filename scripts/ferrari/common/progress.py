"""The progress of a long job, reported in its log; and the logger that all modules use."""

from __future__ import annotations

import logging
import time
from collections import Counter

# Modules imported by name here change no output, so no digest of a stage's code follows them.
LOGGER = logging.getLogger("ferrari")
_EVERY_S = 5.0  # a long job is heard of


def log_to_stderr() -> None:
    """Have this process print what is logged, with the time: its standard error is a log. What
    it was forked from may have logged elsewhere.
    """
    form = "%(asctime)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.INFO, format=form, force=True)


class CountedWarnings:
    """Warnings that would come with each of a clip's thousand images: of each kind the first is
    said when it comes, and how many there were at the end.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, kind: str, text: str) -> None:
        """Count one of a `kind` ('crops that are quarantined'), and say it if it is the first."""
        self._counts[kind] += 1
        if self._counts[kind] == 1:
            LOGGER.warning("%s", text)

    def sum_up(self) -> None:
        """Say how many there were of each kind that came more than once, and begin anew."""
        for kind, count in self._counts.items():
            if count > 1:
                LOGGER.warning("%s: %d in all", kind, count)
        self._counts.clear()


class Progress:
    """Reports in the job's log how far a long job is, every few seconds."""

    def __init__(self, what: str, total: int | None = None) -> None:
        self.what, self.total = what, total
        self.done = 0
        self._started = self._told = time.monotonic()

    def step(self, count: int = 1) -> None:
        """Count `count` more units as done."""
        self.done += count
        now = time.monotonic()
        if now - self._told >= _EVERY_S:
            self._told = now
            of_total = f" of {self.total}" if self.total else ""
            rate = self.done / (now - self._started)
            LOGGER.info("%s: %d%s done, %.1f/s", self.what, self.done, of_total, rate)
