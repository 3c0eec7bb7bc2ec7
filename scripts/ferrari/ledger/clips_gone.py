"""Files in the dataset of clips that are no longer in the raw folder.

No stage reads them, and nothing deletes them by itself: the user is told about them once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from ferrari.ledger.clip_files import OF_CLIPS
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.stages import FOLDERS

_ID = re.compile(VIDEO_ID)


def known_by_tables(dataset: str | os.PathLike, videos: Collection[str]) -> list[str]:
    """Clips with a table of stage 0 that are not among `videos`, sorted. Lists only one folder."""
    return sorted(ids_in(Path(dataset) / FOLDERS["probe"]) - set(videos))


def folders_of(dataset: str | os.PathLike, video: str) -> list[str]:
    """The folders, below the dataset, that hold files of one clip."""
    return [folder for folder, ids in _by_folder(dataset) if video in ids]


def left_over(dataset: str | os.PathLike, videos: Collection[str]) -> dict[str, list[str]]:
    """By clip that is not among `videos`: the folders, below the dataset, with files of it."""
    known = set(videos)
    found: dict[str, list[str]] = {}
    for folder, ids in _by_folder(dataset):
        for video in ids - known:
            found.setdefault(video, []).append(folder)
    return dict(sorted(found.items()))


def _by_folder(dataset: str | os.PathLike) -> Iterator[tuple[str, set[str]]]:
    return ((folder, ids_in(Path(dataset) / folder)) for folder in OF_CLIPS)


def ids_in(folder: Path) -> set[str]:
    """The ids of the clips after which files and folders in `folder` are named; none if it does not
    exist.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return set()
    return {stem for name in names if _ID.fullmatch(stem := name.partition(".")[0])}
