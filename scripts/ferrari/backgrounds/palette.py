"""Colours with plain names, so far apart that the name of one fits no other.

A name that is also a thing is followed by a word for the colour: "plain sand background" would be
read as a beach, "sand beige" is not.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np


class Colour(NamedTuple):
    """A plain English name and its sRGB value, 0-255 each."""

    name: str
    rgb: tuple[int, int, int]


PALETTE = (
    Colour("white", (255, 255, 255)),
    Colour("light grey", (204, 204, 204)),
    Colour("grey", (140, 140, 140)),
    Colour("dark grey", (78, 78, 78)),
    Colour("black", (12, 12, 12)),
    Colour("cream", (250, 240, 200)),
    Colour("beige", (224, 208, 184)),
    Colour("sand beige", (206, 178, 128)),
    Colour("tan", (182, 142, 102)),
    Colour("brown", (116, 74, 42)),
    Colour("dark brown", (62, 38, 24)),
    Colour("rust brown", (168, 76, 36)),
    Colour("terracotta orange", (204, 110, 84)),
    Colour("salmon pink", (246, 148, 128)),
    Colour("peach orange", (255, 208, 170)),
    Colour("orange", (248, 136, 24)),
    Colour("mustard yellow", (212, 164, 32)),
    Colour("yellow", (250, 222, 50)),
    Colour("pale yellow", (252, 244, 150)),
    Colour("olive", (118, 118, 38)),
    Colour("lime green", (164, 214, 46)),
    Colour("green", (52, 152, 56)),
    Colour("dark green", (22, 76, 42)),
    Colour("sage green", (156, 176, 140)),
    Colour("mint green", (172, 232, 200)),
    Colour("emerald green", (16, 168, 120)),
    Colour("teal", (16, 118, 120)),
    Colour("turquoise", (60, 204, 198)),
    Colour("light blue", (136, 194, 240)),
    Colour("blue", (36, 96, 214)),
    Colour("navy blue", (24, 34, 88)),
    Colour("slate blue", (92, 112, 142)),
    Colour("lavender purple", (200, 186, 236)),
    Colour("purple", (120, 50, 156)),
    Colour("dark purple", (62, 26, 82)),
    Colour("plum purple", (138, 64, 104)),
    Colour("magenta", (214, 32, 148)),
    Colour("pink", (250, 182, 204)),
    Colour("red", (212, 30, 38)),
    Colour("maroon", (108, 18, 32)),
)
BY_NAME = {colour.name: colour for colour in PALETTE}

# CIE XYZ of the sRGB primaries and of the D65 white (IEC 61966-2-1)
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.119192, 0.9503041],
    ]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])


def lab(rgb: np.ndarray | tuple[int, int, int]) -> np.ndarray:
    """CIELAB (D65), shape (..., 3) float64, of sRGB 0-255 of shape (..., 3)."""
    value = np.asarray(rgb, dtype=np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    ratio = linear @ _TO_XYZ.T / _WHITE
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def delta_e(lab_1: np.ndarray, lab_2: np.ndarray) -> np.ndarray:
    """CIEDE2000 difference of CIELAB colours of shape (..., 3).

    Formula and test data: Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", 2005.
    """
    l_1, a_1, b_1 = np.moveaxis(np.asarray(lab_1, dtype=np.float64), -1, 0)
    l_2, a_2, b_2 = np.moveaxis(np.asarray(lab_2, dtype=np.float64), -1, 0)
    mean_7 = ((np.hypot(a_1, b_1) + np.hypot(a_2, b_2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_7 / (mean_7 + 25**7))
    c_1, c_2 = np.hypot(stretch * a_1, b_1), np.hypot(stretch * a_2, b_2)
    h_1 = np.degrees(np.arctan2(b_1, stretch * a_1)) % 360
    h_2 = np.degrees(np.arctan2(b_2, stretch * a_2)) % 360
    grey = c_1 * c_2 == 0
    turn = np.where(grey, 0.0, (h_2 - h_1 + 180) % 360 - 180)
    d_l, d_c = l_2 - l_1, c_2 - c_1
    d_h = 2 * np.sqrt(c_1 * c_2) * np.sin(np.radians(turn / 2))
    mean_l, mean_c = (l_1 + l_2) / 2, (c_1 + c_2) / 2
    mean_h = np.radians(np.where(grey, h_1 + h_2, h_1 + turn / 2))
    t = (
        *(1 - 0.17 * np.cos(mean_h - np.radians(30)), 0.24 * np.cos(2 * mean_h)),
        *(0.32 * np.cos(3 * mean_h + np.radians(6)), -0.20 * np.cos(4 * mean_h - np.radians(63))),
    )
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * sum(t)
    blue = np.exp(-(((np.degrees(mean_h) % 360 - 275) / 25) ** 2))
    spin = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25**7)) * np.sin(np.radians(60 * blue))
    l_part, c_part, h_part = d_l / s_l, d_c / s_c, d_h / s_h
    return np.sqrt(l_part**2 + c_part**2 + h_part**2 + spin * c_part * h_part)


@functools.cache
def difference(colour: Colour, other: Colour) -> float:
    """CIEDE2000 difference of two colours; 1 is just seen, 10 at a glance."""
    return float(delta_e(lab(colour.rgb), lab(other.rgb)))


@functools.cache
def _palette_lab() -> np.ndarray:
    return lab(np.array([colour.rgb for colour in PALETTE]))


@functools.cache
def lightness(colour: Colour) -> float:
    """CIELAB L*, 0 (black) to 100 (white)."""
    return float(lab(colour.rgb)[0])


def nearest(rgb: np.ndarray | tuple[int, int, int]) -> Colour:
    """The palette's colour with the smallest CIEDE2000 difference from an sRGB value (0-255)."""
    return PALETTE[int(np.argmin(delta_e(_palette_lab(), lab(rgb))))]
