"""Grown masks are OpenCV's, pixel by pixel, whatever the mask and the reach."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.images.growing import grown


def by_opencv(mask, reach):
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), ellipse) > 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("reach", [1, 2, 7, 24])
@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (60, 2), (41, 53)])
def test_a_mask_of_noise(shape, reach, share):
    mask = np.random.default_rng(reach).random(shape) < share
    assert np.array_equal(grown(mask, reach), by_opencv(mask, reach))


def test_a_figure_with_a_hole_that_touches_the_border():
    mask = np.zeros((200, 150), bool)
    mask[40:, 30:100] = True
    mask[80:140, 50:80] = False
    assert np.array_equal(grown(mask, 20), by_opencv(mask, 20))


def test_a_single_pixel_becomes_the_ellipse():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert np.array_equal(grown(mask, 3)[1:8, 1:8], by_opencv(mask, 3)[1:8, 1:8])
    assert grown(mask, 3).sum() == cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)).sum()
