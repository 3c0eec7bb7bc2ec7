"""Whether clips that are gone were taken out one by one, or most of a set went at once.

A disk that is not mounted, or settings that name the folder of another set, make a set's clips
look as if they had been taken out, and nothing but their number tells the one from the other. The
records of runs say which clips a set had, so what is gone is held against the last run that had it:
a set that loses a few clips a week is not called empty in the end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.counts import number_of
from ferrari.ledger import tables
from ferrari.ledger.reasons import OK
from ferrari.ledger.stages import FOLDERS

#: Gone at once: fewer than this share of a run's clips are still there.
_LEAST_STAYING = 0.5


@dataclass(frozen=True)
class GoneAtOnce:
    """`left` of the `clips` that gave frames in a run are still in the raw folder. `run` is the
    name of its record; empty for clips that no record names.
    """

    run: str
    clips: int
    left: int

    def __str__(self) -> str:
        whose = f"of the run of {self.run}" if self.run else "that the dataset has frames of"
        return f"{self.left:,} of {number_of(self.clips, 'clip')} {whose}"


def find(
    audit: Path, dataset: Path, gone: Collection[str], here: Collection[str]
) -> list[GoneAtOnce]:
    """The runs, latest first, most of whose clips are among `gone`. `here` are the ids that lie in
    the raw folder.
    """
    waiting = {video for video in gone if _has_frames(dataset, video)}
    found: list[GoneAtOnce] = []
    for run, clips, refused in _recorded(audit):
        if not waiting:
            return found
        if waiting & clips:
            found += _judged(run, len(clips), len(clips & set(here)))
        waiting -= clips | refused
    staying = sum(_has_frames(dataset, video) for video in here) if waiting else 0
    return found + _judged("", len(waiting) + staying, staying) if waiting else found


def _judged(run: str, clips: int, left: int) -> list[GoneAtOnce]:
    return [GoneAtOnce(run, clips, left)] if left < _LEAST_STAYING * clips else []


def _recorded(audit: Path) -> Iterator[tuple[str, set[str], set[str]]]:
    """The clips that gave frames in each run whose record is whole, and those that were refused;
    latest first.
    """
    for table in sorted((audit / "runs").glob("*/videos.csv"), reverse=True):
        try:
            verdicts = {row["item"]: row["verdict"] for row in tables.iter_table(table)}
        except (OSError, tables.LedgerError, KeyError):  # cut short, or not ours
            continue
        clips = {video for video, verdict in verdicts.items() if verdict == OK}
        yield table.parent.name, clips, verdicts.keys() - clips


def _has_frames(dataset: Path, video: str) -> bool:
    folder = dataset / FOLDERS["extract"] / video
    return folder.is_dir() and any(folder.iterdir())
