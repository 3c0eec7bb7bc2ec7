"""Procedural backgrounds: gradients, marbling, out-of-focus lights, empty rooms.

Pure functions from palette colours and a generator to HxWx3 uint8 RGB. The first colour that a
function is given is the one that most of its picture shows, so that a caption can name it.
"""

from __future__ import annotations

import cv2
import numpy as np

from ferrari.backgrounds.plain_and_noise import (
    Rgb,
    contrast_room,
    enlarge,
    mix,
    octaves,
    shade,
    small_size,
)

_LIGHT_COLOURS = np.array(
    [
        (255, 214, 150),
        (255, 170, 90),
        (255, 240, 220),
        (150, 200, 255),
        (255, 120, 130),
        (170, 255, 190),
    ],
    np.float32,
)


def _grid(size_hw: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows (Hx1) and columns (1xW) of pixel centres in 0..1, float32."""
    rows = (np.arange(size_hw[0], dtype=np.float32) + 0.5) / size_hw[0]
    columns = (np.arange(size_hw[1], dtype=np.float32) + 0.5) / size_hw[1]
    return rows[:, None], columns[None, :]


def _ease(x: np.ndarray) -> np.ndarray:
    """Smoothstep: 0..1 onto itself without a visible start or end."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def gradient(
    rng: np.random.Generator, size_hw: tuple[int, int], colour: Rgb, other: Rgb | None = None
) -> np.ndarray:
    """Linear or radial gradient from `colour` to `other` (default: its own darker shade)."""
    small = small_size(size_hw)
    rows, columns = _grid(small)
    if rng.random() < 0.5:
        angle = 2 * np.pi * rng.random()
        slope = np.float32(np.cos(angle)) * (rows - 0.5) + np.float32(np.sin(angle)) * (
            columns - 0.5
        )
        reach = 0.5 * (abs(np.cos(angle)) + abs(np.sin(angle)))
        field = (slope / np.float32(reach) + 1) / 2
    else:
        row, column = 0.2 + 0.6 * rng.random(2)
        tall = small[0] / small[1]
        distance = np.hypot(
            (rows - np.float32(row)) * np.float32(tall), columns - np.float32(column)
        )
        field = distance / distance.max()
    if other is None:
        bears = contrast_room(colour)
        lit = shade(colour, 0.06 + 0.12 * rng.random())
        deep = shade(colour, -(0.16 + 0.18 * rng.random()) * bears)
        return enlarge(mix(_ease(field), lit, deep), size_hw)
    return enlarge(mix(_ease(field), colour, other), size_hw)


