"""Paints wide scenes for the camera to drift over: rooms, gardens, galleries, streets, bokeh.

A scene is uint8 RGB, `SPAN` times as wide and `RISE` times as high as the frame.
"""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from tests.generator.distractors import scatter
from tests.generator.shapes import ellipse, polygon, tone

SPAN, RISE = 2.6, 1.2


def paint_scene(kind: str, seed: int, width: int, height: int) -> np.ndarray:
    """The scene of a kind (see `spec.SCENES`) for frames of width x height; the seed decides it."""
    rng = np.random.default_rng([seed, 23])
    w, h = int(width * SPAN), int(height * RISE)
    canvas = PAINTERS[kind](rng, w, h)
    canvas = _texture(rng, canvas, float(rng.uniform(2, 8)))
    blur = float(rng.uniform(0.0, 2.2)) * height / 480
    return cv2.GaussianBlur(canvas, (0, 0), blur) if blur > 0.5 else canvas


def colour(rng, saturation=(0.0, 0.6), value=(0.2, 0.9)) -> tuple[float, ...]:
    """A random RGB colour (0..255) within bounds of saturation and value."""
    hsv = (float(rng.uniform()), float(rng.uniform(*saturation)), float(rng.uniform(*value)))
    return tuple(255.0 * c for c in colorsys.hsv_to_rgb(*hsv))


def smooth_noise(rng, w: int, h: int, cells: int, channels: int = 1) -> np.ndarray:
    """A float32 HxWxC field in 0..1 with `cells` bumps down its height."""
    shape = (max(2, cells), max(2, int(cells * w / h)), channels)
    field = rng.random(shape, dtype=np.float32)
    return cv2.resize(field, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, channels)


def _fill(h: int, w: int, top, bottom) -> np.ndarray:
    rows = np.linspace(0, 1, h, dtype=np.float32)[:, None]
    column = np.asarray(top, np.float32) * (1 - rows) + np.asarray(bottom, np.float32) * rows
    return np.repeat(column[:, None].clip(0, 255).astype(np.uint8), w, axis=1).copy()


def _texture(rng, canvas: np.ndarray, strength: float) -> np.ndarray:
    h, w = canvas.shape[:2]
    field = (
        smooth_noise(rng, w, h, 5) * 2.2 + smooth_noise(rng, w, h, 18) + smooth_noise(rng, w, h, 70)
    )
    grain = ((field - field.mean()) * strength * 2.2).astype(np.int16)
    return np.clip(canvas.astype(np.int16) + grain, 0, 255).astype(np.uint8)


def _rect(canvas, x0, y0, x1, y1, rgb) -> None:
    cv2.rectangle(canvas, (int(x0), int(y0)), (int(x1), int(y1)), rgb, -1)


def _room(rng, w: int, h: int) -> np.ndarray:
    wall, floor = colour(rng, (0, 0.5), (0.35, 0.92)), colour(rng, (0.1, 0.6), (0.2, 0.7))
    line = int(h * rng.uniform(0.66, 0.82))
    canvas = _fill(h, w, wall, tone(wall, 0.8))
    canvas[line:] = _fill(h - line, w, tone(floor, 0.8), floor)
    if rng.uniform() < 0.6:
        step = int(h * rng.uniform(0.06, 0.25))
        for x in range(0, w, step * 2):
            _rect(canvas, x, 0, x + step * rng.uniform(0.3, 1), line, tone(wall, 0.88))
    for x in range(-w, 2 * w, max(12, int(h * 0.16))):
        cv2.line(canvas, (int(w / 2 + (x - w / 2) * 0.55), line), (x, h), tone(floor, 0.72), 2)
    _rect(canvas, 0, line - 0.02 * h, w, line, tone(wall, 1.15))
    for k in range(int(rng.integers(2, 6))):
        x = (k + rng.uniform(0.1, 0.9)) * w / 5
        _window(rng, canvas, x, h) if rng.uniform() < 0.4 else _picture(rng, canvas, x, h)
    for _ in range(int(rng.integers(3, 8))):
        _furniture(rng, canvas, line, h, w)
    scatter(rng, canvas, line, int(rng.integers(3, 9)))
    return canvas


