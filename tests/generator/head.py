"""Draws a figure's head: hair in eight styles, a face that follows the yaw, beard, glasses."""

from __future__ import annotations

import numpy as np

from tests.generator.face import draw_face, draw_fringe, outline
from tests.generator.shapes import capsule, ellipse, polygon, smooth, tone


def _frame(body):
    """Centre, half width and half height of the head in pixels, and sin, cos of the yaw."""
    look = body.look
    half = 0.5 * look.head * body.size
    width = half * body.wide(0.78, 0.9)
    return body.at("head"), width, half, float(np.sin(body.yaw)), float(np.cos(body.yaw))


def draw_back_hair(canvas, body) -> None:
    """Hair that hangs behind the neck (drawn before the torso when the figure faces us)."""
    (cx, cy), w, h, s, _ = _frame(body)
    look = body.look
    colour = tone(look.hair, 0.8)
    if look.hair_style == "long":
        outline = [
            (-1.15, -0.3),
            (0, -1.1),
            (1.15, -0.3),
            (1.3, 1.0),
            (1.1, 2.0),
            (-1.1, 2.0),
            (-1.3, 1.0),
        ]
        polygon(canvas, _curve(outline, cx - s * w * 0.35, cy, w, h), colour)
    elif look.hair_style == "bob":
        outline = [(-1.15, -0.3), (0, -1.1), (1.15, -0.3), (1.25, 0.9), (-1.25, 0.9)]
        polygon(canvas, _curve(outline, cx - s * w * 0.3, cy, w, h), colour)
    elif look.hair_style == "tail":
        start, end = (cx - s * w * 1.0, cy - 0.3 * h), (cx - s * w * 1.7 + 0.2 * w, cy + 1.6 * h)
        polygon(canvas, capsule(start, 0.35 * w, end, 0.14 * w), colour)


def draw_head(canvas, body) -> None:
    """Skull, ears, face and front hair; the back of the head when the figure faces away."""
    (cx, cy), w, h, s, c = _frame(body)
    look = body.look
    for side in (-1, 1):
        if side * s < 0.75:
            ear = (cx + side * w * 0.97 * abs(c) - s * w * 0.25, cy + 0.1 * h)
            polygon(canvas, ellipse(ear, 0.16 * w, 0.22 * h), tone(look.skin, 0.8))
    jaw = [
        (-0.98, -0.2),
        (-0.8, 0.55),
        (-0.35, 0.97),
        (0.35, 0.97),
        (0.8, 0.55),
        (0.98, -0.2),
        (0.6, -0.85),
        (-0.6, -0.85),
    ]
    if look.face is not None:
        jaw = outline(look)
    polygon(canvas, _curve(jaw, cx, cy, w, h), tone(look.skin, 0.86))
    for share, gain in ((0.86, 0.95), (0.66, 1.02), (0.4, 1.07)):
        spot = (cx + s * w * 0.2 - 0.08 * w, cy - 0.05 * h)
        polygon(canvas, ellipse(spot, w * share, h * share * 0.97), tone(look.skin, gain))
    if look.face is not None:
        if c > -0.15:
            draw_face(canvas, body)
    elif c > -0.15:
        _face(canvas, body)
    _hair(canvas, body)
    if look.face is not None:
        draw_fringe(canvas, body)
    if c <= -0.3 and look.hair_style in ("long", "bob", "tail"):
        draw_back_hair(canvas, body)


def _curve(points, cx: float, cy: float, w: float, h: float) -> np.ndarray:
    return smooth(np.asarray(points, float) * (w, h) + (cx, cy), 5)


