"""What is the same picture: a frozen one under noise or flicker is, small or dim motion is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.images.repeats import UNLIKE, compare_luma, luma_delta
from tests.settings import section

SETTINGS = section("extract")


def scene(height: int = 480, width: int = 640, contrast: float = 1.0) -> np.ndarray:
    """HxW float luma (16-235): smooth shapes and a texture; darker and flatter by `contrast`."""
    rng = np.random.default_rng(4)
    rough = cv2.resize(rng.uniform(0, 1, (9, 12)), (width, height), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (height, width)), (0, 0), 2)
    return 16 + contrast * np.clip(130 * rough + 60 * fine + 20, 0, 219)


def shot(picture: np.ndarray, noise: float = 0.0, seed: int = 0, by_light: bool = False):
    """A compare image of `picture` under a sensor's noise (levels; rising with light if asked)."""
    grain = np.random.default_rng(seed).normal(0, noise, picture.shape)
    if by_light:
        grain *= np.sqrt((picture + 8) / 128)
    return compare_luma(np.clip(picture + grain + 0.5, 0, 255).astype(np.uint8))


def repeats(a: np.ndarray, b: np.ndarray) -> bool:
    return luma_delta(a, b).is_repeat(SETTINGS)


@pytest.mark.parametrize("by_light", [False, True])
@pytest.mark.parametrize("contrast", [1.0, 0.12])
@pytest.mark.parametrize("noise", [0, 3, 10, 25])
def test_a_frozen_picture_repeats_itself_under_any_noise(noise, contrast, by_light):
    picture = scene(contrast=contrast)
    first = shot(picture, noise, 1, by_light)
    assert all(repeats(shot(picture, noise, seed, by_light), first) for seed in range(2, 8))


@pytest.mark.parametrize(("size", "contrast"), [(40, 1.0), (160, 0.12)])
@pytest.mark.parametrize("noise", [0, 5])
def test_what_moves_is_no_repeat_be_it_small_or_dim(size, contrast, noise):
    """A person of a twelfth of the height, and a large one in a tenth of the light."""
    before, after = scene(contrast=contrast), scene(contrast=contrast)
    before[200 : 200 + size, 300 : 300 + size // 2] = 16 + contrast * 30
    after[200 : 200 + size, 300 + size // 4 : 300 + 3 * size // 4] = 16 + contrast * 30
    delta = luma_delta(shot(after, noise, 1), shot(before, noise, 2))
    assert delta.mean < SETTINGS["duplicate_delta"], "the mean does not see it"
    assert not delta.is_repeat(SETTINGS)


def test_a_lamps_flicker_is_no_motion():
    picture = scene()
    delta = luma_delta(shot(picture * 1.01), shot(picture))
    assert delta.mean > 0.5 and delta.is_repeat(SETTINGS)


def test_light_that_changes_is_told_by_the_mean_alone():
    picture = scene()
    delta = luma_delta(shot(picture * 1.05), shot(picture))
    assert delta.mean > 3 and delta.block < 1
    assert not delta.is_repeat(SETTINGS)


def test_a_pan_is_no_repeat_although_no_block_stands_out():
    picture = scene()
    assert not repeats(shot(picture[:, 4:]), shot(picture[:, :-4]))


@pytest.mark.parametrize(("still", "names"), [((0, 0, 0.4, 1), "left"), ((0, 0, 1, 0.3), "top")])
def test_a_part_is_judged_by_the_blocks_that_it_touches(still, names):
    before, after = scene(), scene()
    after[300:400, 500:600] = 235
    whole = luma_delta(shot(after), shot(before))
    part = luma_delta(shot(after), shot(before), still)
    assert whole.block > 50 and part.block < 1 and part.noise == whole.noise
    assert luma_delta(shot(after), shot(before), (0.9, 0.7, 0.9, 0.7)).block > 50, names


@pytest.mark.parametrize("setting", ["duplicate_delta", "duplicate_block"])
def test_a_bound_of_zero_keeps_everything(setting):
    frozen = shot(scene(), noise=10)
    delta = luma_delta(frozen, shot(scene(), noise=10, seed=1))
    assert delta.is_repeat(SETTINGS) and not delta.is_repeat({**SETTINGS, setting: 0})


def test_nothing_to_compare_with_is_unlike():
    assert luma_delta(shot(scene()), None) == UNLIKE
    assert luma_delta(shot(scene()), shot(scene(width=480))) == UNLIKE
    assert not UNLIKE.is_repeat({"duplicate_delta": 255, "duplicate_block": 255})


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (5, 7)])
def test_pictures_smaller_than_a_block_are_compared_too(shape):
    dark, light = (np.full(shape, value, np.uint8) for value in (10, 200))
    assert luma_delta(dark, dark).is_repeat(SETTINGS)
    assert luma_delta(light, dark).mean == 190
