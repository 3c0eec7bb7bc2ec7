"""Which clips vote on who the subject is: drawn once, pinned in `subject_pinned.csv`.

The table has a line for each voting clip, or one line without a clip where references say who the
subject is. It moves only when the references change or somebody deletes it: a clip that comes later
must not change who was found before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError
from ferrari.ledger.pinned_clips import draw
from ferrari.ledger.raw_folder import named_as_film
from ferrari.ledger.tables import iter_table, write_table

COLUMNS = ("video", "references_sha256")


class PinError(FerrariError, ValueError):
    """The pinned clips are not among the raw files; names the file and what to do."""


@dataclass(frozen=True)
class Voters:
    """Ids of the clips that vote, and of pinned clips that are gone; both sorted."""

    clips: tuple[str, ...]
    gone: tuple[str, ...] = ()

    def said(self) -> str:
        """A sentence about the clips that are gone; empty if none is."""
        if not self.gone:
            return ""
        return (
            f"{len(self.gone)} of {len(self.gone) + len(self.clips)} clips that voted on who the "
            f"subject is are gone ({first_of(self.gone, 3)}); the others decide"
        )


def voters(
    pinned_csv: str | os.PathLike, videos: Mapping[str, str], seed: int, count: int
) -> Voters:
    """The clips that vote where there are no references: those pinned, else `count` drawn.

    `videos` are the raw files, id: path; what is drawn is named as film. Writes nothing, and the
    order of `videos` does not matter. A pin that was made with references does not count. Raises
    PinError where all pinned clips are gone, and LedgerError for a table that is damaged.
    """
    known = set(videos)
    pinned = _pinned(pinned_csv)
    if pinned is None or not pinned[0]:
        return Voters(tuple(draw(named_as_film(videos), seed, count, "subject")))
    clips, gone = sorted(pinned[0] & known), sorted(pinned[0] - known)
    if gone and not clips:
        raise PinError(
            f"{os.fspath(pinned_csv)}: none of the {len(gone)} clips that say who the subject is "
            f"({gone[0]} is the first) is among the raw files: they are gone, or the file is "
            "another dataset's. Put them back, or delete the file, and clips are drawn anew; who "
            "the subject is may change then"
        )
    return Voters(tuple(clips), tuple(gone))


def pin(pinned_csv: str | os.PathLike, clips: Sequence[str], references_sha256: str = "") -> bool:
    """Write down what says who the subject is; True if that is not what was written before.

    `clips` are the voters, or none with `references_sha256` (`references.digest`). A list of clips
    that is there already stays, even where some are gone.
    """
    pinned = _pinned(pinned_csv)
    if pinned is not None and pinned[1] == references_sha256 and (pinned[0] or references_sha256):
        return False
    lines = [{"video": clip, "references_sha256": ""} for clip in sorted(clips)]
    if references_sha256:
        lines = [{"video": "", "references_sha256": references_sha256}]
    write_table(pinned_csv, COLUMNS, lines)
    return True


def _pinned(pinned_csv: str | os.PathLike) -> tuple[set[str], str] | None:
    """The pinned clips, and the digest of the references; None without a file."""
    if not Path(pinned_csv).exists():
        return None
    lines = list(iter_table(pinned_csv, COLUMNS))
    clips = {line["video"] for line in lines if line["video"]}
    return clips, next((line["references_sha256"] for line in lines), "")
