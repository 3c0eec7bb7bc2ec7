"""Anti-aliased drawing on a premultiplied RGBA canvas: polygons, limbs, discs.

A colour drawn with its alpha at 255 on a canvas that starts at zero leaves premultiplied colour and
coverage in one pass, because OpenCV's anti-aliased edge blends all four channels alike.
"""

from __future__ import annotations

import cv2
import numpy as np

SHIFT = 4
_ARC = np.linspace(0.0, np.pi, 9)
_CIRCLE = np.linspace(0.0, 2 * np.pi, 28, endpoint=False)


def polygon(canvas: np.ndarray, points_xy: np.ndarray, colour) -> None:
    """Fill a polygon (Nx2 float, pixel centres) on a uint8 HxWxC canvas with an RGB colour."""
    fixed = np.round(np.asarray(points_xy, np.float64) * (1 << SHIFT)).astype(np.int32)
    value = tuple(float(c) for c in colour)
    value = (*value, 255.0) if canvas.ndim == 3 and canvas.shape[2] == 4 else value
    cv2.fillPoly(canvas, [fixed], value, cv2.LINE_AA, SHIFT)


def moved(point_xy, dx: float, dy: float) -> np.ndarray:
    """The point (x, y) moved by (dx, dy)."""
    return np.asarray(point_xy, float) + np.array([dx, dy], float)


def capsule(p0, r0: float, p1, r1: float) -> np.ndarray:
    """The outline (Nx2) of a limb: two discs of radii r0, r1 and what lies between them."""
    p0, p1 = np.asarray(p0, float), np.asarray(p1, float)
    angle = np.arctan2(p1[1] - p0[1], p1[0] - p0[0])
    a0, a1 = angle + np.pi / 2 + _ARC, angle - np.pi / 2 + _ARC
    end0 = p0 + r0 * np.stack([np.cos(a0), np.sin(a0)], 1)
    end1 = p1 + r1 * np.stack([np.cos(a1), np.sin(a1)], 1)
    return np.concatenate([end0, end1])


def ellipse(centre, rx: float, ry: float, angle: float = 0.0) -> np.ndarray:
    """The outline (28x2) of an ellipse turned by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    x, y = rx * np.cos(_CIRCLE), ry * np.sin(_CIRCLE)
    return np.stack([centre[0] + c * x - s * y, centre[1] + s * x + c * y], 1)


def smooth(points_xy: np.ndarray, steps: int = 6) -> np.ndarray:
    """A closed Catmull-Rom curve through the points, `steps` samples a span."""
    p = np.asarray(points_xy, float)
    before, after, after2 = np.roll(p, 1, 0), np.roll(p, -1, 0), np.roll(p, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    p, before, after, after2 = (a[:, None] for a in (p, before, after, after2))
    curve = 0.5 * (
        2 * p
        + (after - before) * t
        + (2 * before - 5 * p + 4 * after - after2) * t**2
        + (3 * p - before - 3 * after + after2) * t**3
    )
    return curve.reshape(-1, 2)


def tone(colour, gain: float) -> tuple[float, ...]:
    """The colour times `gain`, held within 0..255."""
    return tuple(float(min(255.0, max(0.0, c * gain))) for c in colour)


def mix(a, b, share: float) -> tuple[float, ...]:
    """`a` and `b` mixed, `share` of `b`."""
    return tuple(float(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))


def limb(canvas, p0, r0: float, p1, r1: float, colour, light=(-0.3, -0.2)) -> None:
    """A rounded limb with a dark rim; `light` is where its lit side lies, as a share of radius."""
    p0, p1, shift = np.asarray(p0, float), np.asarray(p1, float), np.asarray(light, float)
    polygon(canvas, capsule(p0, r0, p1, r1), tone(colour, 0.8))
    for share, gain in ((0.78, 0.92), (0.55, 1.02), (0.28, 1.1)):
        move = shift * (1 - share) * 1.3
        polygon(
            canvas,
            capsule(p0 + move * r0, r0 * share, p1 + move * r1, r1 * share),
            tone(colour, gain),
        )
