"""Draws one human-like figure as premultiplied RGBA: legs, torso, head, arms, painter's order."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from tests.generator.body import Look, look_of, pose
from tests.generator.head import draw_back_hair, draw_head
from tests.generator.people import dressed
from tests.generator.shapes import capsule, ellipse, limb, mix, moved, polygon, smooth, tone
from tests.generator.spec import FigureSpec

# Height of the figure as a share of the frame's height, and where its crown lies.
FRAMES = {"full": (0.80, 0.10), "half": (1.55, 0.09), "close": (2.9, 0.10)}


@dataclass(frozen=True)
class Body:
    """A look in a pose, with the map from body units to pixels."""

    look: Look
    joints: dict[str, np.ndarray]
    yaw: float
    origin: tuple[float, float]
    size: float

    def at(self, name: str) -> np.ndarray:
        """A joint's place in pixels."""
        return self.put(self.joints[name][:2])

    def put(self, xy) -> np.ndarray:
        """Body units to pixels (last axis x, y)."""
        return np.asarray(xy, float) * self.size + self.origin

    def wide(self, half: float, deep: float) -> float:
        """Half the visible width, body units, of what is `half` wide and `deep` deep."""
        return float(np.hypot(half * np.cos(self.yaw), deep * np.sin(self.yaw)))


def place(figure: FigureSpec, time_s: float, shot: int, width: int, height: int) -> Body:
    """The figure's body at a time, wandering about its place in the frame."""
    rng = np.random.default_rng([figure.seed, shot, 19])
    look = look_of(figure.seed)
    if figure.identity is not None:
        look = dressed(figure.identity, figure.seed if figure.outfit is None else figure.outfit)
    turned = None
    if figure.yaw_deg is not None:
        turned = float(np.radians(figure.yaw_deg + figure.turn_deg_s * time_s))
    joints, yaw = pose(look, figure.motion, figure.seed + 1000 * shot, time_s, turned)
    share, crown = FRAMES[figure.framing]
    size = share * figure.scale * height * float(rng.uniform(0.96, 1.06))
    x = figure.x + figure.sway * np.sin(time_s * rng.uniform(0.8, 1.6) + rng.uniform(0, 6.28))
    x += figure.travel * time_s
    feet = 0.93 * height if figure.framing == "full" else crown * height + size
    if figure.framing == "full":
        feet += (1 - figure.scale) * 0.02 * height
    bob = 0.004 * size * np.sin(time_s * 6.0)
    return Body(look, joints, yaw, (float(x * width), float(feet - size + bob)), float(size))


def draw_figure(canvas: np.ndarray, figure: FigureSpec, body: Body, near_rgb) -> None:
    """Draw on a zeroed uint8 HxWx4 canvas; `near_rgb` is what `figure.blend` pulls colours to."""
    look = body.look
    top = mix(look.top_rgb, near_rgb, figure.blend)
    bottom = top if look.top == "dress" else mix(look.bottom_rgb, near_rgb, figure.blend)
    facing = np.cos(body.yaw)
    if facing > -0.2:
        draw_back_hair(canvas, body)
    sides = sorted("lr", key=lambda n: body.joints[f"ankle_{n}"][2])
    for name in sides:
        _leg(canvas, body, name, bottom, far=name == sides[0])
    arms = sorted("lr", key=lambda n: _arm_depth(body, n))
    behind = [n for n in arms if _arm_depth(body, n) < -0.02]
    for name in behind:
        _arm(canvas, body, name, top)
    if look.bottom == "skirt" or look.top == "dress":
        _skirt(canvas, body, bottom)
    _torso(canvas, body, top, bottom)
    neck, head = body.at("neck"), body.at("head")
    limb(canvas, neck, 0.03 * look.limb * body.size, head, 0.028 * body.size, tone(look.skin, 0.9))
    draw_head(canvas, body)
    for name in (n for n in arms if n not in behind):
        _arm(canvas, body, name, top)


def _arm_depth(body: Body, name: str) -> float:
    return float(body.joints[f"elbow_{name}"][2] + body.joints[f"wrist_{name}"][2]) / 2


