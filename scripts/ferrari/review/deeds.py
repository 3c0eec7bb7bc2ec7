"""What a person did to a set, counted and as a sentence: for QC7, the dataset's description and its
card.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from ferrari.review import decisions
from ferrari.review.contract import (
    CAPTION,
    DROP,
    DUPLICATE_OF,
    IS_SUBJECT,
    KEEP,
    MASK,
    MERGE_TRACKS,
    NOT_SUBJECT,
    SPLIT_TRACK,
)
from ferrari.review.effects import AGREES, APPLIED, Effect, of_dataset

#: What may be dropped and kept.
_THINGS = "(clips, crops, cut-outs, images or reference pictures)"
#: What a person did, by decision, with what a number of them is called: one, several.
_DEEDS = {
    DROP: ("dropped", f"thing {_THINGS}", f"things {_THINGS}"),
    KEEP: ("kept", f"thing {_THINGS}", f"things {_THINGS}"),
    DUPLICATE_OF: ("named", "duplicate", "duplicates"),
    MASK: ("mended", "mask", "masks"),
    IS_SUBJECT: ("took for the subject", "track", "tracks"),
    NOT_SUBJECT: ("took for somebody else", "track", "tracks"),
    SPLIT_TRACK: ("cut", "track", "tracks"),
    MERGE_TRACKS: ("joined", "pair of tracks", "pairs of tracks"),
    CAPTION: ("wrote", "caption", "captions"),
}


def sentence(dataset: str | os.PathLike, expected: str) -> str:
    """`in_words` of a dataset's decisions, for a job that was given their digest.

    The table is not opened where `expected` is empty.
    """
    return in_words(counted(of_dataset(dataset, decisions.load(dataset)))) if expected else ""


def counted(found: Iterable[Effect]) -> dict[str, int]:
    """How many decisions of each kind are in force; kinds without any are left out."""
    counts: dict[str, int] = {}
    for effect in found:
        if effect.state in (APPLIED, AGREES):
            counts[effect.row.decision] = counts.get(effect.row.decision, 0) + 1
    return counts


def in_words(counts: Mapping[str, int]) -> str:
    """What `counted` found, as a sentence; empty for nothing."""
    said = [
        f"{verb} {counts[kind]:,} {one if counts[kind] == 1 else several}"
        for kind, (verb, one, several) in _DEEDS.items()
        if counts.get(kind)
    ]
    return f"A person looked and {', '.join(said)}." if said else ""
