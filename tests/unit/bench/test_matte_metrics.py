"""Matte metrics against answers known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from bench import matte_metrics
from bench.matte_metrics import composite_error, connectivity_error, errors


def square() -> np.ndarray:
    alpha = np.zeros((40, 40))
    alpha[5:25, 5:25] = 1
    return alpha


def test_an_island_costs_its_pixels_and_an_equal_matte_nothing():
    truth, island = square(), square()
    island[30:33, 30:33] = 1
    assert connectivity_error(truth, truth) == 0
    assert connectivity_error(island, truth) == pytest.approx(9 / 1000)


def test_half_alpha_that_hangs_on_costs_what_is_missing():
    truth, half = square(), square()
    half[5:25, 20:25] = 0.5  # 100 pixels: both hang on at 0.5, truth has 0.5 beyond it
    assert connectivity_error(half, truth) == pytest.approx(50 / 1000)
    near = square()
    near[5:25, 20:25] = 0.9  # less than 0.15 is let pass
    assert connectivity_error(near, truth) == pytest.approx(0)


def test_colour_error_is_the_mean_difference_at_the_edge():
    truth = square()
    truth[5:25, 25] = 0.5
    back = np.full((40, 40, 3), 100, np.uint8)
    front = np.full((40, 40, 3), 200, np.uint8)
    wanted = truth[..., None] * front + (1 - truth[..., None]) * back
    rgba = np.dstack([front, np.rint(truth * 255)]).astype(np.uint8)
    assert composite_error(rgba, back, wanted, truth) < 0.05
    darker = rgba.copy()
    darker[..., :3] -= 20
    band = truth[:33, 17:34]  # what lies within 8 px of the soft column, corners aside
    assert 0 < composite_error(darker, back, wanted, truth) < 20 * band.max()
    assert composite_error(darker, back, wanted, square()) == 0  # no soft edge, nothing to judge


def test_errors_are_named_and_in_units_of_the_paper():
    blank, full = np.zeros((10, 100), np.uint8), np.full((10, 100), 255, np.uint8)
    found = errors(full, blank)
    assert found["SAD"] == pytest.approx(1.0) and found["MSE"] == 1
    assert list(found) == ["SAD", "MSE", "Grad", "Conn"]


def test_metrics_have_known_values():
    a, b = np.zeros((10, 10)), np.zeros((10, 10))
    a[:5], b[:, :5] = 1, 1
    assert matte_metrics.iou(a, b) == pytest.approx(25 / 75)
    assert matte_metrics.sad(a, b) == pytest.approx(0.05)
    assert matte_metrics.mse(a, b * 0.5) == pytest.approx((25 * 0.25 + 25 * 1 + 25 * 0.25) / 100)
    assert matte_metrics.iou(a * 0, b * 0) == 1.0
    assert matte_metrics.gradient_error(a, a) == 0.0


def test_the_gradient_of_a_ramp_is_its_slope():
    ramp = np.tile(np.arange(64) / 64, (64, 1))
    flat = np.full((64, 64), 0.5)
    inner = np.s_[10:-10, 10:-10]
    np.testing.assert_allclose(
        matte_metrics._gradient_magnitude(ramp, 1.4)[inner], 1 / 64, rtol=0.02
    )
    assert matte_metrics.gradient_error(ramp, flat) == pytest.approx(
        64 * 64 / 64**2 / 1000, rel=0.1
    )