def _furniture(rng, canvas, line: int, h: int, w: int) -> None:
    rgb, x = colour(rng, (0.05, 0.7), (0.15, 0.85)), float(rng.uniform(0, w))
    wide, high = h * rng.uniform(0.15, 0.5), h * rng.uniform(0.12, 0.6)
    foot = line + h * rng.uniform(0.01, 0.12)
    _rect(canvas, x, foot - high, x + wide, foot, rgb)
    side = [
        (x + wide, foot - high),
        (x + wide * 1.18, foot - high * 0.93),
        (x + wide * 1.18, foot - 0.05 * high),
        (x + wide, foot),
    ]
    polygon(canvas, np.asarray(side), tone(rgb, 0.65))
    shelves = int(rng.integers(1, 5))
    for k in range(1, shelves + 1):
        y = foot - high * k / (shelves + 1)
        _rect(canvas, x + 3, y - 2, x + wide - 3, y + 2, tone(rgb, 0.6))
    if rng.uniform() < 0.5:
        for bx in np.arange(x + 4, x + wide - 8, h * 0.022):
            top = foot - high * (0.97 - 0.12 * rng.uniform())
            _rect(
                canvas,
                bx,
                top,
                bx + h * 0.018,
                foot - high * shelves / (shelves + 1) - 3,
                colour(rng, (0.2, 0.9)),
            )


def _window(rng, canvas, x: float, h: int) -> None:
    wide, y0, y1 = h * rng.uniform(0.2, 0.45), h * 0.08, h * rng.uniform(0.4, 0.6)
    sky = colour(rng, (0.1, 0.5), (0.75, 1.0))
    _rect(canvas, x - 6, y0 - 6, x + wide + 6, y1 + 6, (235, 232, 226))
    _rect(canvas, x, y0, x + wide, y1, sky)
    _rect(canvas, x, (y0 + 2 * y1) / 3, x + wide, y1, colour(rng, (0.3, 0.7), (0.3, 0.7)))
    _rect(canvas, x + wide / 2 - 3, y0, x + wide / 2 + 3, y1, (235, 232, 226))


def _picture(rng, canvas, x: float, h: int) -> None:
    wide, high, y = (
        h * rng.uniform(0.12, 0.4),
        h * rng.uniform(0.12, 0.35),
        h * rng.uniform(0.06, 0.3),
    )
    _rect(canvas, x - 7, y - 7, x + wide + 7, y + high + 7, colour(rng, (0, 0.5), (0.1, 0.9)))
    _rect(canvas, x, y, x + wide, y + high, colour(rng, (0.1, 0.8)))
    for _ in range(int(rng.integers(2, 7))):
        spot = (x + wide * rng.uniform(0.25, 0.75), y + high * rng.uniform(0.25, 0.75))
        polygon(
            canvas,
            ellipse(spot, wide * rng.uniform(0.03, 0.22), high * rng.uniform(0.03, 0.22)),
            colour(rng, (0.2, 0.9)),
        )


def _gallery(rng, w: int, h: int) -> np.ndarray:
    wall = colour(rng, (0, 0.7), (0.3, 0.95))
    canvas = _fill(h, w, tone(wall, 1.05), tone(wall, 0.75))
    line = int(h * rng.uniform(0.8, 0.92))
    canvas[line:] = colour(rng, (0.1, 0.5), (0.15, 0.5))
    for k in range(14):
        _picture(rng, canvas, (k + rng.uniform(0, 0.7)) * w / 14, h * rng.uniform(0.8, 1.6))
    scatter(rng, canvas, line, int(rng.integers(2, 8)))
    return canvas


def _outdoor(rng, w: int, h: int) -> np.ndarray:
    canvas = _fill(h, w, colour(rng, (0.2, 0.7), (0.5, 0.95)), colour(rng, (0.0, 0.3), (0.7, 1.0)))
    line = int(h * rng.uniform(0.55, 0.75))
    x = np.arange(0, w + 8, 8)
    for k in range(3):
        base = line - h * 0.16 * (2 - k) + 0.04 * h
        ridge = base - h * 0.1 * (
            smooth_noise(rng, x.size, 4, 4 + 2 * k)[0, :, 0] + rng.uniform(0, 0.4)
        )
        hill = np.concatenate([np.stack([x, ridge], 1), [(w + 8, h), (0, h)]])
        polygon(canvas, hill, colour(rng, (0.15, 0.6), (0.25, 0.75)))
    ground = colour(rng, (0.2, 0.7), (0.25, 0.65))
    canvas[line + int(0.04 * h) :] = _fill(h - line - int(0.04 * h), w, tone(ground, 0.85), ground)
    for _ in range(int(rng.integers(5, 14))):
        _tree(
            rng,
            canvas,
            float(rng.uniform(0, w)),
            line + h * rng.uniform(0.02, 0.14),
            h * rng.uniform(0.2, 0.6),
        )
    scatter(rng, canvas, line + int(0.08 * h), int(rng.integers(1, 7)))
    return canvas


