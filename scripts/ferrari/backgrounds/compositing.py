"""Where a cut-out goes on its canvas, and how it is laid over a background.

The subject is never resampled: the canvas grows around it. Alpha is straight, and colours are
mixed as they are (sRGB code values, not linear light), because that is how mattes are estimated
and how trainers and image editors composite; anything else would bring a rim back at the edge.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

SIDES = ("top", "bottom", "left", "right")
_SOLID = 128  # alpha from which a pixel counts as subject
_BAND = 0.02  # share of the crop's side that is searched along an edge of the frame
_SHARE = 0.02  # share of a crop's edge that the subject must cover to count as cut off there


@dataclass(frozen=True)
class Placement:
    """Canvas size in px and the cut-out's upper left corner on it."""

    width: int
    height: int
    offset_x: int
    offset_y: int


def cut_sides(alpha_u8: np.ndarray, frame_sides: Collection[str] = ()) -> frozenset[str]:
    """Sides of the crop (of SIDES) at which the subject is cut off rather than ends.

    `alpha_u8` HxW uint8. A side is cut where subject lies on the crop's own edge; where that edge
    is one of the frame's (`frame_sides`), a band of 2 % is searched, since nets fade there.
    """
    solid = alpha_u8 >= _SOLID
    height, width = solid.shape
    found = set()
    for side in SIDES:
        across = height if side in ("top", "bottom") else width
        depth = max(1, round(_BAND * across)) if side in frame_sides else 1
        band = {
            "top": solid[:depth].any(axis=0),
            "bottom": solid[-depth:].any(axis=0),
            "left": solid[:, :depth].any(axis=1),
            "right": solid[:, -depth:].any(axis=1),
        }[side]
        if band.mean() >= _SHARE:
            found.add(side)
    return frozenset(found)


def place(
    crop_wh: tuple[int, int],
    *,
    scale: float,
    shift: tuple[float, float],
    cut: Collection[str] = (),
) -> Placement:
    """Canvas of crop size / `scale` (0 < scale <= 1) and the crop's place on it.

    `shift` is (x, y), each -1 (left, top) .. 0 (centred) .. 1 within the free space. A crop lies
    flush with the sides in `cut`, so that no severed body floats on the canvas; where both
    opposite sides are cut, the canvas does not grow in that direction.
    """
    if not 0 < scale <= 1:
        raise ValueError(f"augment.scale must lie in (0, 1], got {scale}")
    width, offset_x = _axis(crop_wh[0], scale, shift[0], "left" in cut, "right" in cut)
    height, offset_y = _axis(crop_wh[1], scale, shift[1], "top" in cut, "bottom" in cut)
    return Placement(width, height, offset_x, offset_y)


def _axis(
    length: int, scale: float, shift: float, low_cut: bool, high_cut: bool
) -> tuple[int, int]:
    if low_cut and high_cut:
        return length, 0
    canvas = max(length, round(length / scale))
    free = canvas - length
    if low_cut or high_cut:
        return canvas, 0 if low_cut else free
    return canvas, min(free, max(0, round(free / 2 * (1 + shift))))


def composite(
    cutout_rgba: np.ndarray, background_rgb: np.ndarray, place: Placement
) -> tuple[np.ndarray, np.ndarray]:
    """The cut-out (hxwx4 uint8, straight alpha) over a HxWx3 background of the canvas's size.

    Returns the picture (HxWx3 uint8) and its mask (HxW uint8: alpha on the canvas). Each channel
    is round((alpha * subject + (255 - alpha) * background) / 255): exactly the subject where
    alpha is 255, exactly the background where it is 0 or outside the crop.
    """
    if background_rgb.shape[:2] != (place.height, place.width):
        raise ValueError(f"background {background_rgb.shape} does not fit {place}")
    height, width = cutout_rgba.shape[:2]
    rows = slice(place.offset_y, place.offset_y + height)
    columns = slice(place.offset_x, place.offset_x + width)
    picture = background_rgb.copy()
    mask = np.zeros(picture.shape[:2], dtype=np.uint8)
    mask[rows, columns] = cutout_rgba[..., 3]
    subject, alpha, region = cutout_rgba[..., :3], cutout_rgba[..., 3], picture[rows, columns]
    np.copyto(region, subject, where=(alpha == 255)[..., None])
    edge = (alpha > 0) & (alpha < 255)  # a few per cent of the pixels
    weight = alpha[edge, None].astype(np.uint16)
    total = weight * subject[edge] + (255 - weight) * region[edge] + 128
    region[edge] = (total + (total >> 8)) >> 8  # which is round(x / 255) for x <= 255 * 255
    return picture, mask
