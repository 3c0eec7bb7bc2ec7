"""The subject's colours against pymatting's, which computes them for every pixel."""

import cv2
import numpy as np
import pytest

from ferrari.matting import edge_colours, foreground, with_pymatting
from tests.unit.matting.test_closed_form import figure, hair


def everywhere(image_rgb, alpha_u8):
    return with_pymatting.estimate(image_rgb, alpha_u8, np.ones(alpha_u8.shape, bool)).astype(int)


def person(framing):
    image, _, net = figure(framing, 8)
    return image, np.rint(net * 255).astype(np.uint8)


def strands():
    image, _, net = hair()
    return image, np.rint(net * 255).astype(np.uint8)


def noise(height, width):
    rng = np.random.default_rng(height)
    return (
        rng.integers(0, 256, (height, width, 3), np.uint8),
        rng.integers(0, 256, (height, width), np.uint8),
    )


CASES = {
    "a whole person": lambda: person("full"),
    "a close one": lambda: person("close"),
    "hair": strands,
    "noise": lambda: noise(40, 50),
    "a row": lambda: noise(1, 40),
    "a column": lambda: noise(33, 1),
    "four pixels": lambda: noise(2, 2),
}


@pytest.mark.parametrize("case", CASES)
def test_colours_at_the_edge_are_those_of_the_whole_picture(case):
    image, alpha = CASES[case]()
    seen = (alpha > 0).astype(np.uint8)
    reach = 2 * edge_colours.BLEED_PX + 1
    wanted = (alpha < 255) & (cv2.dilate(seen, np.ones((reach, reach), np.uint8)) > 0)
    assert wanted.any()
    found = foreground.estimate(image, alpha, wanted)
    assert np.abs(found - everywhere(image, alpha))[wanted].max() <= 2
    assert not found[~wanted].any()


def test_a_single_pixel_keeps_its_colour():
    """Pymatting divides by zero there."""
    image = np.full((1, 1, 3), (10, 200, 60), np.uint8)
    found = foreground.estimate(image, np.full((1, 1), 255, np.uint8), np.ones((1, 1), bool))
    np.testing.assert_array_equal(found, image)


def test_only_what_is_asked_for_is_computed():
    """Nothing at all where nothing is wanted, and the same colours where less is."""
    image, alpha = person("half")
    edge = (alpha > 0) & (alpha < 255)
    assert not foreground.estimate(image, alpha, np.zeros_like(edge)).any()
    upper = edge.copy()
    upper[len(edge) // 2 :] = False
    whole, half = (foreground.estimate(image, alpha, part) for part in (edge, upper))
    assert np.abs(whole[upper].astype(int) - half[upper]).max() <= 2


def test_views_and_what_may_not_be_written_are_as_good_as_copies():
    image, alpha = person("half")
    window = np.s_[5:-7, 9:]
    wanted = np.ascontiguousarray(alpha[window] < 255)
    copies = foreground.estimate(image[window].copy(), alpha[window].copy(), wanted)
    image.flags.writeable = alpha.flags.writeable = False
    views = foreground.estimate(image[window], alpha[window], wanted)
    np.testing.assert_array_equal(views, copies)
