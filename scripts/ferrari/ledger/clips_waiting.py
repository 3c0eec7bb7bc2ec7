"""What a run would find in the raw folder (clips that are new, unfinished or gone, and files that
are not clips), by names, first bytes and the existing tables.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferrari.common.counts import first_of
from ferrari.common.visible_text import shown
from ferrari.ledger import clips_gone, raw_listing
from ferrari.ledger.clip_fates import OTHER_FILES
from ferrari.ledger.reasons import of_stage
from ferrari.ledger.stages import FOLDERS, LAST_STAGE

_OTHER = "other file"
#: Of so many files the names are said.
_NAMED = 3


@dataclass(frozen=True)
class ClipsWaiting:
    """By id: `new` clips, of which nothing exists, and `begun` ones, which have not passed all
    stages.

    `others`: the kinds of files that are not clips, `new_others` those without a row yet. `gone`:
    files of the last run's clips that no longer exist.
    """

    new: frozenset[str] = frozenset()
    begun: frozenset[str] = frozenset()
    others: Mapping[str, str] = field(default_factory=dict)
    new_others: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()

    def within(self, own: Collection[str]) -> ClipsWaiting:
        """The same for a run that works on the ids `own` only."""
        mine = {name: getattr(self, name) & set(own) for name in ("new", "begun", "new_others")}
        return replace(self, **mine)


def of(
    dataset: Path,
    rows: Sequence[Mapping[str, str]],
    raw: str,
    videos: Mapping[str, str],
    *,
    sizes: Mapping[str, int],
    animations: bool,
) -> ClipsWaiting:
    """What is waiting in the raw folder `raw`, given the `rows` of videos.csv.

    The folder holds `videos` (id: path) of `sizes` (bytes now). `animations`: whether animated
    pictures count as video.
    """
    looked_at = clips_gone.ids_in(dataset / FOLDERS["probe"])
    through = clips_gone.ids_in(dataset / FOLDERS[LAST_STAGE])
    left_out = frozenset(of_stage("videos"))
    # A verdict is one on a file: another one of that name may be a clip, and so may what was left
    # out by its name and is left out no more.
    others = {
        row["item"]: _OTHER
        for row in sorted(rows, key=lambda row: row["item"])
        if row["verdict"] in OTHER_FILES - left_out
        and row["item"] in videos
        and row["bytes"] == str(sizes[row["item"]])
    }
    unsure = {video: file for video, file in videos.items() if video not in others}
    others |= raw_listing.no_film(raw, unsure, animations=animations)
    clips = frozenset(videos) - set(others)
    return ClipsWaiting(
        new=clips - looked_at,
        begun=(clips & looked_at) - through,
        others=others,
        new_others=frozenset(others) - looked_at,
        gone=gone(rows, videos),
    )


def gone(rows: Iterable[Mapping[str, str]], videos: Collection[str]) -> tuple[str, ...]:
    """Files of the clips in the `rows` of videos.csv that are not among `videos` any more."""
    left_out = frozenset(of_stage("videos"))
    return tuple(
        row["file"] for row in rows if row["item"] not in videos and row["verdict"] not in left_out
    )


def since_last_run(what: str, files: Sequence[str]) -> str:
    """'Gone since the last run: 4 (a.mp4, b.mp4, c.mp4 and 1 more).', `what` before it; "" where
    there are no files.
    """
    names = first_of([shown(file, 60) for file in files], _NAMED)
    return f"{what} since the last run: {len(files):,} ({names})." if files else ""
