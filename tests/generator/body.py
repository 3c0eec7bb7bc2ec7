"""Who a figure is (`Look`) and how it stands at a time (`pose`): no drawing, only numbers.

Body units: the figure is about 1.0 tall, x to the viewer's right, y down from the crown, z towards
the viewer. A pose is turned about the vertical by its yaw and then projected flat.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tests.generator.people import Traits

SKINS = (
    (255, 224, 196), (241, 194, 156), (224, 172, 128), (198, 134, 92), (161, 102, 66),
    (122, 76, 48), (88, 54, 36), (247, 208, 180), (210, 158, 120), (140, 88, 60),
)  # fmt: skip
HAIRS = (
    (28, 22, 20), (54, 36, 26), (92, 60, 38), (140, 96, 56), (198, 156, 96),
    (226, 196, 140), (150, 60, 34), (150, 148, 146), (220, 218, 214), (70, 50, 90),
)  # fmt: skip
HAIR_STYLES = ("short", "long", "bun", "curly", "bald", "hat", "bob", "tail")
TOPS = ("tee", "long", "jacket", "vest", "dress", "hoodie")
BOTTOMS = ("trousers", "shorts", "skirt", "jeans")
PATTERNS = ("plain", "plain", "stripes", "bars", "check", "dots", "logo", "halves")


@dataclass(frozen=True)
class Look:
    """Colours (RGB 0..255), kinds of hair and clothing, and body proportions in body units."""

    skin: tuple[float, ...]
    hair: tuple[float, ...]
    hair_style: str
    top: str
    top_rgb: tuple[float, ...]
    top_rgb2: tuple[float, ...]
    pattern: str
    bottom: str
    bottom_rgb: tuple[float, ...]
    shoe_rgb: tuple[float, ...]
    head: float
    shoulder: float
    hip: float
    waist: float
    limb: float
    hip_y: float
    glasses: bool
    beard: bool
    stripes: int
    face: Traits | None = None  # of a person with an identity


def cloth_rgb(rng: np.random.Generator) -> tuple[float, ...]:
    """A clothing colour: any hue, from greys to saturated, from near black to near white."""
    saturation = float(rng.choice([rng.uniform(0, 0.15), rng.uniform(0.25, 0.9)]))
    value = float(rng.uniform(0.12, 0.97))
    return tuple(255.0 * c for c in colorsys.hsv_to_rgb(float(rng.uniform()), saturation, value))


@lru_cache(maxsize=512)
def look_of(seed: int) -> Look:
    """The look that belongs to a figure's seed."""
    rng = np.random.default_rng([seed, 11])
    pick = lambda options: options[int(rng.integers(len(options)))]  # noqa: E731
    jitter = lambda rgb: tuple(float(np.clip(c * rng.uniform(0.92, 1.08), 0, 255)) for c in rgb)  # noqa: E731
    build = float(rng.uniform(0.84, 1.22))
    return Look(
        skin=jitter(pick(SKINS)),
        hair=jitter(pick(HAIRS)),
        hair_style=pick(HAIR_STYLES),
        top=pick(TOPS),
        top_rgb=cloth_rgb(rng),
        top_rgb2=cloth_rgb(rng),
        pattern=pick(PATTERNS),
        bottom=pick(BOTTOMS),
        bottom_rgb=cloth_rgb(rng),
        shoe_rgb=cloth_rgb(rng),
        head=float(rng.uniform(0.128, 0.152)),
        shoulder=0.112 * build * float(rng.uniform(0.9, 1.12)),
        hip=0.078 * build * float(rng.uniform(0.9, 1.15)),
        waist=0.078 * build * float(rng.uniform(0.85, 1.15)),
        limb=float(np.sqrt(build) * rng.uniform(0.9, 1.12)),
        hip_y=float(rng.uniform(0.485, 0.53)),
        glasses=bool(rng.uniform() < 0.25),
        beard=bool(rng.uniform() < 0.2),
        stripes=int(rng.integers(4, 10)),
    )


def _limb_points(start, length1: float, length2: float, side: float, upper, lower):
    """Two joints of a limb; `upper`, `lower` are (swing forwards, spread outwards) in radians."""
    points = [np.asarray(start, float)]
    for length, (swing, spread) in ((length1, upper), (length2, lower)):
        step = (
            side * np.sin(spread),
            np.cos(swing) * np.cos(spread),
            np.sin(swing) * np.cos(spread),
        )
        points.append(points[-1] + length * np.asarray(step))
    return points


