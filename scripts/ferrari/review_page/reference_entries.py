"""The entries of the pictures that say who the subject is, and who is not.

They belong to no clip. What is decided of one (scope `reference`) is about its bytes, so that it
may be renamed; it moves who the subject is, and all clips are judged anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from ferrari.images import user_pictures
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import DROPPED_BY_REVIEW
from ferrari.review.contract import REFERENCE as OF_REFERENCE
from ferrari.review_page import sprites
from ferrari.review_page.entries import REFERENCE, Entry, Picture
from ferrari.subject import references


def entries(rows: Iterable[Mapping[str, str]]) -> list[Entry]:
    """An entry for each row of subject/references.csv, in its order.

    Only of a picture that counts, or that a person dropped, there is something to decide. The path
    of its `Picture` is the setting of its folder and its path in there (see `reader`).
    """
    return [_entry(row) for row in rows]


def _entry(row: Mapping[str, str]) -> Entry:
    place = f"{row['setting']}/{row['file']}"
    decidable = row["outcome"] == KEPT or row["reason"] == DROPPED_BY_REVIEW
    return Entry(
        *(REFERENCE, OF_REFERENCE, "", row["sha256"]),
        sha256=row["sha256"] if decidable else "",
        may="KD" if decidable else "",
        pictures=(Picture(place, row["sha256"]),) if row["sha256"] else (),
        called=place,
        doubt=0.0 if row["outcome"] == KEPT else 1.0,
        stage="who",
        reason=row["reason"],
        said="; ".join(filter(None, (references.WORDS.get(row["reason"], ""), row["detail"]))),
        kind=row["setting"],
    )


def reader(folders: Mapping[str, str]) -> Callable[[Path], np.ndarray]:
    """What reads the pictures of entries, HxWx3 uint8 RGB of a cell's size; `folders` are the
    paths of the folders by their settings.
    """

    def read(place: Path) -> np.ndarray:
        setting, *below = place.parts
        if setting not in folders:  # the table is older than the settings
            raise FileNotFoundError(f"{place}: no folder is named by {setting} any more")
        return user_pictures.read(Path(folders[setting], *below), sprites.CELL)

    return read
