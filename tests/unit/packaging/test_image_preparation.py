"""What may be done to an image on its way into a package: known answers, and bounds that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferrari.packaging.image_preparation import aligned, bucket, fitted, padded, with_alpha

SIDES = st.integers(64, 5000)


@given(SIDES, SIDES, st.integers(8, 256).map(lambda n: 8 * n))
def test_a_bucket_is_a_multiple_of_64_and_enlarges_nothing(wide, high, resolution):
    target = bucket((wide, high), resolution)
    assert all(side % 64 == 0 and side >= 64 for side in target)
    assert target[0] <= wide and target[1] <= high
    least_side = min(target)
    assert target[0] * target[1] <= resolution**2 or least_side == 64


def test_at_scale_1_pixels_are_cropped_around_the_subject_and_not_resampled():
    image = np.random.default_rng(1).integers(0, 256, (100, 200, 3), np.uint8)
    mask = np.zeros((100, 200), np.uint8)
    mask[10:90, 150:190] = 255
    picture, weights, scale = fitted(image, mask, (100, 100))
    assert scale == 1
    assert (picture == image[:, 100:200]).all() and (weights == mask[:, 100:200]).all()


@pytest.mark.parametrize("target", [(64, 64), (64, 128), (192, 64), (128, 128)])
def test_image_and_mask_are_cropped_and_scaled_alike(target):
    mask = np.zeros((301, 257), np.uint8)
    mask[40:200, 30:110] = 255
    image = np.repeat(mask[..., None], 3, 2)
    picture, weights, scale = fitted(image, mask, target)
    assert picture.shape == (*target[::-1], 3) and weights.shape == target[::-1]
    assert scale == pytest.approx(max(target[0] / 257, target[1] / 301))
    differing = np.abs(picture[..., 0].astype(int) - weights) > 64
    assert differing.mean() < 0.02  # the two filters differ at the edge, nowhere else
    assert weights.max() == 255


def test_what_fits_already_is_handed_back_itself():
    image, mask = np.zeros((64, 64, 3), np.uint8), np.ones((64, 64), np.uint8)
    assert fitted(image, mask, (64, 64))[0] is image


def test_masks_count_in_whole_cells_and_lose_none_of_the_subject():
    mask = np.zeros((20, 21), np.uint8)
    mask[7, 8] = 128  # one pixel that is half subject, in the second cell of the first row
    mask[12, 2] = 127
    mask[19, 20] = 255  # in the last cell, which is cut off
    cells = aligned(mask, 8)
    wanted = np.zeros_like(mask)
    wanted[:8, 8:16] = 255
    wanted[16:, 16:] = 255
    assert (cells == wanted).all()


def test_padding_puts_the_image_in_the_middle_of_one_colour():
    image, mask = np.full((4, 9, 3), 200, np.uint8), np.full((4, 9), 255, np.uint8)
    square, weights = padded(image, mask, (1, 2, 3))
    assert square.shape == (9, 9, 3) and (square[2:6] == 200).all()
    assert (square[[0, 1, 6, 7, 8]] == (1, 2, 3)).all()
    assert (weights[2:6] == 255).all() and weights.sum() == 255 * 36


def test_alpha_blends_towards_one_colour_and_keeps_what_is_opaque():
    image = np.array([[[255, 0, 9], [255, 0, 9], [255, 0, 9]]], np.uint8)
    mask = np.array([[0, 128, 255]], np.uint8)
    rgba = with_alpha(image, mask, (0, 255, 9))
    assert rgba.tolist() == [[[0, 255, 9, 0], [128, 127, 9, 128], [255, 0, 9, 255]]]
