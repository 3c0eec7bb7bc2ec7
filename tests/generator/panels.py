"""Pictures of people on the wall, and mirrors: figures that are seen, and are not there."""

from __future__ import annotations

import cv2
import numpy as np

from tests.generator.body import cloth_rgb
from tests.generator.face import where
from tests.generator.figure import place
from tests.generator.layers import composite, layer_of
from tests.generator.shapes import tone
from tests.generator.spec import FigureSpec
from tests.generator.truth import Seen

#: Where its right eye is in a mirror, the left eye is, and so on.
_SWAPPED = [1, 0, 2, 4, 3]
_GLASS_RGB = (176.0, 190.0, 196.0)
_RIM = 0.02  # width of the frame around a panel, in heights of the picture


def hang(
    frame_rgb: np.ndarray, figure: FigureSpec, time_s: float, shot: int
) -> tuple[Seen, np.ndarray]:
    """Draw a poster or a mirror into an HxWx3 picture, in place: how the figure in it is seen, and
    its mask (uint8 HxW).
    """
    height, width = frame_rgb.shape[:2]
    x1, y1, x2, y2 = (
        round(share * side)
        for share, side in zip(figure.panel, (width, height, width, height), strict=True)
    )
    wide, high = x2 - x1, y2 - y1
    mirror = figure.shown == "mirror"
    ground = _GLASS_RGB if mirror else _paper(figure)
    body = place(figure, time_s if mirror else 0.0, shot if mirror else 0, wide, high)
    inside = _ground(ground, wide, high)
    layer, left, top = layer_of(figure, body, ground, wide, high)
    composite(inside, layer, left, top)
    alpha = np.zeros((high, wide), np.uint8)
    alpha[top : top + layer.shape[0], left : left + layer.shape[1]] = layer[..., 3]
    yaw, face = body.yaw, where(body)
    if mirror:
        inside, alpha, yaw = inside[:, ::-1], alpha[:, ::-1], -yaw
        face = face and _mirrored(face, wide)
    rim = max(2, round(_RIM * height))
    cv2.rectangle(frame_rgb, (x1 - rim, y1 - rim), (x2 + rim, y2 + rim), tone(ground, 0.35), -1)
    frame_rgb[y1:y2, x1:x2] = inside
    whole = np.zeros((height, width), np.uint8)
    whole[y1:y2, x1:x2] = alpha
    return Seen(yaw, face and _moved(face, x1, y1)), whole


def _paper(figure: FigureSpec) -> tuple[float, ...]:
    return tone(cloth_rgb(np.random.default_rng([figure.seed, 59])), 1.2)


def _ground(rgb, wide: int, high: int) -> np.ndarray:
    """What is behind the figure: darker towards the bottom."""
    fall = np.linspace(1.0, 0.72, high)[:, None, None]
    return np.broadcast_to(np.asarray(rgb) * fall, (high, wide, 3)).astype(np.uint8)


def _mirrored(face, wide: int):
    (x1, y1, x2, y2), points = face
    return (wide - x2, y1, wide - x1, y2), (points * np.array([-1, 1]) + np.array([wide, 0]))[
        _SWAPPED
    ]


def _moved(face, x: int, y: int):
    (x1, y1, x2, y2), points = face
    return (x1 + x, y1 + y, x2 + x, y2 + y), (points + np.array([x, y])).astype(np.float32)
