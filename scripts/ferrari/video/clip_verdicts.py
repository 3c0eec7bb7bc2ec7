"""What each raw file ends as, seen over the whole set: its stage 0 verdict, or what came later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import DUPLICATE_VIDEO, EXTRACTOR_REJECTED, OK, of_stage

#: What a raw file may end as, beside OK: what stage 0 refuses, what stage 1 does, and repeats.
VERDICTS = (*of_stage("probe"), EXTRACTOR_REJECTED, DUPLICATE_VIDEO)
#: What the cell `other_tracks` calls a track that could have been the film as well.
OTHER_FILM = "another film track"


@dataclass(frozen=True)
class Verdict:
    """One raw file's end: `verdict` (OK or why not), `detail`, and the clip it repeats, if any."""

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
    first_with: dict[str, str] = {}
    verdicts = {}
    for probe in sorted(probes, key=lambda row: (len(row["file"]), row["file"])):
        video = probe["item"]
        if probe["outcome"] != KEPT:
            verdicts[video] = Verdict(probe["reason"], probe["detail"])
        elif video in rejections:
            row = rejections[video]
            verdicts[video] = Verdict(EXTRACTOR_REJECTED, f"{row['value']}: {row['detail']}")
        elif (original := first_with.setdefault(probe["sha256"], video)) != video:
            verdicts[video] = Verdict(DUPLICATE_VIDEO, f"same bytes as {original}", original)
        else:
            verdicts[video] = Verdict(OK, probe["detail"])
    return verdicts
