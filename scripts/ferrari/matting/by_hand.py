"""Cut-outs whose mask a person drew: no network is asked, and the edge is refined as any other's.

The mask (`review.mended`) takes the place of the network's matte, of the person gate and of the
parting from other people: it is a person's word on whose each pixel is. What a brush leaves hard,
refinement makes soft in the band of `mask.edge_px`; beyond the band it changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files
from ferrari.matting import cutouts
from ferrari.matting.cutouts import CutOut
from ferrari.matting.engines import Engine
from ferrari.matting.other_people import Parting
from ferrari.review import mended
from ferrari.review.contract import MASK, Decision

if TYPE_CHECKING:
    from ferrari.processes.model_process import Load

#: Whose matte a cut-out has, as the column `matte_of` says it (see `person_gate`).
HAND = "hand"
#: A crop's HxWx3 uint8 RGB pixels, its HxW uint8 mask, and how many other people are in it.
Crop = tuple[np.ndarray, np.ndarray, int]
#: A crop that sound matting survives.
HARMLESS: Crop = (
    np.full((96, 96, 3), 128, np.uint8),
    np.pad(np.full((48, 48), 255, np.uint8), 24),
    0,
)


@dataclass(frozen=True)
class HandMask:
    """A mask that takes the network's place: HxW uint8, 0..255, and where it comes from.

    `path` is below the dataset, `sha256` that of the file, `decision` the row that says it.
    """

    alpha_u8: np.ndarray
    path: str
    sha256: str
    decision: str


def in_force(rows: Sequence[Decision], crops: Iterable[Mapping[str, str]]) -> dict[str, Decision]:
    """The rows `mask` that hold, by crop: those drawn on the pixels that the crop has now.

    `crops` are rows of kept crops (`item`, `sha256`).
    """
    drawn = {row.target: row for row in rows if row.decision == MASK}
    found = ((drawn.get(line["item"]), line["sha256"]) for line in crops)
    return {row.target: row for row, sha256 in found if row and not row.is_stale(sha256)}


def read(dataset: str | os.PathLike, row: Decision, height: int, width: int) -> HandMask:
    """The mask of a row `mask`; raises MendedMaskError unless it is what the row names, and of the
    crop's size.
    """
    try:
        png = (Path(dataset) / row.value).read_bytes()
    except OSError as error:
        raise mended.MendedMaskError(f"{row.value} cannot be read: {error.strerror}") from error
    sha256 = sha256_bytes(png)
    if mended.name_of(row.target, sha256) != row.value:
        raise mended.MendedMaskError(
            f"{row.value} is another file now than its name says; put it back, or take the "
            f"decision back (make decide UNDO={row.id})"
        )
    mended.check(png, height, width)
    return HandMask(image_files.decode(png, row.value), row.value, sha256, row.id)


def loader(settings: Mapping) -> Load:
    """What a child process loads to serve `cut_out`: matting alone."""
    return partial(_serve, dict(settings))


def _serve(settings: Mapping) -> tuple[dict[str, str], Callable[[Sequence[Crop]], list[CutOut]]]:
    engine = cutouts.load_matting(settings)
    return {}, lambda crops: [cut_out(crop, settings, engine) for crop in crops]


def cut_out(crop: Crop, settings: Mapping, engine: Engine | None = None) -> CutOut:
    """The cut-out of a crop by the mask that a person drew; `settings` are those of `mask`, and
    `engine` does the sums, ours if None. One mask now and then is no work for a card.
    """
    image_rgb, alpha_u8, others = crop
    parting = Parting(others)
    matte = alpha_u8.astype(np.float32) / 255
    return cutouts.finished(CutOut(parting=parting), image_rgb, matte, parting, settings, engine)