def _angles(motion: str, phase: float, rng: np.random.Generator) -> dict[str, tuple]:
    """(upper, lower) swing and spread for each limb: arm_l, arm_r, leg_l, leg_r."""
    s, amp = np.sin(phase), float(rng.uniform(0.35, 0.6))
    rest = float(rng.uniform(0.08, 0.2))
    akimbo = bool(rng.uniform() < 0.3)
    idle = (
        ((0.1, 0.75), (0.35, -0.75)) if akimbo else ((0.05 * s, rest), (0.2 + 0.05 * s, rest * 0.6))
    )
    stand = ((0.02, 0.07), (-0.02, 0.04))
    pose = {"arm_l": idle, "arm_r": idle, "leg_l": stand, "leg_r": stand}
    if motion in ("walk", "turn"):
        for name, sign in (("l", 1.0), ("r", -1.0)):
            swing = amp * s * sign
            bend = 0.15 + 0.55 * max(0.0, -np.cos(phase) * sign)
            pose[f"leg_{name}"] = ((swing, 0.03), (swing - bend, 0.02))
            pose[f"arm_{name}"] = ((-swing * 0.9, rest), (-swing * 0.9 + 0.4, rest * 0.5))
    if motion == "wave":
        raised = "arm_l" if rng.uniform() < 0.5 else "arm_r"
        lift = float(rng.uniform(1.5, 2.2))
        pose[raised] = ((0.25, lift), (0.25, 2.75 + 0.55 * np.sin(2 * phase)))
    if motion == "dance":
        pose["arm_l"] = ((0.2 * s, 1.1 + 0.6 * s), (0.3, 1.7 + 0.8 * np.sin(phase + 1)))
        pose["arm_r"] = ((0.2 * s, 1.1 - 0.6 * s), (0.3, 1.7 - 0.8 * np.sin(phase + 1)))
        pose["leg_l"] = ((0.1, 0.16 + 0.12 * s), (-0.2, 0.05))
        pose["leg_r"] = ((0.1, 0.16 - 0.12 * s), (-0.2, 0.05))
    return pose


def yaw_of(motion: str, seed: int, time_s: float) -> float:
    """The figure's yaw in radians: 0 faces the viewer, pi shows its back."""
    rng = np.random.default_rng([seed, 13])
    base = float(rng.normal(0, 0.45))
    if motion == "turn":
        return base + time_s * float(rng.uniform(1.0, 2.0)) * (1 if rng.uniform() < 0.5 else -1)
    if motion == "walk" and rng.uniform() < 0.6:
        base = float(rng.choice([-1, 1]) * rng.uniform(0.6, 1.45))
    return base + 0.25 * float(np.sin(time_s * rng.uniform(0.8, 1.6)))


def pose(
    look: Look, motion: str, seed: int, time_s: float, yaw: float | None = None
) -> tuple[dict[str, np.ndarray], float]:
    """Joints (name -> [x, y, depth] in body units, already turned) and the yaw in radians.

    The yaw is `yaw`, or where that is None as the motion has it.
    """
    rng = np.random.default_rng([seed, 17])
    phase = float(rng.uniform(0, 6.28)) + time_s * float(rng.uniform(4.5, 7.0))
    yaw = yaw_of(motion, seed, time_s) if yaw is None else yaw
    limbs = _angles(motion, phase, rng)
    leg, lean = 0.975 - look.hip_y, 0.02 * np.sin(phase)
    joints = {
        "hip": np.array([0.0, look.hip_y, 0.0]),
        "neck": np.array([lean, look.head + 0.045, 0.012]),
        "head": np.array([lean * 1.3, look.head * 0.5, 0.02]),
    }
    for name, side in (("l", -1.0), ("r", 1.0)):
        shoulder = (lean + side * look.shoulder * 0.88, look.head + 0.068, 0.0)
        hip = (side * look.hip * 0.58, look.hip_y, 0.0)
        arm = _limb_points(shoulder, 0.165, 0.145, side, *limbs[f"arm_{name}"])
        legs = _limb_points(hip, leg * 0.51, leg * 0.49, side, *limbs[f"leg_{name}"])
        joints |= dict(
            zip((f"shoulder_{name}", f"elbow_{name}", f"wrist_{name}"), arm, strict=True)
        )
        joints |= dict(zip((f"hip_{name}", f"knee_{name}", f"ankle_{name}"), legs, strict=True))
    drop = 0.975 - max(joints["ankle_l"][1], joints["ankle_r"][1])
    c, s = np.cos(yaw), np.sin(yaw)
    turned = {
        name: np.array([x * c + z * s, y + drop, z * c - x * s])
        for name, (x, y, z) in joints.items()
    }
    return turned, yaw
