"""Small pictures of refused and of kept items, embedded in a QC page."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from ferrari.common.visible_text import shown
from ferrari.images import image_files, user_pictures
from ferrari.images.boxes import Box
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reason_words import sentence

SIDE = 192
_CHECKER = 12


@dataclass(frozen=True)
class Thumb:
    """A picture as a data URI ('' where there is none), with what the page says below it."""

    item: str
    reason: str = ""
    _: KW_ONLY
    meaning: str = ""  # of the reason, one sentence
    detail: str = ""
    uri: str = ""


def spread(rows: pd.DataFrame, limit: int) -> pd.DataFrame:
    """At most `limit` rows: each reason gets its fair part, evenly along its rows."""
    if len(rows) <= limit:
        return rows
    groups = sorted((group.index for _, group in rows.groupby("reason")), key=len)
    chosen: list = []
    for place, labels in enumerate(groups):  # the rare ones first, the others share what is left
        quota = min(len(labels), (limit - len(chosen)) // (len(groups) - place))
        picks = np.linspace(0, len(labels) - 1, quota).round().astype(int)
        chosen += [labels[pick] for pick in picks]
    return rows.loc[sorted(chosen)]


def of_rows(
    dataset: str | os.PathLike,
    rows: pd.DataFrame,
    limit: int,
    fallback: Mapping[str, str] | None = None,
) -> list[Thumb]:
    """Thumbs of some `rows` (item, parent, reason, value, threshold, path; `detail` if there).

    A row without a file of its own shows its parent's: `fallback` maps a parent to its path.
    """
    thumbs = []
    for row in spread(rows, limit).to_dict("records"):
        own = row["path"] or (fallback or {}).get(row["parent"], "")
        reason = "" if row["outcome"] == KEPT else row["reason"]
        thumbs.append(
            Thumb(
                item=shown(row["item"]),
                reason=shown(reason),
                meaning=sentence(reason),
                detail=_detail(row),
                uri=data_uri(Path(dataset) / own) if own else "",
            )
        )
    return thumbs


def _detail(row: dict) -> str:
    said = []
    if np.isfinite(row["value"]) and row["outcome"] != KEPT:
        bound = f" (bound {row['threshold']:.4g})" if np.isfinite(row["threshold"]) else ""
        said.append(f"{row['value']:.4g}{bound}")
    if row.get("detail"):
        said.append(shown(row["detail"], 120))
    return ", ".join(said)


def data_uri(path: str | os.PathLike, box_xyxy: Box | None = None) -> str:
    """A WebP of at most SIDE px of an image file; '' if it cannot be read.

    With `box_xyxy` (px) it shows that part alone.
    """
    try:
        pixels = image_files.read(path)
    except (OSError, image_files.ImageReadError):
        return ""
    return _encoded(Image.fromarray(pixels).crop(box_xyxy))


def of_users(path: str | os.PathLike) -> str:
    """The same of a picture of the user's own, of any kind and size."""
    try:
        return _encoded(Image.fromarray(user_pictures.read(path, SIDE)))
    except (OSError, image_files.ImageReadError):
        return ""


def _encoded(picture: Image.Image) -> str:
    picture.thumbnail((SIDE, SIDE))
    return as_uri(_on_checkers(picture).convert("RGB"))


def on_checkers(picture: Image.Image, high: int) -> Image.Image:
    """A picture `high` px high, RGB; what is transparent in it shows checkers."""
    size = (max(1, round(picture.width * high / picture.height)), high)
    return _on_checkers(picture.resize(size, Image.Resampling.LANCZOS)).convert("RGB")


def _on_checkers(picture: Image.Image) -> Image.Image:
    if picture.mode != "RGBA":
        return picture
    board = _checkerboard(picture.size)
    board.paste(picture, mask=picture.getchannel("A"))
    return board


def as_uri(picture: Image.Image) -> str:
    """A picture as a WebP data URI, in its own size."""
    stream = io.BytesIO()
    picture.save(stream, "WEBP", quality=72, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def _checkerboard(size: tuple[int, int]) -> Image.Image:
    board = Image.new("RGB", size, (236, 238, 241))
    draw = ImageDraw.Draw(board)
    for top in range(0, size[1], _CHECKER):
        for left in range(0, size[0], _CHECKER):
            if (top + left) // _CHECKER % 2:
                corner = (left + _CHECKER - 1, top + _CHECKER - 1)
                draw.rectangle(((left, top), corner), fill=(205, 209, 215))
    return board
