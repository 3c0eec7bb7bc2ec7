"""The palette: names unique, colours told apart, the difference formula against published data."""

import itertools
import re

import numpy as np
import pytest

from ferrari.backgrounds import palette
from ferrari.backgrounds.palette import PALETTE, delta_e, lab, nearest


# Rows of table 1 in Sharma, Wu, Dalal (2005): Lab, Lab, difference. They cover the hue wrap-around,
# the grey axis, the blue rotation term and large differences.
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, -0.001, 2.49), (50, 0.0009, -2.49), 4.8045),
        ((50, 2.5, 0), (58, 24, 15), 19.4535),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
        ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_delta_e_matches_published_data(first, second, expected):
    assert float(delta_e(np.array(first), np.array(second))) == pytest.approx(expected, abs=5e-5)
    assert float(delta_e(np.array(second), np.array(first))) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((255, 255, 255), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((255, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 0, 255), (32.30, 79.19, -107.86)),
    ],
)
def test_lab_of_known_colours(rgb, expected):
    assert lab(rgb) == pytest.approx(np.array(expected), abs=0.02)


def test_names_are_unique_plain_words():
    names = [colour.name for colour in PALETTE]
    assert len(set(names)) == len(names) == 40
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)?", name) for name in names)


def test_each_name_ends_in_a_word_that_is_a_colour_before_it_is_a_thing():
    """Or "grainy sand background" is a beach, and "plain peach background" a fruit."""
    plain = (
        *("white", "grey", "black", "cream", "beige", "tan", "brown", "orange", "yellow", "olive"),
        *("green", "teal", "turquoise", "blue", "purple", "magenta", "pink", "red", "maroon"),
    )
    assert [c.name for c in PALETTE if c.name.split()[-1] not in plain] == []


def test_colours_are_told_apart_at_a_glance():
    closest = min(
        (palette.difference(one, other), one.name, other.name)
        for one, other in itertools.combinations(PALETTE, 2)
    )
    assert closest[0] > 9, closest


def test_nearest_finds_each_colour_from_a_little_off():
    for colour in PALETTE:
        moved = np.clip(np.add(colour.rgb, (4, -4, 4)), 0, 255)
        assert nearest(moved) == colour


@pytest.mark.parametrize(
    ("rgb", "name"),
    [((128, 128, 0), "olive"), ((0, 0, 128), "navy blue"), ((0, 128, 128), "teal")],
)
def test_css_colours_get_the_name_that_css_gives_them(rgb, name):
    assert nearest(rgb).name == name


def test_lightness():
    assert palette.lightness(palette.BY_NAME["white"]) == pytest.approx(100, abs=0.01)
    assert palette.lightness(palette.BY_NAME["black"]) < 5
