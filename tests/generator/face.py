"""Draws the face of a person with an identity, and says where it is.

Features lie on an egg that turns with the head, so that they move, narrow and hide as it turns.
Places on it are (u, v): shares of half the face's width and height, from its middle.
"""

from __future__ import annotations

import numpy as np

from tests.generator.shapes import capsule, ellipse, polygon, smooth, tone

#: Half the width and half the depth of a head, in halves of its height.
WIDE, DEEP = 0.78, 0.9
#: Yaw in radians from which on, to either side, no face is seen.
AWAY = np.radians(70.0)


class Surface:
    """The front of a body's head in pixels."""

    def __init__(self, body) -> None:
        half = 0.5 * body.look.head * body.size
        self.centre, self.height = body.at("head"), half
        self.width, self.depth = WIDE * half, DEEP * half
        self.sin, self.cos = float(np.sin(body.yaw)), float(np.cos(body.yaw))

    def _turned(self, u, v, out) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        x = u * self.width
        z = self.depth * np.sqrt(np.clip(1 - u**2 - 0.9 * v**2, 0.0, 1.0)) * out
        return x * self.cos + z * self.sin, z * self.cos - x * self.sin, v * self.height

    def put(self, u, v, out: float = 1.0) -> np.ndarray:
        """The pixels (last axis x, y) of places; `out` > 1 stand out of the face."""
        x, _, y = self._turned(u, v, out)
        return np.stack([x, y], -1) + self.centre

    def facing(self, u: float, v: float) -> float:
        """How much a place faces the viewer: 1 straight on, 0 and less from the side or behind."""
        x, z = u, float(np.sqrt(max(0.0, 1 - u**2 - 0.9 * v**2)))
        return float(z * self.cos - x * self.sin)

    def spot(self, canvas, u: float, v: float, rx: float, ry: float, rgb, angle=0.0) -> None:
        """An ellipse on the face unless it is hidden; rx in half widths, ry in half heights."""
        thin = self.facing(u, v)
        if thin > 0.12:
            outline = ellipse(
                self.put(u, v), rx * self.width * min(1.0, 0.25 + thin), ry * self.height, angle
            )
            polygon(canvas, outline, rgb)

    def patch(self, canvas, places, rgb, steps: int = 4) -> None:
        """A smooth patch with that outline; what lies behind the edge is drawn at the edge."""
        u, v = np.asarray(places, float).T
        polygon(canvas, smooth(self.put(u, v), steps), rgb)


def outline(look) -> list[tuple[float, float]]:
    """The outline of a head in shares of its half width and height, clockwise from the left."""
    face = look.face
    return [
        (-0.98, -0.2), (-face.jaw, 0.52), (-face.chin, 0.97), (face.chin, 0.97), (face.jaw, 0.52),
        (0.98, -0.2), (face.forehead, -0.87), (-face.forehead, -0.87),
    ]  # fmt: skip


def draw_face(canvas, body) -> None:
    """The face of a person with an identity, between the head and the hair over it."""
    look, surface = body.look, Surface(body)
    face = look.face
    if face.cheeks:
        red = tone((look.skin[0] * 1.04, look.skin[1] * 0.82, look.skin[2] * 0.8), 1.0)
        for side in (-1, 1):
            surface.spot(canvas, side * 0.56, 0.3, 0.24 * (0.5 + 0.5 * face.cheeks), 0.15, red)
    _freckles(canvas, surface, look)
    _beard(canvas, surface, look)
    _mouth(canvas, surface, face)
    _nose(canvas, surface, look)
    for side in (-1, 1):
        _eye(canvas, surface, look, side)
    _glasses(canvas, surface, face)
    for u, v in face.moles:
        surface.spot(canvas, u, v, 0.05, 0.04, tone(look.skin, 0.35))


def draw_fringe(canvas, body) -> None:
    """Hair over the forehead, drawn last."""
    look, surface = body.look, Surface(body)
    if look.hair_style == "bald" or surface.cos < -0.1 or not look.face.fringe:
        return
    low = {"straight": (-0.3, -0.3, -0.3), "side_l": (-0.18, -0.42, -0.7),
           "side_r": (-0.7, -0.42, -0.18), "parted": (-0.22, -0.72, -0.22)}  # fmt: skip
    left, middle, right = low[look.face.fringe]
    places = [(-0.88, -0.6), (-0.4, -1.0), (0.4, -1.0), (0.88, -0.6),
              (0.8, right), (0.4, (right + middle) / 2), (0, middle),
              (-0.4, (left + middle) / 2), (-0.8, left)]  # fmt: skip
    u, v = np.asarray(places, float).T
    polygon(canvas, surface.put(u, v, 0.9), tone(look.hair, 0.92))


def _freckles(canvas, surface: Surface, look) -> None:
    rng = np.random.default_rng([look.face.marks, 53])
    for _ in range(look.face.freckles):
        u, v = float(rng.uniform(-0.6, 0.6)), float(rng.uniform(0.08, 0.4))
        surface.spot(canvas, u, v, 0.03, 0.025, tone(look.skin, 0.7))


def _beard(canvas, surface: Surface, look) -> None:
    face = look.face
    rgb = face.beard_rgb
    if face.beard == "stubble":
        rgb = tuple(0.62 * s + 0.38 * b for s, b in zip(look.skin, rgb, strict=True))
    top = face.mouth_y - 0.1
    if face.beard in ("full", "stubble"):
        places = [(-0.86, 0.15), (-face.jaw * 0.98, 0.5), (-face.chin, 0.98), (face.chin, 0.98),
                  (face.jaw * 0.98, 0.5), (0.86, 0.15), (0.55, top), (-0.55, top)]  # fmt: skip
        surface.patch(canvas, places, rgb)
    if face.beard == "goatee":
        low = face.mouth_y + 0.08
        surface.patch(canvas, [(-0.3, low), (-0.24, 0.98), (0.24, 0.98), (0.3, low)], rgb)
    if face.beard in ("moustache", "full", "goatee"):
        wide, y = face.mouth_w * 1.15, face.mouth_y - face.lip_up
        places = [(-wide, y + 0.03), (-0.1, y - 0.13), (0.1, y - 0.13), (wide, y + 0.03), (0, y)]
        surface.patch(canvas, places, rgb)