def _face(canvas, body) -> None:
    (cx, cy), w, h, s, c = _frame(body)
    look = body.look
    dark = tone(look.hair, 0.7)
    if look.beard:
        beard = [
            (-0.85, 0.2),
            (-0.75, 0.65),
            (-0.3, 1.02),
            (0.3, 1.02),
            (0.75, 0.65),
            (0.85, 0.2),
            (0.4, 0.4),
            (-0.4, 0.4),
        ]
        polygon(canvas, _curve(beard, cx + s * w * 0.15, cy, w, h), tone(look.hair, 0.9))
    for side in (-1, 1):
        x = cx + s * w * 0.62 + side * 0.4 * w * abs(c)
        if abs(x - cx) > 0.92 * w:
            continue
        thin = 0.5 + 0.5 * abs(c)
        polygon(canvas, ellipse((x, cy - 0.02 * h), 0.17 * w * thin, 0.085 * h), (245, 243, 240))
        polygon(
            canvas,
            ellipse((x + 0.03 * s * w, cy - 0.02 * h), 0.085 * w * thin, 0.08 * h),
            (45, 32, 28),
        )
        brow = capsule(
            (x - 0.2 * w * thin, cy - 0.2 * h),
            0.03 * h,
            (x + 0.2 * w * thin, cy - 0.21 * h),
            0.03 * h,
        )
        polygon(canvas, brow, dark)
        if look.glasses:
            ring = ellipse((x, cy - 0.02 * h), 0.27 * w * thin, 0.17 * h)
            inner = ellipse((x, cy - 0.02 * h), 0.22 * w * thin, 0.135 * h)
            polygon(canvas, np.concatenate([ring, ring[:1], inner[::-1], inner[-1:]]), (30, 30, 34))
    nose = cx + s * w * 0.8
    polygon(
        canvas,
        smooth([(nose, cy), (nose + 0.14 * w, cy + 0.3 * h), (nose - 0.14 * w, cy + 0.3 * h)], 5),
        tone(look.skin, 0.82),
    )
    mouth = (cx + s * w * 0.6, cy + 0.52 * h)
    polygon(
        canvas,
        ellipse(mouth, 0.27 * w * (0.4 + 0.6 * abs(c)), 0.065 * h),
        (min(255, look.skin[0] * 0.72 + 25), look.skin[1] * 0.5, look.skin[2] * 0.5),
    )


def _hair(canvas, body) -> None:
    (cx, cy), w, h, s, c = _frame(body)
    look = body.look
    style, colour = look.hair_style, look.hair
    if style == "bald":
        return
    if style == "hat":
        polygon(
            canvas,
            _curve([(-1.02, -0.3), (-0.9, -1.05), (0.9, -1.05), (1.02, -0.3)], cx, cy, w, h),
            look.top_rgb2,
        )
        brim = (cx + s * w * 0.7, cy - 0.36 * h)
        polygon(
            canvas, ellipse(brim, w * (1.05 if c > 0 else 0.95), 0.12 * h), tone(look.top_rgb2, 0.7)
        )
        return
    back = np.clip(0.5 - 0.5 * c, 0, 1)
    low = -0.42 + 1.2 * back
    cap = [
        (-1.1, low + 0.25 + 0.35 * s),
        (-1.06, -0.6),
        (-0.5, -1.14),
        (0.5, -1.14),
        (1.06, -0.6),
        (1.1, low + 0.25 - 0.35 * s),
        (0.5, low),
        (-0.4, low - 0.08),
    ]
    polygon(canvas, _curve(cap, cx - s * w * 0.12, cy, w, h), tone(colour, 0.85))
    polygon(canvas, ellipse((cx - 0.25 * w, cy - 0.82 * h), 0.5 * w, 0.16 * h), tone(colour, 1.2))
    if style == "curly":
        for k, angle in enumerate(np.linspace(np.pi * 0.95, np.pi * 2.05, 11)):
            spot = (
                cx - s * w * 0.15 + 1.02 * w * np.cos(angle),
                cy - 0.15 * h + 0.95 * h * np.sin(angle),
            )
            polygon(canvas, ellipse(spot, 0.3 * w, 0.24 * h), tone(colour, 0.8 + 0.1 * (k % 4)))
    elif style == "bun":
        polygon(
            canvas,
            ellipse((cx - s * w * 0.8, cy - 1.15 * h), 0.45 * w, 0.36 * h),
            tone(colour, 0.92),
        )
    elif style in ("long", "bob") and c > -0.3:
        for side in (-1, 1):
            end = 1.7 if style == "long" else 0.8
            strand = [(0.75, -0.75), (1.16, -0.3), (1.2, end), (0.86, end), (0.88, 0.0)]
            x = np.asarray(strand) * (side, 1)
            polygon(canvas, _curve(x, cx - s * w * 0.2, cy, w, h), tone(colour, 0.95))
