"""Clips drawn for the whole set, once: they are written down (pinned) by name.

What is made from a few clips for all of them must not change when a clip is added later, or that
clip would make everything anew. The draw is made while the graph is built, the list written by the
job that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from ferrari.common.seeds import ranked
from ferrari.ledger.item_ids import named_as_film
from ferrari.ledger.tables import read_table, write_table


def draw(videos: Iterable[str], seed: int, count: int, purpose: str) -> list[str]:
    """`count` of `videos`, sorted: the first in an order of hashes that each `purpose` has."""
    return sorted(ranked(videos, seed, "", purpose)[:count])


def pinned_or_drawn(
    pinned_csv: str | os.PathLike, videos: Mapping[str, str], seed: int, count: int, purpose: str
) -> list[str]:
    """The clips in `pinned_csv` if there is one, less those that are gone; else those drawn.

    `videos` are the raw files, id: path; what is drawn is named as film. Sorted ids. Writes
    nothing.
    """
    if Path(pinned_csv).exists():
        return sorted(set(videos) & {line["video"] for line in read_table(pinned_csv)})
    return draw(named_as_film(videos), seed, count, purpose)


def pin(pinned_csv: str | os.PathLike, clips: Iterable[str]) -> None:
    """Write the drawn clips down, unless that was done before."""
    if not Path(pinned_csv).exists():
        write_table(pinned_csv, ["video"], [{"video": clip} for clip in clips])
