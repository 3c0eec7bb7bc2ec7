"""Who a person is (`Traits`): what the face, the hair and the build of an identity are like.

An identity is a seed. Clothes have a seed of their own (`dressed`), so that one person can be seen
in several outfits, and two people in the same.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from tests.generator.body import HAIRS, SKINS, Look, look_of

#: Hair of people with an identity: a hat would be clothing.
STYLES = ("short", "long", "bun", "curly", "bald", "bob", "tail")
IRISES = (
    (96, 60, 34), (60, 38, 26), (70, 120, 170), (110, 160, 200), (84, 132, 80), (130, 130, 84),
    (120, 124, 132), (36, 28, 26),
)  # fmt: skip
BEARDS = ("", "", "", "", "full", "goatee", "moustache", "stubble")
GLASSES = ("", "", "", "", "round", "square", "wide")
FRINGES = ("", "", "straight", "side_l", "side_r", "parted")
RIMS = ((24, 24, 28), (150, 40, 40), (40, 70, 130), (196, 160, 70), (90, 56, 32), (220, 220, 224))


@dataclass(frozen=True)
class Traits:
    """A face. Lengths across are shares of half its width, lengths down of half its height, both
    from the head's middle; colours are RGB 0..255; angles are in radians.
    """

    jaw: float  # half the width of the jaw
    chin: float  # half the width of the chin
    forehead: float  # half the width of the forehead
    eye_x: float  # from the nose to the middle of an eye
    eye_y: float
    eye_w: float
    eye_h: float
    eye_slant: float
    iris: tuple[float, ...]
    brow_gap: float  # from the middle of the eye up to the brow
    brow_w: float
    brow_h: float
    brow_slant: float
    brow_rgb: tuple[float, ...]
    nose_y: float
    nose_w: float
    nose_h: float
    mouth_y: float
    mouth_w: float
    lip_up: float
    lip_low: float
    lip_rgb: tuple[float, ...]
    beard: str
    beard_rgb: tuple[float, ...]
    glasses: str
    rim_rgb: tuple[float, ...]
    fringe: str
    cheeks: float  # how red they are, 0 to 1
    moles: tuple[tuple[float, float], ...]
    freckles: int
    marks: int  # seeds where the freckles lie


def _skin_of(rng: np.random.Generator) -> tuple[float, ...]:
    """A skin colour between two of the palette's neighbours in lightness."""
    palette = sorted(SKINS, key=sum)
    at = float(rng.uniform(0, len(palette) - 1))
    low, share = int(at), at - int(at)
    mixed = np.array(palette[low]) * (1 - share) + np.array(palette[low + 1]) * share
    return tuple(np.clip(mixed * rng.uniform(0.95, 1.05, 3), 0, 255).tolist())


def _lips(rng: np.random.Generator, skin: tuple[float, ...]) -> tuple[float, ...]:
    natural = (min(255.0, skin[0] * 0.72 + 25), skin[1] * 0.5, skin[2] * 0.5)
    if rng.uniform() < 0.3:  # painted
        hue = float(rng.choice([0.97, 0.99, 0.93, 0.85, 0.02]))
        return tuple(255 * c for c in colorsys.hsv_to_rgb(hue, 0.75, float(rng.uniform(0.45, 0.9))))
    return natural


@lru_cache(maxsize=4096)
def traits_of(identity: int) -> tuple[Traits, tuple[float, ...], tuple[float, ...], str]:
    """The face of an identity, its skin's and its hair's colour, and how the hair is worn."""
    rng = np.random.default_rng([identity, 43])
    between = lambda low, high: float(rng.uniform(low, high))  # noqa: E731
    pick = lambda options: options[int(rng.integers(len(options)))]  # noqa: E731
    skin = _skin_of(rng)
    hair = tuple(float(np.clip(c * between(0.9, 1.1), 0, 255)) for c in pick(HAIRS))
    brows = tuple(c * between(0.5, 0.95) for c in (hair if sum(hair) < 500 else (120, 100, 80)))
    face = Traits(
        jaw=between(0.66, 0.96), chin=between(0.2, 0.52), forehead=between(0.48, 0.74),
        eye_x=between(0.33, 0.5), eye_y=between(-0.1, 0.06), eye_w=between(0.13, 0.21),
        eye_h=between(0.055, 0.115), eye_slant=between(-0.28, 0.28), iris=pick(IRISES),
        brow_gap=between(0.13, 0.26), brow_w=between(0.15, 0.27), brow_h=between(0.018, 0.06),
        brow_slant=between(-0.35, 0.35), brow_rgb=brows,
        nose_y=between(0.24, 0.4), nose_w=between(0.1, 0.24), nose_h=between(0.16, 0.34),
        mouth_y=between(0.52, 0.68), mouth_w=between(0.2, 0.4), lip_up=between(0.02, 0.065),
        lip_low=between(0.03, 0.09), lip_rgb=_lips(rng, skin),
        beard=pick(BEARDS), beard_rgb=tuple(c * between(0.7, 1.05) for c in hair),
        glasses=pick(GLASSES), rim_rgb=pick(RIMS), fringe=pick(FRINGES),
        cheeks=between(0, 1) if rng.uniform() < 0.35 else 0.0,
        moles=tuple(
            (between(-0.6, 0.6), between(0.1, 0.8)) for _ in range(int(rng.choice([0, 0, 1, 2])))
        ),
        freckles=int(rng.choice([0, 0, 0, 14])), marks=identity,
    )  # fmt: skip
    return face, skin, hair, pick(STYLES)


@lru_cache(maxsize=4096)
def dressed(identity: int, outfit: int) -> Look:
    """The look of a person in an outfit.

    Heads are a little larger than those of figures without an identity: a face has to be told from
    others at 48 pixels.
    """
    face, skin, hair, style = traits_of(identity)
    rng = np.random.default_rng([identity, 47])
    build, clothes = float(rng.uniform(0.84, 1.22)), look_of(outfit)
    return replace(
        clothes,
        skin=skin,
        hair=hair,
        hair_style=style,
        head=float(rng.uniform(0.150, 0.164)),
        shoulder=0.112 * build * float(rng.uniform(0.9, 1.12)),
        hip=0.078 * build * float(rng.uniform(0.9, 1.15)),
        waist=0.078 * build * float(rng.uniform(0.85, 1.15)),
        limb=float(np.sqrt(build) * rng.uniform(0.9, 1.12)),
        hip_y=float(rng.uniform(0.485, 0.53)),
        glasses=False,
        beard=False,
        face=face,
    )
