"""A figure as a layer of its own, and a layer over a picture."""

from __future__ import annotations

import cv2
import numpy as np

from tests.generator.figure import Body, draw_figure, soften
from tests.generator.spec import FigureSpec


def layer_of(
    figure: FigureSpec, body: Body, near_rgb, width: int, height: int
) -> tuple[np.ndarray, int, int]:
    """The figure as premultiplied RGBA on a small part of a picture of that size, and that part's
    corner.
    """
    points = np.stack([body.put(j[:2]) for j in body.joints.values()])
    pad = 0.2 * body.size
    x0, y0 = (int(max(0, v)) for v in points.min(axis=0) - pad)
    x1 = int(min(width, points[:, 0].max() + pad))
    y1 = int(min(height, points[:, 1].max() + pad))
    canvas = np.zeros((max(0, y1 - y0), max(0, x1 - x0), 4), np.uint8)
    if canvas.size:
        moved = Body(
            body.look, body.joints, body.yaw, (body.origin[0] - x0, body.origin[1] - y0), body.size
        )
        draw_figure(canvas, figure, moved, near_rgb)
        soften(canvas, body.size)
        _shade(canvas, figure.seed)
    return canvas, x0, y0


def _shade(canvas: np.ndarray, seed: int) -> None:
    """Uneven light over the figure: a smooth field times the premultiplied colour, in place."""
    rng = np.random.default_rng([seed, 37])
    field = rng.uniform(0.78, 1.1, (5, 4)).astype(np.float32)
    gain = cv2.resize(field, (canvas.shape[1], canvas.shape[0]), interpolation=cv2.INTER_CUBIC)
    for channel in range(3):
        plane = cv2.multiply(canvas[..., channel], gain, dtype=cv2.CV_8U)
        canvas[..., channel] = cv2.min(plane, canvas[..., 3])


def composite(frame_rgb: np.ndarray, layer: np.ndarray, x0: int, y0: int) -> None:
    """Lay a layer over a picture, in place."""
    if not layer.size:
        return
    part = frame_rgb[y0 : y0 + layer.shape[0], x0 : x0 + layer.shape[1]]
    left = cv2.cvtColor(255 - layer[..., 3], cv2.COLOR_GRAY2RGB)
    kept = cv2.multiply(part, left, scale=1 / 255.0)
    part[:] = cv2.add(kept, np.ascontiguousarray(layer[..., :3]))
