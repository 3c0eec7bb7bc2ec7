"""Bytes to network inputs by a table: the very floats of the formula."""

import numpy as np
import pytest

from ferrari.networks.input_tensors import planes, scale_table


@pytest.mark.parametrize(
    ("mean", "std"),
    [([0, 0, 0], [255, 255, 255]), ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])],
)
def test_the_table_gives_the_formulas_floats(mean, std):
    image = np.random.default_rng(0).integers(0, 256, (33, 20, 3), np.uint8)
    wanted = (image.astype(np.float32) - np.float32(mean)) / np.float32(std)
    tensor = planes(image, scale_table(mean, std))
    assert tensor.shape == (1, 3, 33, 20) and tensor.flags.c_contiguous
    np.testing.assert_array_equal(tensor[0], wanted.transpose(2, 0, 1))
