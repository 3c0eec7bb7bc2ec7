"""Items by their ids: what an id says of itself and of what it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scripts.lib import names

_FRAME = "-(?:f[0-9]{6,}|lost[0-9]{3,})"  # a frame, or a stretch that gave none
_ITEM = re.compile(rf"(({names.VIDEO_ID}){_FRAME})(-p[0-9]+)?(-v[0-9]+)?")
_BELOW = rf"(?:{_FRAME})?(?:-p[0-9]+)?(?:-v[0-9]+)?".encode()


@dataclass(frozen=True)
class Item:
    """An id and those of its ancestors; what is below it is empty."""

    video: str
    frame: str = ""
    crop: str = ""
    variant: str = ""

    @property
    def id(self) -> str:
        """The id itself: that of the last level that is set."""
        return self.variant or self.crop or self.frame or self.video

    @property
    def kind(self) -> str:
        """What it is: clip, frame, crop or image."""
        level = sum(bool(part) for part in (self.frame, self.crop, self.variant))
        return ("clip", "frame", "crop", "image")[level]

    def below(self) -> bytes:
        """Pattern of the item's own id and of the ids of all that came from it, to match in full.

        One clip's id may begin like another's, so what follows must be ordinals and nothing else.
        """
        return re.escape(self.id.encode()) + _BELOW

    def at(self, stage: str) -> str:
        """The id under which a stage's table has it or its ancestor; empty below its own level."""
        level = {"probe": self.video, "extract": self.frame, "crop": self.crop, "mask": self.crop}
        return level.get(stage, self.variant)


def parse(text: str) -> Item | None:
    """The item that an id names, or None if it is no id of a frame, a crop or an image."""
    found = _ITEM.fullmatch(text)
    if not found or (found[4] and not found[3]):
        return None
    frame, video, crop, variant = found.groups()
    crop = frame + crop if crop else ""
    return Item(video, frame, crop, crop + variant if variant else "")


def clip_of(text: str) -> str:
    """The id of the clip that an id comes from: that of a clip is its own."""
    item = parse(text)
    return item.video if item else text
