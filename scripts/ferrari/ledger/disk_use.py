"""What each folder of a set contains, how much disk it takes, and whether it may be deleted.

Packages are hard links to the images of stage 4, and refused files to their originals: a file
counts once, for the folder that comes first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ferrari.ledger.clip_files import OF_CLIPS
from ferrari.ledger.refused_files import BAD_FRAMES, BAD_VIDEOS
from ferrari.ledger.stages import ENVIRONMENTS, FINAL, FOLDERS, RAW

_AGAIN = "yes; the next run makes it anew, which takes as long as it took"
_NEVER = "no; nothing makes it anew"
#: Folders below the dataset, or those that a setting names (with a dot before): what is in them,
#: and whether they may be deleted. docs/reruns.md has the same rows.
PLACES = {
    RAW: ("your clips", _NEVER),
    FOLDERS["extract"]: ("frames, and the films of small pictures", _AGAIN),
    "subject": ("who was seen where, and faces as numbers", _AGAIN),
    FOLDERS["crop"]: ("crops", _AGAIN),
    FOLDERS["mask"]: ("cut-outs", _AGAIN),
    ENVIRONMENTS: ("scenes for backgrounds", _AGAIN),
    FOLDERS["augment"]: ("images on other backgrounds, and their masks", _AGAIN),
    FINAL: ("captions, the final table, packages", _AGAIN),
    BAD_VIDEOS: ("copies of refused clips", _AGAIN),
    BAD_FRAMES: ("copies of refused frames and crops", _AGAIN),
    FOLDERS["probe"]: ("verdicts on clips", _AGAIN),
    "stamps": ("what each table was made from", "no: all tables would be made anew"),
    "review": ("what you decided", _NEVER),
    "captions": ("your captions", _NEVER),
    ".qc_reports": ("these pages", "yes; the next run makes them anew"),
    ".audit": ("records of runs", "yes, if you need no evidence of them"),
    ".cache": ("weights of networks", "yes; the next run fetches hundreds of MB again"),
}


@dataclass(frozen=True)
class FolderUse:
    """A folder of a set: its path as the settings have it, what is in it, its bytes, its files, and
    whether it may be deleted.
    """

    folder: str
    holds: str
    bytes: int
    files: int
    may_go: str


def by_folder(config: Mapping) -> list[FolderUse]:
    """The existing folders of PLACES, in order, relative to the working folder.

    A link in place of a folder (a stage moved to another disk) is followed; links inside are not.
    """
    seen: set[tuple[int, int]] = set()
    found = []
    for name, (holds, may_go) in PLACES.items():
        folder = config[name[1:]] if name.startswith(".") else f"{config['dataset']}/{name}"
        if os.path.isdir(folder):
            count, files = _sum(os.path.realpath(folder), seen)
            found.append(FolderUse(folder, holds, count, files, may_go))
    return found


def bytes_of_clips(dataset: Path) -> dict[str, int]:
    """Bytes of all files named after a clip, by its id; each folder is listed once."""
    found: dict[str, int] = {}
    seen: set[tuple[int, int]] = set()
    for folder in OF_CLIPS:
        if not os.path.isdir(dataset / folder):
            continue
        with os.scandir(dataset / folder) as entries:
            for entry in entries:
                video = entry.name.partition(".")[0]
                found[video] = found.get(video, 0) + _sum(entry.path, seen)[0]
    return found


def _sum(path: str, seen: set[tuple[int, int]]) -> tuple[int, int]:
    """Bytes and files of a folder and all below, or of a file; links are not followed."""
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            with os.scandir(path) as entries:
                parts = [_sum(entry.path, seen) for entry in entries]
            return sum(part[0] for part in parts), sum(part[1] for part in parts)
        state = os.lstat(path)
    except FileNotFoundError:  # gone meanwhile
        return 0, 0
    inode = state.st_dev, state.st_ino
    if inode in seen:
        return 0, 1
    if state.st_nlink > 1:  # the others have no second name
        seen.add(inode)
    return state.st_size, 1
