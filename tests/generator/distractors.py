"""Things that are not people, some of them upright and limb-like, to stand about in the scenes."""

from __future__ import annotations

import colorsys

import numpy as np

from tests.generator.shapes import capsule, ellipse, limb, polygon, smooth, tone


def scatter(rng, canvas: np.ndarray, line: int, count: int) -> None:
    """Draw `count` things on a uint8 HxWx3 scene, standing about row `line`."""
    h, w = canvas.shape[:2]
    for _ in range(count):
        draw = THINGS[int(rng.integers(len(THINGS)))]
        foot = float(min(h - 2, line + h * rng.uniform(0.0, 0.14)))
        draw(rng, canvas, float(rng.uniform(0, w)), foot, float(h))


def _rgb(rng) -> tuple[float, ...]:
    hsv = (float(rng.uniform()), float(rng.uniform(0.1, 0.95)), float(rng.uniform(0.2, 1.0)))
    return tuple(255.0 * c for c in colorsys.hsv_to_rgb(*hsv))


def _ball(rng, canvas, x, foot, h) -> None:
    r, rgb = h * rng.uniform(0.025, 0.1), _rgb(rng)
    limb(canvas, (x, foot - r), r, (x + 0.5, foot - r), r, rgb)
    polygon(canvas, ellipse((x, foot - r), r * 0.99, r * 0.2, 0.4), tone(rgb, 0.6))


def _lamp(rng, canvas, x, foot, h) -> None:
    high, rgb, shade = h * rng.uniform(0.35, 0.75), _rgb(rng), _rgb(rng)
    limb(canvas, (x, foot - high), 0.008 * h, (x, foot), 0.008 * h, tone(rgb, 0.5))
    polygon(canvas, ellipse((x, foot), 0.06 * h, 0.014 * h), tone(rgb, 0.5))
    wide, top = h * rng.uniform(0.05, 0.1), foot - high
    polygon(
        canvas,
        np.asarray(
            [
                (x - wide * 0.6, top - 0.06 * h),
                (x + wide * 0.6, top - 0.06 * h),
                (x + wide, top + 0.06 * h),
                (x - wide, top + 0.06 * h),
            ]
        ),
        tone(shade, 1.3),
    )


def _plant(rng, canvas, x, foot, h) -> None:
    rgb, leaf, high = (
        _rgb(rng),
        (rng.uniform(20, 90), rng.uniform(80, 170), rng.uniform(20, 90)),
        h * rng.uniform(0.15, 0.5),
    )
    for _ in range(int(rng.integers(7, 16))):
        tip = np.array([x + high * rng.normal(0, 0.4), foot - high * rng.uniform(0.5, 1.1)])
        base = np.array([x, foot - 0.08 * h])
        side = np.array([-(tip - base)[1], (tip - base)[0]]) * 0.13
        polygon(
            canvas,
            smooth([base, (base + tip) / 2 + side, tip, (base + tip) / 2 - side], 4),
            tone(leaf, rng.uniform(0.7, 1.3)),
        )
    polygon(
        canvas,
        np.asarray(
            [
                (x - 0.05 * h, foot - 0.1 * h),
                (x + 0.05 * h, foot - 0.1 * h),
                (x + 0.035 * h, foot),
                (x - 0.035 * h, foot),
            ]
        ),
        rgb,
    )


def _coat_rack(rng, canvas, x, foot, h) -> None:
    high, wood, coat = h * rng.uniform(0.55, 0.8), tone(_rgb(rng), 0.5), _rgb(rng)
    limb(canvas, (x, foot - high), 0.01 * h, (x, foot), 0.01 * h, wood)
    for side in (-1, 1):
        limb(canvas, (x, foot - 0.05 * h), 0.008 * h, (x + side * 0.08 * h, foot), 0.008 * h, wood)
        limb(
            canvas,
            (x, foot - high * 0.9),
            0.006 * h,
            (x + side * 0.07 * h, foot - high * 0.97),
            0.006 * h,
            wood,
        )
    if rng.uniform() < 0.7:
        top, end = foot - high * 0.93, foot - high * rng.uniform(0.3, 0.5)
        outline = [
            (x - 0.02 * h, top),
            (x + 0.02 * h, top),
            (x + 0.08 * h, top + 0.08 * h),
            (x + 0.09 * h, end),
            (x - 0.07 * h, end),
            (x - 0.07 * h, top + 0.08 * h),
        ]
        polygon(canvas, smooth(outline, 4), coat)
        polygon(
            canvas, capsule((x, top + 0.05 * h), 0.004 * h, (x, end), 0.004 * h), tone(coat, 0.6)
        )


def _box(rng, canvas, x, foot, h) -> None:
    rgb, wide, high = _rgb(rng), h * rng.uniform(0.06, 0.22), h * rng.uniform(0.05, 0.3)
    turn = wide * rng.uniform(0.2, 0.5)
    front = np.asarray([(x, foot), (x + wide, foot), (x + wide, foot - high), (x, foot - high)])
    polygon(canvas, front, rgb)
    polygon(
        canvas,
        np.asarray(
            [
                (x + wide, foot),
                (x + wide + turn, foot - turn * 0.4),
                (x + wide + turn, foot - high - turn * 0.4),
                (x + wide, foot - high),
            ]
        ),
        tone(rgb, 0.65),
    )
    polygon(
        canvas,
        np.asarray(
            [
                (x, foot - high),
                (x + wide, foot - high),
                (x + wide + turn, foot - high - turn * 0.4),
                (x + turn, foot - high - turn * 0.4),
            ]
        ),
        tone(rgb, 1.2),
    )


def _post(rng, canvas, x, foot, h) -> None:
    rgb, high = _rgb(rng), h * rng.uniform(0.3, 0.9)
    limb(
        canvas,
        (x, foot - high),
        h * rng.uniform(0.012, 0.04),
        (x, foot),
        h * rng.uniform(0.015, 0.04),
        rgb,
    )
    if rng.uniform() < 0.5:
        polygon(canvas, ellipse((x, foot - high), 0.05 * h, 0.05 * h), _rgb(rng))


def _chair(rng, canvas, x, foot, h) -> None:
    rgb, s = _rgb(rng), h * rng.uniform(0.12, 0.22)
    for dx in (0, 0.75, 0.2, 0.95):
        limb(canvas, (x + dx * s, foot - s), 0.05 * s, (x + dx * s, foot), 0.05 * s, tone(rgb, 0.7))
    limb(canvas, (x, foot - s), 0.08 * s, (x + s, foot - s), 0.08 * s, rgb)
    for dx in (0.0, 0.3, 0.6):
        limb(
            canvas,
            (x + dx * s * 0.3, foot - 2.2 * s),
            0.05 * s,
            (x + dx * s * 0.3, foot - s),
            0.05 * s,
            rgb,
        )


THINGS = (_ball, _lamp, _plant, _coat_rack, _box, _post, _chair)