def marble(
    rng: np.random.Generator, size_hw: tuple[int, int], colour: Rgb, other: Rgb
) -> np.ndarray:
    """Fractal noise warped by itself: veins and swirls of `other` in `colour`."""
    small = small_size(size_hw)
    rows, columns = np.indices(small, dtype=np.float32)
    reach = np.float32(max(small) * (0.15 + 0.25 * rng.random()))
    first = 1.5 + 2 * rng.random()
    drift = [octaves(rng, small, first=first, count=3) - np.float32(0.5) for _ in range(2)]
    field = octaves(rng, small, first=2 * first, count=5)
    warped = cv2.remap(
        field,
        columns + reach * drift[0],
        rows + reach * drift[1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    middle = np.float32(np.quantile(warped[::4, ::4], 0.66))
    return enlarge(mix(_ease((warped - middle) / np.float32(0.36) + 0.5), colour, other), size_hw)


def bokeh(rng: np.random.Generator, size_hw: tuple[int, int], colour: Rgb) -> np.ndarray:
    """Out-of-focus lights: soft discs of two or three warm or cold tints on a dark `colour`."""
    small = small_size(size_hw, 500)
    longest = max(small)
    picture = mix(octaves(rng, small, first=2, count=2), shade(colour, -0.25), shade(colour, 0.05))
    tints = _LIGHT_COLOURS[rng.permutation(len(_LIGHT_COLOURS))[: int(rng.integers(2, 4))]]
    radius = longest * (0.02 + 0.04 * rng.random())
    band, spread = 0.25 + 0.5 * rng.random(), 0.15 + 0.35 * rng.random()
    for _ in range(int(rng.integers(18, 46))):
        place = np.array([band + spread * (rng.random() + rng.random() - 1), rng.random()])
        _add_disc(
            picture,
            centre=place * small,
            radius=radius * (0.5 + rng.random()),
            light=tints[int(rng.integers(len(tints)))]
            * np.float32(0.12 + 0.45 * rng.random() ** 2),
        )
    return enlarge(cv2.GaussianBlur(picture, (0, 0), longest / 330), size_hw)


def _add_disc(picture: np.ndarray, centre: np.ndarray, radius: float, light: np.ndarray) -> None:
    """Screen-blend a disc with a slightly brighter rim into float32 HxWx3, in place."""
    top, left = (max(0, int(c - radius - 1)) for c in centre)
    bottom, right = (
        min(side, int(c + radius + 2)) for c, side in zip(centre, picture.shape, strict=False)
    )
    if bottom <= top or right <= left:
        return
    rows = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(centre[0])
    columns = np.arange(left, right, dtype=np.float32)[None, :] - np.float32(centre[1])
    distance = np.sqrt(rows * rows + columns * columns) / np.float32(radius)
    glow = np.clip((1 - distance) * np.float32(radius), 0, 1) * (0.8 + 0.2 * distance**4)
    part = picture[top:bottom, left:right]
    part += glow[..., None] * light * (1 - part / np.float32(255))


def room(rng: np.random.Generator, size_hw: tuple[int, int], wall: Rgb, floor: Rgb) -> np.ndarray:
    """An empty room: one wall, or two meeting in a corner, above a floor seen in perspective.

    Walls fade from the light's side, dim towards floor and corner, and end in a skirting board;
    the floor darkens towards the viewer's side and has boards that run to a vanishing point.
    """
    small = small_size(size_hw, 500)
    rows, columns = _grid(small)
    line = 0.62 + 0.16 * rng.random()
    corner = 0.15 + 0.7 * rng.random()
    two_walls = rng.random() < 0.6
    slope = np.float32(0.05 + 0.2 * rng.random()) if two_walls else np.float32(0)
    edge = np.float32(line) + slope * np.abs(columns - np.float32(corner))  # floor's upper edge
    above = edge - rows

    light = np.float32(rng.random())
    tone = 1.07 - 0.16 * np.abs(columns - light) + 0.05 * (0.5 - rows)
    tone = tone - 0.12 * np.exp(-np.maximum(above, 0) / np.float32(0.05))
    if two_walls:
        darker = columns > np.float32(corner) if light < corner else columns < np.float32(corner)
        depth = np.float32(0.06 + 0.06 * rng.random())
        tone = tone - depth * darker - 0.06 * np.exp(-np.abs(columns - np.float32(corner)) / 0.03)
    walls = np.asarray(wall, np.float32) * tone[..., None]
    board = np.float32(0.018 + 0.02 * rng.random()) * (rng.random() < 0.6)
    skirting = shade(wall, 0.45 if min(wall) < 215 else -0.12)
    walls = np.where(((above >= 0) & (above < board))[..., None], skirting, walls)

    ground = _floor(rng, rows, columns, floor, vanishing=(line - 0.25 - 0.2 * rng.random(), corner))
    picture = np.where((above >= 0)[..., None], walls, ground)
    return enlarge(cv2.GaussianBlur(picture, (0, 0), max(small) / 420), size_hw)


def _floor(
    rng: np.random.Generator,
    rows: np.ndarray,
    columns: np.ndarray,
    colour: Rgb,
    vanishing: tuple[float, float],
) -> np.ndarray:
    """Colour of the floor plane at every pixel, HxWx3 float32 (only the part below counts)."""
    depth = np.maximum(rows - np.float32(vanishing[0]), 0.05)
    across = (columns - np.float32(vanishing[1])) / depth
    tone = 0.82 + 0.3 * np.clip(depth, 0, 0.7)
    if rng.random() < 0.6:  # boards, each of its own tone
        plank = np.floor(across * np.float32(3 + 5 * rng.random()))
        steps = (rng.random(64, dtype=np.float32) - 0.5) * 0.16
        tone = tone + steps[plank.astype(np.int32) % 64]
    else:
        tone = tone + np.zeros_like(across)
    return np.asarray(colour, np.float32) * tone[..., None]
