"""Matrices and curves against the standards' own numbers."""

import cv2
import numpy as np
import pytest

from ferrari.video.colour_conversion import (
    CHROMATICITIES,
    CONVERTED_CURVES,
    SHOWN_CURVES,
    SHOWN_PRIMARIES,
    is_shown_unchanged,
    srgb_to_light,
    to_bt709,
    to_srgb,
    to_xyz,
)
from ferrari.video.colours import PRIMARIES, TRANSFERS
from ferrari.video.hdr import HDR_TRANSFERS
from ferrari.video.ycbcr import between_matrices

GREY_LEVELS = np.arange(256)


@pytest.mark.parametrize(
    ("primaries", "red", "blue"),
    [("bt709", 0.2126, 0.0722), ("bt2020", 0.2627, 0.0593), ("smpte240m", 0.2124, 0.0865)],
)
def test_luma_weights_follow_from_the_primaries(primaries, red, blue):
    """They are those that BT.709-6, BT.2020-2 and SMPTE 240M state."""
    weights = to_xyz(primaries)[1]
    assert np.allclose(weights, [red, 1 - red - blue, blue], atol=2e-4)


KNOWN = {
    # ITU-R BT.2407-0, section 2.2
    "bt2020": [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
    # CSS Color 4: display-p3 to XYZ, and that to srgb-linear
    "display-p3": [[1.2249, -0.2249, 0.0], [-0.0420, 1.0420, 0.0], [-0.0196, -0.0786, 1.0983]],
    "bt709": np.eye(3),
}


@pytest.mark.parametrize("primaries", KNOWN)
def test_matrices_between_primaries_are_the_published_ones(primaries):
    assert np.allclose(to_bt709(primaries), KNOWN[primaries], atol=5e-4)


@pytest.mark.parametrize("primaries", CHROMATICITIES)
def test_white_stays_white(primaries):
    assert np.allclose(to_bt709(primaries) @ np.ones(3), 1, atol=1e-3)


def test_every_name_of_a_tag_has_a_curve_and_primaries():
    curves = {*SHOWN_CURVES, *CONVERTED_CURVES, *HDR_TRANSFERS.values()}
    assert set(TRANSFERS.values()) == curves
    assert set(PRIMARIES.values()) == set(CHROMATICITIES) >= SHOWN_PRIMARIES


@pytest.mark.parametrize(
    ("curve", "signal", "light"),
    [
        ("linear", 0.5, 0.5),
        ("log100", 0.5, 0.1),
        ("log100", 0.0, 0.0),
        ("log316", 0.6, 0.1),
        ("smpte428", 0.5, 52.37 / 48 * 0.5**2.6),
    ],
)
def test_curves_that_become_srgbs(curve, signal, light):
    assert CONVERTED_CURVES[curve](np.array(signal)) == pytest.approx(light, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("transfer", SHOWN_CURVES)
def test_grey_of_other_primaries_stays_as_it_was(transfer):
    levels = (GREY_LEVELS * 257).astype(np.uint16)
    grey = np.repeat(levels[None, :, None], 3, axis=2)
    shown = to_srgb(grey, 65535, transfer, "bt2020").astype(int)
    assert np.abs(shown - GREY_LEVELS[None, :, None]).max() <= 1


def test_linear_light_becomes_srgb():
    light = np.rint(srgb_to_light(GREY_LEVELS / 255) * 65535).astype(np.uint16)
    shown = to_srgb(np.repeat(light[None, :, None], 3, axis=2), 65535, "linear", "bt709")
    assert np.abs(shown[0, :, 0].astype(int) - GREY_LEVELS).max() <= 1


def test_levels_above_white_are_white():
    bright = np.full((2, 2, 3), 65535, np.uint16)
    assert (to_srgb(bright, 65280, "bt709", "bt2020") == 255).all()


def test_what_players_leave_alone_is_left_alone():
    assert is_shown_unchanged("bt709", "smpte170m") and is_shown_unchanged("gamma28", "bt470bg")
    assert not is_shown_unchanged("bt709", "bt2020") and not is_shown_unchanged("linear", "bt709")
    assert not is_shown_unchanged("pq", "bt709")


def test_rgb_of_the_wrong_matrix_is_taken_back_and_made_by_the_right_one():
    """As Decord's kernel for GPUs has it: BT.601 whatever the clip says, in 8 bits."""
    ycbcr = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}

    def decoded(signals, matrix):
        red, blue = ycbcr[matrix]
        luma, cb, cr = signals
        r, b = luma + 2 * (1 - red) * cr, luma + 2 * (1 - blue) * cb
        return np.stack([r, (luma - red * r - blue * b) / (1 - red - blue), b], -1)

    rng = np.random.default_rng(7)
    signals = np.array([rng.uniform(0.3, 0.7, 4000), *rng.uniform(-0.15, 0.15, (2, 4000))])
    taken = np.rint(255 * decoded(signals, "bt601")).astype(np.uint8)[None]
    right = 255 * decoded(signals, "bt709")[None]
    assert np.abs(taken - right).max() > 15
    put_right = cv2.transform(taken, between_matrices("bt601", "bt709"))
    assert np.abs(put_right - right).max() <= 2
    assert between_matrices("bt709", "bt709") is None
