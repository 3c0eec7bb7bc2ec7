"""From frame to image, side by side, for a few subjects that were kept: QC7 shows what they became.

Which ones is drawn by a hash of their ids: the fair share of good and bad ones, and the same again
unless the set changes. Somebody who never looks at the review page sees the dataset here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

from ferrari.common import seeds
from ferrari.common.visible_text import shown
from ferrari.images import image_files
from ferrari.images.boxes import Box
from ferrari.ledger import item_ids, stages, tables
from ferrari.matting.crop_rows import box_of
from ferrari.reports import thumbnails
from ferrari.reports.page import Gallery
from ferrari.reports.thumbnails import Thumb

#: Subjects shown, and variants of each at most.
SUBJECTS, VARIANTS = 8, 3
#: Height of a strip and room between its pictures, in pixels.
_HIGH, _ROOM = 160, 6
_BOX = (46, 204, 113)
_TITLE = "From frame to image"
_NOTE = (
    "The frame with the box, the cut-out, and the images that were made of it. Drawn by a hash "
    "of their ids, good ones and bad ones alike."
)


def gallery(dataset: Path, kept: pd.DataFrame) -> list[Gallery]:
    """The strips of some subjects of the `kept` rows of the final table; nothing for no rows."""
    images: dict[str, list[dict]] = {}
    for row in kept.to_dict("records"):
        item = item_ids.parse(row["item"])
        if item is not None:
            images.setdefault(item.crop, []).append(row)
    chosen = seeds.ranked(images, 0, "", _TITLE)[:SUBJECTS]
    thumbs = [_strip(dataset, crop, images[crop]) for crop in chosen]
    return [Gallery(_TITLE, _NOTE, thumbs, wide=True)] if thumbs else []


def _strip(dataset: Path, crop: str, images: Sequence[dict]) -> Thumb:
    item = item_ids.parse(crop)
    assert item is not None
    box = _row(dataset, "crop", item.video, crop)
    pictures = [
        _picture(
            dataset, _row(dataset, "extract", item.video, item.frame), box_of(box) if box else None
        ),
        _picture(dataset, _row(dataset, "mask", item.video, crop)),
        *(_picture(dataset, row) for row in images[:VARIANTS]),
    ]
    there = [picture for picture in pictures if picture is not None]
    more = len(images) - VARIANTS
    said = f"and {more} more" if more > 0 else ""
    return Thumb(shown(crop), detail=said, uri=_joined(there) if there else "")


def _row(dataset: Path, stage: str, video: str, item: str) -> dict[str, str] | None:
    rows = tables.iter_if_there(dataset / stages.table(stage, video))
    return next((row for row in rows if row["item"] == item), None)


def _picture(dataset: Path, row: dict | None, box_xyxy: Box | None = None) -> Image.Image | None:
    """What a row's file shows, _HIGH px high, with a box (px of the file) drawn in; None if it
    cannot be read: the checks tell that.
    """
    if row is None or not row["path"]:
        return None
    try:
        pixels = image_files.read(dataset / row["path"])
    except (OSError, image_files.ImageReadError):
        return None
    picture = thumbnails.on_checkers(Image.fromarray(pixels), _HIGH)
    if box_xyxy is not None:
        scale = picture.height / pixels.shape[0]
        corners = [edge * scale for edge in box_xyxy]
        ImageDraw.Draw(picture).rectangle(corners, outline=_BOX, width=2)
    return picture


def _joined(pictures: Sequence[Image.Image]) -> str:
    """The pictures beside each other, with nothing between them."""
    wide = sum(picture.width for picture in pictures) + _ROOM * (len(pictures) - 1)
    strip, left = Image.new("RGBA", (wide, _HIGH), (0, 0, 0, 0)), 0
    for picture in pictures:
        strip.paste(picture, (left, 0))
        left += picture.width + _ROOM
    return thumbnails.as_uri(strip)
