"""Puts scene, light, figures and grain together: `render_frame` is pure and seeded by its spec."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from tests.generator.face import where
from tests.generator.figure import place
from tests.generator.layers import composite, layer_of
from tests.generator.panels import hang
from tests.generator.scenes import RISE, SPAN, paint_scene
from tests.generator.spec import ClipSpec, FigureSpec, Rendered, tight_box
from tests.generator.truth import Seen, covered, person_truth

_GRAIN_SPARE = 64


def render_frame(spec: ClipSpec, frame_index: int) -> Rendered:
    """Draw frame `frame_index` (0-based) with its truth; see `Rendered` for shapes.

    Raises:
        IndexError: the clip has no such frame.
    """
    if not 0 <= frame_index < spec.n_frames:
        raise IndexError(f"frame {frame_index} of a clip of {spec.n_frames} frames")
    source = spec.source_of(frame_index)
    time_s, shot = spec.time_s(source), spec.shot_of(source)
    frame_rgb, near_rgb = _background(spec, shot, time_s)
    drawn = [_drawn(frame_rgb, spec, figure, time_s, shot, near_rgb) for figure in spec.figures]
    whole = [alpha_u8 for _, alpha_u8 in drawn]
    alphas_u8 = _visible(whole)
    frame_rgb = _light_and_grain(spec, frame_rgb, source, time_s)
    alpha_u8 = np.zeros((spec.height, spec.width), np.uint8)
    for one in alphas_u8:
        alpha_u8 = cv2.add(alpha_u8, one)
    boxes = [tight_box(one) for one in alphas_u8]
    seen = [k for k, box in enumerate(boxes) if box is not None]
    people = [
        person_truth(k, spec.figures[k], drawn[k][0], whole[k], alphas_u8[k], boxes[k])
        for k in seen
    ]
    return Rendered(
        frame_rgb=frame_rgb,
        alpha_u8=alpha_u8,
        box_xyxy=tight_box(alpha_u8),
        duplicate_of=None if source == frame_index else source,
        alphas_u8=tuple(alphas_u8[k] for k in seen),
        boxes_xyxy=tuple(boxes[k] for k in seen),
        people=tuple(covered(people, whole)),
    )


def _drawn(
    frame_rgb: np.ndarray, spec: ClipSpec, figure: FigureSpec, time_s: float, shot: int, near_rgb
) -> tuple[Seen, np.ndarray]:
    """Draw a figure into the frame, in place: how it is seen, and its mask (uint8 HxW)."""
    if figure.shown != "live":
        return hang(frame_rgb, figure, time_s, shot)
    body = place(figure, time_s, shot, spec.width, spec.height)
    if figure.framing == "full":
        _shadow(frame_rgb, body)
    layer = layer_of(figure, body, near_rgb, spec.width, spec.height)
    composite(frame_rgb, *layer)
    return Seen(body.yaw, where(body)), _full_alpha(spec, *layer)


@lru_cache(maxsize=6)
def _scene(kind: str, seed: int, width: int, height: int) -> tuple[np.ndarray, tuple[float, ...]]:
    scene = paint_scene(kind, seed, width, height)
    return scene, tuple(float(c) for c in scene.reshape(-1, 3).mean(axis=0))


@lru_cache(maxsize=4)
def _grain(width: int, height: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """What film grain adds and what it takes away (uint8, a little larger than a frame)."""
    rng = np.random.default_rng(29)
    shape = (height + _GRAIN_SPARE, width + _GRAIN_SPARE, 3)
    grain = rng.normal(0, strength, shape).astype(np.float32)
    grain += rng.normal(0, strength, (*shape[:2], 1)).astype(np.float32)
    return grain.clip(0, 255).astype(np.uint8), (-grain).clip(0, 255).astype(np.uint8)


def _background(spec: ClipSpec, shot: int, time_s: float) -> tuple[np.ndarray, tuple[float, ...]]:
    """The part of the shot's scene that the drifting camera sees, and the scene's mean colour."""
    kind = spec.scenes[shot % len(spec.scenes)]
    scene, near_rgb = _scene(kind, spec.seed * 101 + shot, spec.width, spec.height)
    rng = np.random.default_rng([spec.seed, shot, 31])
    room_x = spec.width * (SPAN - 1.1)
    travel = (rng.uniform(0, room_x) + rng.choice([-1, 1]) * spec.pan_px_s * time_s) % (2 * room_x)
    x = spec.width * 0.05 + min(travel, 2 * room_x - travel)
    y = spec.height * (RISE - 1) * (0.5 + 0.3 * np.sin(time_s * rng.uniform(1.0, 2.0)))
    tilt = 0.01 * np.sin(time_s * 1.7 + shot)
    view = np.array([[1.0, -tilt, x], [tilt, 1.0, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (spec.width, spec.height)
    return cv2.warpAffine(scene, view, size, flags=flags, borderMode=cv2.BORDER_REFLECT), near_rgb


def _shadow(frame_rgb: np.ndarray, body) -> None:
    """Darken the ground under the feet, in place."""
    x, y = body.put((body.joints["hip"][0], 0.985))
    h, w = frame_rgb.shape[:2]
    rx, ry = int(0.2 * body.size), int(0.045 * body.size)
    x0, x1 = max(0, int(x) - rx), min(w, int(x) + rx)
    y0, y1 = max(0, int(y) - ry), min(h, int(y) + ry)
    if x1 - x0 < 2 or y1 - y0 < 2:
        return
    dx = (np.arange(x0, x1) - x) / rx
    dy = (np.arange(y0, y1) - y) / ry
    share = np.clip(1 - dx[None] ** 2 - dy[:, None] ** 2, 0, 1).astype(np.float32) * 0.45
    part = frame_rgb[y0:y1, x0:x1]
    part[:] = (part * (1 - share[..., None])).astype(np.uint8)


def _full_alpha(spec: ClipSpec, layer: np.ndarray, x0: int, y0: int) -> np.ndarray:
    alpha_u8 = np.zeros((spec.height, spec.width), np.uint8)
    if layer.size:
        alpha_u8[y0 : y0 + layer.shape[0], x0 : x0 + layer.shape[1]] = layer[..., 3]
    return alpha_u8


def _visible(alphas_u8: list[np.ndarray]) -> list[np.ndarray]:
    """Each figure's mask less what later (nearer) figures cover."""
    shown = list(alphas_u8)
    for k in range(len(shown)):
        for nearer in alphas_u8[k + 1 :]:
            shown[k] = cv2.multiply(shown[k], 255 - nearer, scale=1 / 255.0)
    return shown


def _light_and_grain(spec: ClipSpec, frame_rgb, source: int, time_s: float) -> np.ndarray:
    rng = np.random.default_rng([spec.seed, source, 41])
    swing = np.sin(time_s * 9.3) + 0.6 * np.sin(time_s * 5.1 + 1.0)
    lit = cv2.convertScaleAbs(frame_rgb, alpha=float(1.0 + spec.light * swing * 0.6))
    if spec.noise <= 0:
        return lit
    plus, minus = _grain(spec.width, spec.height, spec.noise)
    y, x = rng.integers(0, _GRAIN_SPARE, 2)
    window = np.s_[y : y + spec.height, x : x + spec.width]
    return cv2.subtract(cv2.add(lit, plus[window]), minus[window])
