"""Tables of clips that were made once, of which others were made since, and that are gone.

Snakemake by itself takes a missing file for one that is not needed, where what was made of it is
there.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


def of_clips(videos: Iterable[str], patterns: Sequence[str], *, finished: bool) -> list[str]:
    """Paths of the missing tables of each clip that has some of them, or of all if the set is
    `finished`. `patterns` are a clip's tables, with {video} for its id.

    Of a clip without any table nothing was made yet: its tables need no naming, and there may be
    70,000 of them.
    """
    lost: list[str] = []
    for video in videos:
        tables = [pattern.replace("{video}", video) for pattern in patterns]
        missing = [table for table in tables if not os.path.exists(table)]
        if finished or len(missing) < len(tables):
            lost += missing
    return lost
