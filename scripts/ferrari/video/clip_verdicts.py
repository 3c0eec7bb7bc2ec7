"""The final verdict of each raw file over the whole set: stage 0's, or a later one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import (
    DROPPED_BY_REVIEW,
    DUPLICATE_VIDEO,
    EXTRACTOR_REJECTED,
    LOW_RESOLUTION_TWIN,
    OK,
    of_stage,
)
from ferrari.video import twins

#: What a raw file may end as, beside OK: what is left out by its name, what stage 0 refuses, what
#: stage 1 does, copies, and what a person dropped.
VERDICTS = (
    *of_stage("videos"),
    *of_stage("probe"),
    *(EXTRACTOR_REJECTED, LOW_RESOLUTION_TWIN, DUPLICATE_VIDEO, DROPPED_BY_REVIEW),
)
#: What the cell `other_tracks` calls a track that could have been the film as well.
OTHER_FILM = "another film track"


@dataclass(frozen=True)
class Verdict:
    """One raw file's end: `verdict` (OK or why not) and `detail`.

    `duplicate_of` is the clip that it is a copy of, if any: of the same bytes, or smaller.
    """

    verdict: str
    detail: str
    duplicate_of: str = ""


def final_verdicts(
    probes: Iterable[Mapping[str, str]], rejections: Mapping[str, Mapping[str, str]]
) -> dict[str, Verdict]:
    """Verdict of each video from the probe rows and stage 1's EXTRACTOR_REJECTED rows by video.

    Of clips with the same bytes the one with the shortest name (then the first by name) stays:
    `walk.mp4`, not `walk (copy).mp4`.
    """
    probes = list(probes)
    full = _full_clips(probes, rejections)
    by_id = {row["item"]: row for row in probes}
    first_with: dict[str, str] = {}
    verdicts = {}
    for probe in sorted(probes, key=lambda row: (len(row["file"]), row["file"])):
        video = probe["item"]
        if video in full:
            why = twins.described(probe, by_id[full[video]])
            verdicts[video] = Verdict(LOW_RESOLUTION_TWIN, why, full[video])
        elif probe["outcome"] != KEPT:
            verdicts[video] = Verdict(probe["reason"], probe["detail"])
        elif video in rejections:
            row = rejections[video]
            verdicts[video] = Verdict(EXTRACTOR_REJECTED, f"{row['value']}: {row['detail']}")
        elif (original := first_with.setdefault(probe["sha256"], video)) != video:
            verdicts[video] = Verdict(DUPLICATE_VIDEO, f"same bytes as {original}", original)
        else:
            verdicts[video] = Verdict(OK, probe["detail"])
    return verdicts


def _full_clips(
    probes: Iterable[Mapping[str, str]], rejections: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """By clip that is a smaller copy of another: that other one, which must have given frames."""
    usable = {row["item"]: row for row in probes if row["item"] not in rejections}
    files = {video: row["file"] for video, row in usable.items()}
    candidates = twins.same_stem(files) | twins.named_twins(files)
    found = {
        video: twins.full_clip(usable[video], [usable[other] for other in others])
        for video, others in candidates.items()
    }
    return {video: full for video, full in found.items() if full}
