"""What happened to the clips of a set, in words for the places where people look first.

A person who adds seven clips and gets images of five must be told, without opening a table: how
many were refused, which ones, why, and which setting would admit them. Files that are not videos
(by name, or by content) are counted separately: nothing was lost with them. So are copies of a clip
that is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferrari.common.counts import first_of
from ferrari.common.visible_text import shown
from ferrari.ledger.raw_folder import is_named_as_film
from ferrari.ledger.reason_words import advice
from ferrari.ledger.reasons import (
    DUPLICATE_VIDEO,
    LOW_RESOLUTION,
    LOW_RESOLUTION_TWIN,
    NO_VIDEO_STREAM,
    NOT_A_VIDEO,
    OK,
    REJECTION_VALUES,
    TOO_LARGE,
    of_stage,
)

#: Verdicts of clips that the set has already, as another file.
COPIES = frozenset({DUPLICATE_VIDEO, LOW_RESOLUTION_TWIN})
#: Verdicts of files that are no videos: by their name, or by what they hold.
OTHER_FILES = frozenset({*of_stage("videos"), NOT_A_VIDEO, NO_VIDEO_STREAM})
#: The name of the check of QC0 that says it too.
CHECK = "clips_refused"
#: Files named in a text; all of them are in videos.csv and on QC0's page.
NAMED = 10


@dataclass(frozen=True)
class FileFate:
    """A file that gave no images of its own, as text ready for display: what it is and why.

    `cure` says what would admit it: a setting with its value if a bound decided, else some advice.
    """

    video: str
    file: str
    verdict: str
    detail: str
    cure: str

    def __str__(self) -> str:
        said = f"{self.file}: {self.verdict}"
        return f"{said}, {self.detail}" if self.detail else said


@dataclass(frozen=True)
class ClipFates:
    """The files of the raw folder: `clips` are all videos among them, copies included."""

    clips: int
    refused: tuple[FileFate, ...]
    copies: tuple[FileFate, ...]
    others: tuple[FileFate, ...]

    @property
    def figure(self) -> str:
        """'2 of 7'."""
        return f"{len(self.refused):,} of {self.clips:,}"

    @property
    def headline(self) -> str:
        """'Clips refused: 2 of 7'; empty where none was."""
        return f"Clips refused: {self.figure}" if self.refused else ""

    @property
    def apart(self) -> str:
        """What else is in the raw folder, as one line; empty if nothing is."""
        parts = (
            ("Copies of clips that are used", self.copies),
            ("Other files, no videos", self.others),
            ("Of these named like clips (a copy that failed?)", self._broken),
        )
        return ". ".join(
            f"{text}: {len(files):,} ({first_of([one.file for one in files], 4)})"
            for text, files in parts
            if files
        )

    @property
    def _broken(self) -> tuple[FileFate, ...]:
        """Files whose name promises film and whose content is none of any kind."""
        return tuple(
            one for one in self.others if one.verdict == NOT_A_VIDEO and is_named_as_film(one.file)
        )


def of_rows(rows: Iterable[Mapping[str, str]]) -> ClipFates:
    """From the rows of videos.csv, or of QC0's figures: columns item or video, file, verdict,
    detail, value, threshold.
    """
    sorted_out: dict[str, list[FileFate]] = {"refused": [], "copies": [], "others": []}
    used = 0
    for row in sorted(rows, key=lambda row: row["file"]):
        verdict = row["verdict"]
        if verdict == OK:
            used += 1
            continue
        kind = "copies" if verdict in COPIES else "others" if verdict in OTHER_FILES else "refused"
        sorted_out[kind].append(
            FileFate(
                row.get("item") or row.get("video", ""),
                shown(row["file"]),
                verdict,
                shown(row["detail"], 300),
                admitted_by(row),
            )
        )
    found = {kind: tuple(files) for kind, files in sorted_out.items()}
    return ClipFates(used + len(found["refused"]) + len(found["copies"]), **found)


def admitted_by(row: Mapping[str, str]) -> str:
    """The setting, with its value, that would admit a refused file; else what to do about it."""
    verdict, value = row["verdict"], row.get("value", "")
    if verdict == LOW_RESOLUTION and value:
        return f"probe.min_short_side: {math.floor(float(value))} takes it as it is"
    if verdict == TOO_LARGE and value:
        return f"probe.max_megapixels: {math.ceil(float(value))} takes it as it is"
    why = row["detail"].partition(":")[0]
    return advice(why if why in REJECTION_VALUES else verdict)


def as_lines(fates: ClipFates, most: int = NAMED) -> list[str]:
    """The refused clips as lines of text, one for each clip and one for what to do; [] if there are
    none.
    """
    if not fates.refused:
        return []
    lines = [f"{fates.headline}."]
    for one in fates.refused[:most]:
        lines += [f"  {one}", f"    {one.cure}"]
    if len(fates.refused) > most:
        lines.append(f"  ... and {len(fates.refused) - most:,} more")
    return lines
