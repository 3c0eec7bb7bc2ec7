"""What each raw file ends as, seen over the whole set: its stage 0 verdict, or what came later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ferrari.ledger.columns import KEPT

REJECTED, DUPLICATE = "EXTRACTOR_REJECTED", "DUPLICATE_VIDEO"
OK, TOO_LARGE = "OK", "TOO_LARGE"
#: Why a raw file is refused; the rule that decides is in `probing`, stage 0 and here.
VERDICTS = {
    "CORRUPT_CONTAINER": "cannot be opened, or none of its frames decodes",
    "NO_VIDEO_STREAM": "opens, but holds no video (audio, subtitles or nothing)",
    "NOT_A_VIDEO": "is a picture or a playlist under a video's name",
    "ENCRYPTED": "its video is encrypted and there is no key",
    "ZERO_DURATION": "its frames span no time",
    "LOW_RESOLUTION": "its short side, as shown, is below probe.min_short_side",
    TOO_LARGE: "its frames have more pixels than probe.max_megapixels allows",
    "UNREADABLE": "the file system refuses to read it, or it is no regular file",
    "DECODER_CRASHED": "looking at it killed the decoder",
    "DECODE_TIMEOUT": "looking at it took longer than probe.timeout_s",
    "OUT_OF_MEMORY": "looking at it took more than probe.memory_mb",
    REJECTED: "it opened, but stage 1 got no clean frame out of it",
    DUPLICATE: "is byte for byte another clip of the set",
}
#: Those that stage 0 gives.
OF_STAGE_0 = tuple(name for name in VERDICTS if name not in (REJECTED, DUPLICATE))


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
            verdicts[video] = Verdict(REJECTED, f"{row['value']}: {row['detail']}")
        elif (original := first_with.setdefault(probe["sha256"], video)) != video:
            verdicts[video] = Verdict(DUPLICATE, f"same bytes as {original}", original)
        else:
            verdicts[video] = Verdict(OK, probe["detail"])
    return verdicts
