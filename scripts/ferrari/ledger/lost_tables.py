"""Tables of clips that are missing, although later tables were made from them.

By itself, Snakemake considers a missing file not needed if the files made from it exist.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence


def of_clips(videos: Iterable[str], patterns: Sequence[str], *, finished: bool) -> list[str]:
    """Paths of the missing tables of each clip that has some tables, or of all clips if the set is
    `finished`.

    `patterns` are a clip's tables, with {video} for its id. A clip without any table has not been
    processed yet: its tables need no naming, and there may be 70,000 of them. Each folder is listed
    once, since 100,000 single checks take longer.
    """
    there = {
        f"{folder}/{name}"
        for folder in set(map(os.path.dirname, patterns))
        if os.path.isdir(folder)
        for name in os.listdir(folder)
    }
    lost: list[str] = []
    for video in videos:
        tables = [pattern.replace("{video}", video) for pattern in patterns]
        missing = [table for table in tables if table not in there]
        if finished or len(missing) < len(tables):
            lost += missing
    return lost
