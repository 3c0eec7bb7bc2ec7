"""Whether clips that are gone were taken out one by one, or many went at once.

A disk that is not mounted, or settings that name the folder of another set, make a set's clips
look as if they had been taken out. Two things tell the one from the other: most clips of a set
went, or all clips of a folder in it did, where such a disk was mounted. The records of runs say
which clips a set had, so what is gone is held against the last run that had it: a set that loses a
few clips a week is not called empty in the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ferrari.common.counts import number_of
from ferrari.common.visible_text import shown
from ferrari.ledger import tables
from ferrari.ledger.raw_folder import RawFolder
from ferrari.ledger.reasons import OK
from ferrari.ledger.stages import FOLDERS, table

#: Gone at once: fewer than this share of a run's clips are still there.
_LEAST_STAYING = 0.5
#: Gone at once: all clips of a folder, and so many at least. One that lay in a folder of its own
#: was taken out with it, as somebody does who keeps each clip so.
_LEAST_EMPTIED = 2


@dataclass(frozen=True)
class GoneAtOnce:
    """`left` of the `clips` that gave frames in a run are still in the raw folder, or in the
    `folder` in it. `run` is the name of its record; empty for clips that no record names.
    """

    run: str
    clips: int
    left: int
    folder: str = ""

    def __str__(self) -> str:
        whose = f"of the run of {self.run}" if self.run else "that the dataset has frames of"
        within = f" in the folder {shown(self.folder)}" if self.folder else ""
        return f"{self.left:,} of {number_of(self.clips, 'clip')} {whose}{within}"


def find(audit: Path, dataset: Path, gone: Collection[str], here: RawFolder) -> list[GoneAtOnce]:
    """The runs, latest first, most of whose clips are among `gone`, and the folders that had some
    of these and have no file any more. `here` is what the raw folder holds.

    A folder that the settings leave out (`intake.ignore`) is not missed.
    """
    waiting = {video for video in gone if _has_frames(dataset, video)}
    found: list[GoneAtOnce] = []
    for run, clips, refused in _recorded(audit):
        if not waiting:
            return found
        if went := waiting & clips.keys():
            found += _judged(run, clips, went, here)
        waiting -= clips.keys() | refused
    if not waiting:
        return found
    staying = {video: file for video, file in here.videos.items() if _has_frames(dataset, video)}
    return found + _judged("", _files(dataset, waiting) | staying, waiting, here)


def _judged(
    run: str, clips: Mapping[str, str], went: Collection[str], here: RawFolder
) -> list[GoneAtOnce]:
    """What is to be said of those of the `clips` of a run (id: path below the raw folder) that
    `went` since, and which no later run had.
    """
    left = len(clips.keys() & here.videos.keys())
    if left < _LEAST_STAYING * len(clips):
        return [GoneAtOnce(run, len(clips), left)]
    emptied = _emptied([clips[video] for video in went], here)
    return [GoneAtOnce(run, count, 0, folder) for folder, count in emptied]


def _emptied(files: Iterable[str], here: RawFolder) -> list[tuple[str, int]]:
    """The outermost folders that `files` lay in and that hold nothing now, with how many."""
    rest = (*here.videos.values(), *here.left_out)
    there = {*here.left_out, *(folder for file in rest for folder in _folders(file))}
    counts: Counter[str] = Counter()
    for file in files:
        folders = _folders(file)
        if not any(folder in here.left_out for folder in folders):
            counts.update([folder for folder in folders if folder not in there][:1])
    return sorted(item for item in counts.items() if item[1] >= _LEAST_EMPTIED)


def _folders(file: str) -> list[str]:
    """The folders that a file lies in, below the raw folder, the outermost first."""
    return [str(folder) for folder in PurePosixPath(file).parents][-2::-1]


def _recorded(audit: Path) -> Iterator[tuple[str, dict[str, str], set[str]]]:
    """The clips (id: path) that gave frames in each run whose record is whole, and those that were
    refused; latest first.
    """
    for place in sorted((audit / "runs").glob("*/videos.csv"), reverse=True):
        try:
            rows = [(row["item"], row["file"], row["verdict"]) for row in tables.iter_table(place)]
        except (OSError, tables.LedgerError, KeyError):  # cut short, or not ours
            continue
        clips = {video: file for video, file, verdict in rows if verdict == OK}
        yield place.parent.name, clips, {video for video, _, _ in rows} - clips.keys()


def _files(dataset: Path, videos: Collection[str]) -> dict[str, str]:
    """The paths of clips below the raw folder, by the tables of stage 0; "" where none says it."""
    found = dict.fromkeys(videos, "")
    for video in videos:
        try:
            rows = tables.iter_if_there(dataset / table("probe", video))
            found[video] = next((row["file"] for row in rows), "")
        except (tables.LedgerError, KeyError):
            continue
    return found


def _has_frames(dataset: Path, video: str) -> bool:
    folder = dataset / FOLDERS["extract"] / video
    return folder.is_dir() and any(folder.iterdir())
