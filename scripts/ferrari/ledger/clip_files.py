"""The files of each clip in the dataset (folders, tables, refused files), and their sizes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ferrari.ledger.refused_files import BAD_FRAMES
from ferrari.ledger.stages import FOLDERS, IDENTITY, SIGHTINGS, TRACKS

#: Folders below the dataset that hold a file or a folder named after each clip.
OF_CLIPS = (*FOLDERS.values(), TRACKS, SIGHTINGS, IDENTITY, BAD_FRAMES)


def sizes(dataset: str | os.PathLike, videos: Iterable[str]) -> dict[str, int]:
    """Bytes of all files below the dataset that are named after a clip, by clip."""
    root = Path(dataset)
    wanted = dict.fromkeys(videos, 0)
    for folder in OF_CLIPS:
        for video in wanted:
            wanted[video] += size(root / folder / video)
            wanted[video] += sum(size(path) for path in _beside(root / folder, video))
    return wanted


def size(path: str | os.PathLike) -> int:
    """Bytes of a file, or of all files in a folder and below; 0 of what is not there. Links are not
    followed.
    """
    try:
        if not os.path.isdir(path) or os.path.islink(path):
            return os.lstat(path).st_size
        with os.scandir(os.fspath(path)) as entries:
            return sum(size(entry.path) for entry in entries)
    except FileNotFoundError:
        return 0


def _beside(folder: Path, video: str) -> Iterator[Path]:
    """The files of a clip beside its folder: tables, linking film, sightings."""
    for ending in (".csv", ".linking.mkv", ".npz"):
        yield folder / f"{video}{ending}"
