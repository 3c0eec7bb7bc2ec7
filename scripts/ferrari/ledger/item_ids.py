"""Ids of videos and items: safe in a path, a URL, a wildcard and a trainer's folder; stable.

A video's id is a slug of its file name plus ten hex digits of the SHA-256 of its path relative to
the raw folder. It depends on nothing but that path, so it stays when other clips come or go, and
two files that share a stem, or differ in case or Unicode form, get different ids. Ids hold only
`a-z 0-9 -`: no dot (WebDataset cuts a key at the first one), no underscore (kohya strips the last
four of five from a name and looks there for a caption). An item's id says what it came from:
`parse` reads it back.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

VIDEO_ID = r"[a-z0-9][a-z0-9-]*-[0-9a-f]{10}"
_SLUG_CHARS = 40


def slug(text: str) -> str:
    """ASCII slug of at most 40 characters from `a-z 0-9 -`; 'clip' where nothing is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^a-z0-9]+", "-", ascii_text.lower()).strip("-")
    return words[:_SLUG_CHARS].strip("-") or "clip"


def video_id(relative_path: str) -> str:
    """The id of the raw file at `relative_path` (below the raw folder, `/` between parts)."""
    digest = hashlib.sha256(os.fsencode(relative_path)).hexdigest()[:10]
    return f"{slug(Path(relative_path).stem)}-{digest}"


def frame_item(video: str, ordinal: int) -> str:
    """Id of the `ordinal`-th sampled frame of a video."""
    return f"{video}-f{ordinal:06d}"


def lost_item(video: str, ordinal: int) -> str:
    """Id of the `ordinal`-th stretch of a video that gave no usable frame."""
    return f"{video}-lost{ordinal:03d}"


def detection_item(frame: str, ordinal: int) -> str:
    """Id of the `ordinal`-th detection in a frame."""
    return f"{frame}-d{ordinal}"


def crop_item(frame: str, ordinal: int) -> str:
    """Id of the crop of the `ordinal`-th detection in a frame."""
    return f"{frame}-p{ordinal}"


def variant_item(crop: str, variant: int) -> str:
    """Id of the `variant`-th augmentation of a cut-out."""
    return f"{crop}-v{variant}"


_FRAME = "-(?:f[0-9]{6,}|lost[0-9]{3,})"  # a frame, or a stretch that gave none
_ITEM = re.compile(rf"(({VIDEO_ID}){_FRAME})(?:-([dp])([0-9]+))?(-v[0-9]+)?")
_BELOW = rf"(?:{_FRAME})?(?:-[dp][0-9]+)?(?:-v[0-9]+)?".encode()


@dataclass(frozen=True)
class Item:
    """A parsed id: its own and its ancestors' ids; levels below its own are empty."""

    video: str
    frame: str = ""
    detection: str = ""
    crop: str = ""
    variant: str = ""

    @property
    def id(self) -> str:
        """The item's own id: that of the lowest level that is set."""
        return self.variant or self.crop or self.detection or self.frame or self.video

    @property
    def kind(self) -> str:
        """What it is: clip, frame, detection, crop or image."""
        level = sum(bool(part) for part in (self.frame, self.detection, self.crop, self.variant))
        return ("clip", "frame", "detection", "crop", "image")[level]

    def below(self) -> bytes:
        """A pattern (for a full match) of the item's id and of the ids of everything made from it.

        One clip's id may be the beginning of another's, so only ordinals may follow. A detection's
        crop has the detection's number, but does not begin with its id.
        """
        own = re.escape(self.id.encode())
        if self.kind != "detection":
            return own + _BELOW
        frame, _, ordinal = self.detection.rpartition("-d")
        crop = re.escape(crop_item(frame, int(ordinal)).encode())
        return b"(?:%s|%s(?:-v[0-9]+)?)" % (own, crop)

    def at(self, stage: str) -> str:
        """The id of the item's row, or its ancestor's, in a stage's table; else empty."""
        level = {"probe": self.video, "extract": self.frame, "detect": self.detection}
        level |= {"crop": self.crop, "mask": self.crop}
        return level.get(stage, self.variant)


def parse(text: str) -> Item | None:
    """The item that an id names; None if it is not the id of a frame, a detection, a crop or an
    image.

    A crop has the number of its detection.
    """
    found = _ITEM.fullmatch(text)
    if not found:
        return None
    frame, video, kind, ordinal, variant = found.groups()
    if variant and kind != "p":
        return None
    detection = f"{frame}-d{ordinal}" if kind else ""
    crop = f"{frame}-p{ordinal}" if kind == "p" else ""
    return Item(video, frame, detection, crop, crop + variant if variant else "")


def frame_of(text: str) -> str:
    """The id of the frame that an item comes from; empty for a clip, or what is no item."""
    item = parse(text)
    return item.frame if item else ""


def clip_of(text: str) -> str:
    """The id of the clip that an item comes from; a clip's own id is given back."""
    item = parse(text)
    return item.video if item else text