def _mouth(canvas, surface: Surface, face) -> None:
    left, right = surface.put(-face.mouth_w, face.mouth_y), surface.put(face.mouth_w, face.mouth_y)
    for sign, lip, gain in ((-1, face.lip_up, 0.88), (1, face.lip_low, 1.05)):
        middle = surface.put([0.45 * face.mouth_w, -0.45 * face.mouth_w], face.mouth_y + sign * lip)
        polygon(canvas, smooth(np.stack([left, right, *middle]), 4), tone(face.lip_rgb, gain))
    line = max(0.4, 0.012 * surface.height)
    polygon(canvas, capsule(left, line, right, line), tone(face.lip_rgb, 0.45))


def _nose(canvas, surface: Surface, look) -> None:
    face = look.face
    bridge = surface.put(0, face.nose_y - face.nose_h)
    tip = surface.put(0, face.nose_y, 1.22)
    wings = [surface.put(side * face.nose_w, face.nose_y + 0.04, 1.04) for side in (1, -1)]
    polygon(canvas, smooth(np.stack([bridge, wings[0], tip, wings[1]]), 4), tone(look.skin, 0.8))
    polygon(canvas, ellipse(tip, 0.5 * face.nose_w * surface.width, 0.06 * surface.height),
            tone(look.skin, 1.05))  # fmt: skip
    for side in (-1, 1):
        at = surface.put(side * face.nose_w * 0.55, face.nose_y + 0.06, 1.1)
        polygon(canvas, ellipse(at, 0.03 * surface.width, 0.022 * surface.height),
                tone(look.skin, 0.4))  # fmt: skip


def _eye(canvas, surface: Surface, look, side: int) -> None:
    face = look.face
    u, v = side * face.eye_x, face.eye_y
    slant = side * face.eye_slant * np.sign(surface.cos or 1)
    if surface.facing(u, v) <= 0.12:
        return
    rim = tone(look.skin, 0.5)
    surface.spot(canvas, u, v - 0.012, face.eye_w * 1.12, face.eye_h * 1.2, rim, slant)
    surface.spot(canvas, u, v, face.eye_w, face.eye_h, (246, 244, 240), slant)
    iris = min(face.eye_h * 1.02, 0.085)
    surface.spot(canvas, u, v, iris * 1.15, iris, face.iris)
    surface.spot(canvas, u, v, iris * 0.5, iris * 0.45, (16, 12, 12))
    inner = surface.put(side * (face.eye_x - face.brow_w), v - face.brow_gap)
    raised = face.brow_slant * face.brow_w
    outer = surface.put(side * (face.eye_x + face.brow_w), v - face.brow_gap - raised)
    thick = face.brow_h * surface.height
    polygon(canvas, capsule(inner, thick, outer, 0.6 * thick), face.brow_rgb)


def _glasses(canvas, surface: Surface, face) -> None:
    if not face.glasses:
        return
    wide, high = {"round": (0.27, 0.19), "square": (0.3, 0.16), "wide": (0.36, 0.13)}[face.glasses]
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    power = 1.0 if face.glasses == "round" else 0.45
    shape = np.stack([np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power,
                      np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power], 1)  # fmt: skip
    for side in (-1, 1):
        if surface.facing(side * face.eye_x, face.eye_y) <= 0.12:
            continue
        rings = []
        for share in (1.0, 0.78):
            u = side * face.eye_x + shape[:, 0] * wide * share
            v = face.eye_y + shape[:, 1] * high * share
            rings.append(surface.put(np.clip(u, -0.98, 0.98), v, 1.05))
        ring, inner = rings
        polygon(canvas, np.concatenate([ring, ring[:1], inner[::-1], inner[-1:]]), face.rim_rgb)
    if surface.facing(0, face.eye_y) > 0.12:
        ends = surface.put([-face.eye_x + wide, face.eye_x - wide], face.eye_y - 0.03, 1.08)
        line = max(0.4, 0.02 * surface.height)
        polygon(canvas, capsule(ends[0], line, ends[1], line), face.rim_rgb)


def where(body) -> tuple[tuple[float, float, float, float], np.ndarray] | None:
    """The box of the face and its five landmarks in pixels (`PersonTruth`); None if turned away."""
    look = body.look
    if look.face is None or np.cos(body.yaw) < np.cos(AWAY):
        return None
    surface, face = Surface(body), look.face
    centre_x, centre_y = surface.centre
    half = 0.5 * look.head * body.size * body.wide(WIDE, DEEP)
    middle = centre_x + 0.12 * surface.sin * surface.width
    high = surface.height
    box = (middle - half, centre_y - 0.72 * high, middle + half, centre_y + 1.02 * high)
    # The person's right is at the viewer's left.
    places = np.array([
        surface.put(-face.eye_x, face.eye_y), surface.put(face.eye_x, face.eye_y),
        surface.put(0, face.nose_y, 1.22),
        surface.put(-face.mouth_w, face.mouth_y), surface.put(face.mouth_w, face.mouth_y),
    ], np.float32)  # fmt: skip
    return tuple(float(edge) for edge in box), places
