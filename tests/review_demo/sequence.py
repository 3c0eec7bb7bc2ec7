"""The pictures of a review as one film, and as one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

_WIDTH, _BAR, _EACH_MS = 960, 34, 1600
_SHEET_WIDTH, _COLUMNS = 420, 4
_INK, _PAPER = (255, 255, 255), (30, 32, 38)


def frames(folder: Path, pictures: Sequence[Sequence[str]]) -> list[Image.Image]:
    """The pictures (file below `folder`, what it shows) at one width, each with a line of what it
    shows and its number; of one height, that of the first.
    """
    font = ImageFont.load_default(size=18)
    made: list[Image.Image] = []
    for number, (file, shows) in enumerate(pictures, 1):
        with Image.open(folder / file) as picture:
            height = round(picture.height * _WIDTH / picture.width)
            small = picture.convert("RGB").resize((_WIDTH, height), Image.Resampling.LANCZOS)
        frame = Image.new("RGB", made[0].size if made else (_WIDTH, height + _BAR), _PAPER)
        frame.paste(small, (0, _BAR))
        words = f"{number}/{len(pictures)}  {shows}"
        ImageDraw.Draw(frame).text((10, 6), words[:110], fill=_INK, font=font)
        made.append(frame)
    return made


def write(folder: Path, pictures: Sequence[Sequence[str]]) -> None:
    """Write `review-demo.webp`, which moves, and `review-demo.png`, which shows all at once."""
    made = frames(folder, pictures)
    made[0].save(
        folder / "review-demo.webp",
        **{"save_all": True, "append_images": made[1:], "duration": _EACH_MS, "loop": 0},
        **{"quality": 80, "method": 4},
    )
    height = round(made[0].height * _SHEET_WIDTH / _WIDTH)
    rows = -(-len(made) // _COLUMNS)
    sheet = Image.new("RGB", (_COLUMNS * _SHEET_WIDTH, rows * height), _PAPER)
    for number, frame in enumerate(made):
        small = frame.resize((_SHEET_WIDTH - 6, height - 6), Image.Resampling.LANCZOS)
        sheet.paste(small, (number % _COLUMNS * _SHEET_WIDTH, number // _COLUMNS * height))
    sheet.save(folder / "review-demo.png", optimize=True)
