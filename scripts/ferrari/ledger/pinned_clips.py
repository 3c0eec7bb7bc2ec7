"""Clips drawn once for the whole set, and written down (pinned) by name.

What is made from a few clips for all of them must not change when a clip is added later, or that
clip would cause everything to be made again. The draw happens while the graph is built; the job
that uses the list writes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ferrari.common.seeds import ranked
from ferrari.ledger.raw_folder import named_as_film
from ferrari.ledger.tables import read_table, write_table


def draw(videos: Iterable[str], seed: int, count: int, purpose: str) -> list[str]:
    """`count` of `videos`, sorted: the first by a hash that differs for each `purpose`."""
    return sorted(ranked(videos, seed, "", purpose)[:count])


def pinned_or_drawn(
    pinned_csv: str | os.PathLike, videos: Mapping[str, str], seed: int, count: int, purpose: str
) -> list[str]:
    """The clips in `pinned_csv` if it exists, without those that are gone; else those drawn.

    `videos` are the raw files, id: path; only files with a video's extension are drawn. Sorted ids.
    Writes nothing.
    """
    if Path(pinned_csv).exists():
        return sorted(set(videos) & {line["video"] for line in read_table(pinned_csv)})
    return draw(named_as_film(videos), seed, count, purpose)


def pin(pinned_csv: str | os.PathLike, clips: Iterable[str]) -> None:
    """Write the drawn clips down, unless that was already done."""
    if not Path(pinned_csv).exists():
        write_table(pinned_csv, ["video"], [{"video": clip} for clip in clips])