def _tree(rng, canvas, x: float, foot: float, high: float) -> None:
    bark, leaf = colour(rng, (0.3, 0.7), (0.15, 0.4)), colour(rng, (0.3, 0.8), (0.2, 0.65))
    _rect(canvas, x - 0.04 * high, foot - high * 0.6, x + 0.04 * high, foot, bark)
    if rng.uniform() < 0.4:
        for k in range(3):
            y, r = foot - high * (0.3 + 0.22 * k), high * (0.26 - 0.06 * k)
            polygon(
                canvas,
                np.asarray([(x - r, y), (x + r, y), (x, y - high * 0.32)]),
                tone(leaf, 0.85 + 0.12 * k),
            )
        return
    for _ in range(9):
        spot = (x + high * rng.normal(0, 0.15), foot - high * rng.uniform(0.5, 0.95))
        polygon(
            canvas,
            ellipse(spot, high * rng.uniform(0.08, 0.2), high * rng.uniform(0.08, 0.16)),
            tone(leaf, rng.uniform(0.7, 1.25)),
        )


def _street(rng, w: int, h: int) -> np.ndarray:
    canvas = _fill(h, w, colour(rng, (0.1, 0.5), (0.5, 0.95)), colour(rng, (0, 0.3), (0.6, 1.0)))
    line, x = int(h * rng.uniform(0.68, 0.8)), 0.0
    while x < w:
        wide, top = h * rng.uniform(0.25, 0.6), h * rng.uniform(0.02, 0.4)
        wall, glass = colour(rng, (0.05, 0.5), (0.25, 0.85)), colour(rng, (0.1, 0.5), (0.1, 1.0))
        _rect(canvas, x, top, x + wide, line, wall)
        cell = h * rng.uniform(0.06, 0.12)
        for wy in np.arange(top + cell * 0.4, line - cell, cell):
            for wx in np.arange(x + cell * 0.3, x + wide - cell * 0.5, cell):
                _rect(
                    canvas,
                    wx,
                    wy,
                    wx + cell * 0.5,
                    wy + cell * 0.6,
                    tone(glass, rng.uniform(0.6, 1.2)),
                )
        x += wide + (h * 0.05 if rng.uniform() < 0.2 else 0)
    road = colour(rng, (0, 0.15), (0.2, 0.5))
    canvas[line:] = _fill(h - line, w, tone(road, 1.3), road)
    for x in np.arange(0, w, h * 0.3):
        _rect(canvas, x, line + 0.16 * h, x + 0.15 * h, line + 0.18 * h, (225, 222, 205))
    scatter(rng, canvas, line + int(0.06 * h), int(rng.integers(2, 8)))
    return canvas


def _noise(rng, w: int, h: int) -> np.ndarray:
    field = smooth_noise(rng, w, h, int(rng.integers(3, 7)), 3) + 0.5 * smooth_noise(
        rng, w, h, 14, 3
    )
    a, b = (
        np.asarray(colour(rng, (0, 0.8), (0.1, 0.6))),
        np.asarray(colour(rng, (0, 0.8), (0.5, 1.0))),
    )
    canvas = np.clip(a + (b - a) * field / 1.3, 0, 255).astype(np.uint8)
    scatter(rng, canvas, int(h * 0.8), int(rng.integers(0, 5)))
    return canvas


def _bokeh(rng, w: int, h: int) -> np.ndarray:
    canvas = _fill(h, w, colour(rng, (0.2, 0.8), (0.05, 0.5)), colour(rng, (0.2, 0.8), (0.1, 0.6)))
    for _ in range(int(rng.integers(60, 140))):
        layer_rgb = np.asarray(colour(rng, (0.2, 0.9), (0.5, 1.0)))
        r = int(h * rng.uniform(0.02, 0.12))
        x, y = int(rng.uniform(0, w)), int(rng.uniform(0, h))
        patch = canvas[max(0, y - r) : y + r, max(0, x - r) : x + r]
        disc = np.zeros(patch.shape[:2], np.uint8)
        cv2.circle(disc, (min(r, x), min(r, y)), r - 1, 255, -1, cv2.LINE_AA)
        share = (disc[..., None] / 255.0) * rng.uniform(0.25, 0.7)
        patch[:] = (patch * (1 - share) + layer_rgb * share).astype(np.uint8)
    scatter(rng, canvas, int(h * 0.85), int(rng.integers(0, 4)))
    return canvas


PAINTERS = {
    "room": _room,
    "outdoor": _outdoor,
    "gallery": _gallery,
    "street": _street,
    "noise": _noise,
    "bokeh": _bokeh,
}
