"""What the page shows, one by one: an image, a cut-out, a track, what was refused, a reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: The groups of entries, as the page's data numbers them.
IMAGE, MASK, TRACK, REFUSED = "image", "mask", "track", "refused"
#: A picture that says who the subject is, or who is not: of no clip.
REFERENCE = "reference"
GROUPS = (IMAGE, MASK, TRACK, REFUSED, REFERENCE)


@dataclass(frozen=True)
class Picture:
    """A file below the dataset (or below the folder of references) with its digest; with `box`
    (x1, y1, x2, y2 in px) only that part of it.
    """

    path: str
    sha256: str
    box: tuple[int, int, int, int] | None = None


@dataclass(frozen=True)
class Entry:
    """One thing on the page, and what a decision about it would name.

    `sha256` is what `target_sha256` of a decision has; empty where nothing can be decided. `may`
    holds the keys that count for it: K keep, D drop, E caption, S and N who it is, X split. `doubt`
    is 0 to 1 (see `doubts`). `frames` are the ordinals of the frames that `pictures` show, of a
    track alone. `file` and `mask` are paths below the dataset of what is seen in full size.
    `time_s` is the moment in the clip, -1 where it is not known. `meets` are the numbers of the
    tracks that a frame shows beside a track. `called` is what the page calls an entry of no clip.
    """

    group: str
    scope: str
    video: str
    target: str
    sha256: str = ""
    may: str = ""
    doubt: float = 0.0
    pictures: tuple[Picture, ...] = ()
    frames: tuple[str, ...] = ()
    file: str = ""
    mask: str = ""
    stage: str = ""
    reason: str = ""
    said: str = ""
    caption: str = ""
    framing: str = ""
    facing: str = ""
    background: str = ""
    kind: str = ""
    split: str = ""
    track: str = ""
    meets: tuple[str, ...] = ()
    called: str = ""
    flag: str = ""
    time_s: float = -1.0

    def flagged(self, flag: str, least: float) -> Entry:
        """The same, with a report's remark, and in doubt for it."""
        return replace(self, flag=flag, doubt=max(self.doubt, least)) if flag else self