def _leg(canvas, body: Body, name: str, colour, far: bool) -> None:
    look, u = body.look, body.size * body.look.limb
    hip, knee, ankle = (body.at(f"{j}_{name}") for j in ("hip", "knee", "ankle"))
    bare = look.bottom in ("shorts", "skirt") or look.top == "dress"
    shade = 0.86 if far else 1.0
    skin, cloth = tone(look.skin, shade), tone(colour, shade)
    thigh = skin if look.bottom == "skirt" or look.top == "dress" else cloth
    wide = 1.0 if bare else 1.12
    _shoe(canvas, body, name, ankle, shade)
    limb(canvas, knee, 0.036 * u * wide, ankle, 0.024 * u * wide * wide, skin if bare else cloth)
    limb(canvas, hip, 0.058 * u, knee, 0.038 * u * wide, thigh)
    if look.bottom == "shorts" and look.top != "dress":
        limb(canvas, hip, 0.06 * u, hip + 0.72 * (knee - hip), 0.056 * u, cloth)
    elif not bare:
        fold = tone(cloth, 0.7)
        for k in (0.25, -0.2):
            start = moved(knee, k * 0.1 * u, k * 0.1 * u)
            polygon(
                canvas,
                capsule(start, 0.003 * u, moved(start, 0.03 * u, 0.012 * u), 0.001 * u),
                fold,
            )


def _shoe(canvas, body: Body, name: str, ankle, shade: float) -> None:
    u, turn = body.size, np.sin(body.yaw)
    toe = moved(ankle, turn * 0.075 * u, (0.012 + 0.012 * max(0.0, np.cos(body.yaw))) * u)
    heel = moved(ankle, -turn * 0.012 * u, 0.006 * u)
    limb(canvas, heel, 0.023 * u, toe, 0.019 * u, tone(body.look.shoe_rgb, shade))
    sole = tone(body.look.shoe_rgb, 0.45)
    polygon(
        canvas,
        capsule(moved(heel, 0, 0.016 * u), 0.007 * u, moved(toe, 0, 0.013 * u), 0.006 * u),
        sole,
    )


def _arm(canvas, body: Body, name: str, colour) -> None:
    look, u = body.look, body.size * body.look.limb
    shoulder, elbow, wrist = (body.at(f"{j}_{name}") for j in ("shoulder", "elbow", "wrist"))
    covered = look.top in ("long", "jacket", "hoodie")
    hand = wrist + 0.30 * (wrist - elbow)
    limb(canvas, wrist, 0.018 * u, hand, 0.019 * u, look.skin)
    _fingers(canvas, body, elbow, wrist, hand)
    limb(canvas, elbow, 0.025 * u, wrist, 0.0175 * u, colour if covered else look.skin)
    limb(canvas, shoulder, 0.036 * u, elbow, 0.0265 * u, colour if covered else look.skin)
    if look.top in ("tee", "dress"):
        limb(canvas, shoulder, 0.041 * u, shoulder + 0.62 * (elbow - shoulder), 0.037 * u, colour)
    if covered:
        limb(
            canvas, wrist - 0.06 * (wrist - elbow), 0.021 * u, wrist, 0.021 * u, tone(colour, 0.85)
        )


def _fingers(canvas, body: Body, elbow, wrist, hand) -> None:
    along = (wrist - elbow) / max(1e-6, float(np.hypot(*(wrist - elbow))))
    across, u = np.array([-along[1], along[0]]), body.size * body.look.limb
    skin = body.look.skin
    for k, length in ((-1.2, 0.026), (-0.4, 0.032), (0.4, 0.033), (1.2, 0.027)):
        base = hand + across * k * 0.0105 * u
        tip = base + (along + across * k * 0.14) * length * u
        polygon(canvas, capsule(base, 0.0062 * u, tip, 0.0048 * u), tone(skin, 1.0 - 0.03 * abs(k)))
    thumb = wrist + across * 0.014 * u
    polygon(
        canvas, capsule(thumb, 0.007 * u, thumb + (along + across) * 0.024 * u, 0.005 * u), skin
    )


def _skirt(canvas, body: Body, colour) -> None:
    look = body.look
    hip, knee = body.joints["hip"], (body.joints["knee_l"] + body.joints["knee_r"]) / 2
    spread = abs(body.joints["knee_l"][0] - body.joints["knee_r"][0]) / 2
    waist, hem = body.wide(look.waist, 0.07), spread + body.wide(look.hip + 0.05, look.hip + 0.02)
    y0, y1 = hip[1] - 0.1, hip[1] + (knee[1] - hip[1]) * 0.92
    x0, x1 = hip[0], (hip[0] + knee[0]) / 2
    outline = [(x0 - waist, y0), (x0 + waist, y0), (x1 + hem, y1), (x1 - hem, y1)]
    polygon(canvas, body.put(outline), colour)
    for k in np.linspace(-0.8, 0.8, 5):
        pleat = [
            (x0 + k * waist, y0 + 0.06),
            (x1 + k * hem + 0.008, y1),
            (x1 + k * hem - 0.008, y1),
        ]
        polygon(canvas, body.put(pleat), tone(colour, 0.8))


