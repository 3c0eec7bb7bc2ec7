"""Files in a set's folders that no longer belong to anything: of clips that are gone, of packages
that are no longer made, of earlier versions of the pipeline.

A person who asks to be removed from a set is gone when their clips are out of the raw folder, the
set was made again without them, and their remaining files are deleted. Never listed here: raw
clips, settings, `review/`, captions by hand.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.ledger import clip_files, job_costs, tables
from ferrari.ledger.columns import KEPT
from ferrari.ledger.item_ids import VIDEO_ID
from ferrari.ledger.refused_files import BAD_VIDEOS
from ferrari.ledger.stages import ENVIRONMENTS_CSV, FINAL, FINAL_CSV, FOLDERS, VIDEOS_CSV
from ferrari.provenance import older_packages, table_stamps

CLIP, PACKAGE, EARLIER = "clip", "package", "earlier"
_ID = re.compile(VIDEO_ID)
#: Beside the dataset, named after rules and clips: what jobs said, and what they cost.
_OF_JOBS = ("logs", job_costs.PLACE)
#: Beside the dataset, under names that earlier versions gave: what their jobs cost.
_OF_EARLIER = tuple(f"{job_costs.PLACE}/{name}" for name in ("qc", "weights", "verify_dataset.tsv"))
#: Tables over the whole set, and the column that names the clip of a row. In the bank of scenes a
#: row that is not kept is no more than a name: nothing of that clip stands behind a cut-out.
_WHOLE = {FINAL_CSV: "video", VIDEOS_CSV: "item", ENVIRONMENTS_CSV: "video"}


@dataclass(frozen=True)
class LeftBehind:
    """What is left of a clip, of a package or of an earlier version: its id, its format or where it
    lies; its files and folders, their bytes.
    """

    kind: str
    name: str
    paths: tuple[Path, ...]
    bytes: int

    @property
    def files(self) -> int:
        """How many files it is."""
        return sum(_count(path) for path in self.paths)

    def delete(self) -> None:
        """Delete all of it; what is gone meanwhile is no fault. Links are not followed."""
        for path in self.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def find(work: Path, config: Mapping, videos: Collection[str]) -> list[LeftBehind]:
    """All that is left in the set's folder `work` of clips that are not among `videos`, of packages
    that `config` does not ask for, and of earlier versions; clips first, sorted by name.
    """
    dataset = work / config["dataset"]
    of_clips: dict[str, list[Path]] = {}
    for folder in _folders_of_clips(work, dataset):
        for path in _below(folder):
            video = path.name.partition(".")[0]
            if _ID.fullmatch(video) and video not in videos:
                of_clips.setdefault(video, []).append(path)
    found = [_left(CLIP, video, paths) for video, paths in sorted(of_clips.items())]
    for name in older_packages.formats_not_asked_for(dataset, config):
        stamp = table_stamps.place(dataset, dataset / FINAL / f"{name}.csv")
        places = (dataset / FINAL / name, dataset / FINAL / f"{name}.csv", stamp)
        found.append(_left(PACKAGE, name, [path for path in places if path.exists()]))
    earlier = [name for name in _OF_EARLIER if (work / name).exists()]
    return found + [_left(EARLIER, name, [work / name]) for name in earlier]


def still_named(dataset: Path, left: Sequence[LeftBehind]) -> list[str]:
    """Tables over the whole set that still tell of a clip that is gone: it was not made anew since,
    and its images may lie in packages.
    """
    gone = {one.name for one in left if one.kind == CLIP}
    return [
        name
        for name, column in _WHOLE.items()
        if (dataset / name).is_file()
        and any(
            row[column] in gone and (name != ENVIRONMENTS_CSV or row["outcome"] == KEPT)
            for row in tables.iter_table(dataset / name)
        )
    ]


def _folders_of_clips(work: Path, dataset: Path) -> Iterator[Path]:
    for folder in clip_files.OF_CLIPS:
        yield dataset / folder
        yield dataset / table_stamps.FOLDER / folder
    yield from _below(dataset / BAD_VIDEOS)
    for folder in _OF_JOBS:
        for stage in FOLDERS:
            yield work / folder / stage


def _below(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing of one that is not there."""
    try:
        return sorted(Path(entry.path) for entry in os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _left(kind: str, name: str, paths: Sequence[Path]) -> LeftBehind:
    return LeftBehind(kind, name, tuple(paths), sum(map(clip_files.size, paths)))


def _count(path: Path) -> int:
    if path.is_dir() and not path.is_symlink():
        return sum(_count(below) for below in _below(path))
    return int(path.is_symlink() or path.exists())