class _TorsoMap:
    """Maps (u in -1..1 across, v in 0..1 down) onto the torso in pixels."""

    rows = np.array([0.0, 0.06, 0.25, 0.6, 0.85, 1.0])

    def __init__(self, body: Body) -> None:
        look, self.body = body.look, body
        halves = (0.05, look.shoulder, look.shoulder * 0.93, look.waist, look.hip, look.hip)
        deeps = (0.045, 0.06, 0.072, 0.064, 0.072, 0.07)
        self.halves = np.array([body.wide(h, d) for h, d in zip(halves, deeps, strict=True)])
        self.top, self.end = body.joints["neck"][:2], moved(body.joints["hip"][:2], 0, 0.045)

    def __call__(self, u, v) -> np.ndarray:
        u, v = np.broadcast_arrays(np.asarray(u, float), np.asarray(v, float))
        half = np.interp(v, self.rows, self.halves)
        x = self.top[0] + (self.end[0] - self.top[0]) * v + u * half
        return self.body.put(np.stack([x, self.top[1] + (self.end[1] - self.top[1]) * v], -1))

    def band(self, v0: float, v1: float, u0: float = -1, u1: float = 1) -> np.ndarray:
        """The outline of the part of the torso between two heights and two shares of the width."""
        v = np.linspace(v0, v1, 7)
        return np.concatenate([self(u0, v), self(u1, v[::-1])])


def _torso(canvas, body: Body, colour, bottom) -> None:
    look, torso = body.look, _TorsoMap(body)
    v = np.linspace(0, 1, 9)
    outline = smooth(np.concatenate([torso(-1, v), torso(1, v[::-1])]), 3)
    polygon(canvas, outline, tone(colour, 0.84))
    if look.top != "dress":
        polygon(canvas, torso.band(0.86, 1.0), tone(bottom, 0.9))
    end = 1.0 if look.top == "dress" else 0.88
    for share, gain in ((0.9, 0.94), (0.65, 1.0), (0.35, 1.06)):
        polygon(canvas, torso.band(0.02, end, -share - 0.06, share - 0.1), tone(colour, gain))
    _pattern(canvas, torso, look, mix(look.top_rgb2, colour, 0.15), end)
    if np.cos(body.yaw) > 0:
        shift = float(np.sin(body.yaw)) * 0.5
        if look.top in ("tee", "vest", "dress"):
            polygon(
                canvas,
                ellipse(torso(shift * 0.4, 0.02), 0.042 * body.size, 0.03 * body.size),
                look.skin,
            )
        if look.top in ("jacket", "hoodie"):
            polygon(canvas, torso.band(0.03, end, shift - 0.16, shift + 0.16), look.top_rgb2)
            polygon(canvas, torso.band(0.03, end, shift - 0.02, shift + 0.02), tone(colour, 0.6))
    for k, sign in ((0.5, 1), (0.66, -1)):
        fold = np.stack(
            [torso(sign * 0.95, k), torso(sign * 0.35, k + 0.06), torso(sign * 0.95, k + 0.03)]
        )
        polygon(canvas, fold, tone(colour, 0.74))


def _pattern(canvas, torso: _TorsoMap, look: Look, colour, end: float) -> None:
    if look.pattern in ("stripes", "check"):
        edges = np.linspace(0.1, end, 2 * look.stripes)
        for v0, v1 in zip(edges[::2], edges[1::2], strict=True):
            polygon(canvas, torso.band(v0, v1), colour)
    if look.pattern in ("bars", "check"):
        edges = np.linspace(-0.95, 0.95, 2 * look.stripes)
        for u0, u1 in zip(edges[::2], edges[1::2], strict=True):
            polygon(canvas, torso.band(0.07, end, u0, u1), tone(colour, 0.9))
    if look.pattern == "dots":
        for v in np.linspace(0.15, end - 0.06, look.stripes):
            for u in np.linspace(-0.8, 0.8, look.stripes):
                polygon(
                    canvas,
                    ellipse(torso(u, v), 0.007 * torso.body.size, 0.007 * torso.body.size),
                    colour,
                )
    if look.pattern == "halves":
        polygon(canvas, torso.band(0.45, end), colour)
    if look.pattern == "logo" and np.cos(torso.body.yaw) > 0:
        centre = torso(float(np.sin(torso.body.yaw)) * 0.5, 0.32)
        polygon(canvas, ellipse(centre, 0.04 * torso.body.size, 0.03 * torso.body.size), colour)


def soften(canvas: np.ndarray, size: float) -> None:
    """Give the canvas a lens-like soft edge, in place; stronger for larger figures."""
    sigma = min(1.6, 0.45 + size / 2500.0)
    cv2.GaussianBlur(canvas, (0, 0), sigma, dst=canvas)
