"""Backgrounds: shape and determinism of each style, and that what the caption says is so."""

import cv2
import numpy as np
import pytest

from ferrari.backgrounds import palette, plain_and_noise, procedural, recipes
from ferrari.backgrounds.recipes import Recipe
from ferrari.common.seeds import from_seed

STYLES = [style for kind in recipes.STYLES.values() for style in kind if style != "environment"]
NAMED_BY_MEDIAN = ["flat", "soft", "grain", "gradient", "bokeh", "room"]


def recipe(
    style: str, seed: int = 7, colours: tuple[str, ...] = ("dark green", "sand beige")
) -> Recipe:
    count = recipes.colours_needed(style)
    chosen = tuple(palette.BY_NAME[name] for name in colours[:count])
    return Recipe(0, seed, "flat", "flat", style, chosen, None, 1.0, (0.0, 0.0))


def drawn(count: int, kind: str) -> list[Recipe]:
    found = []
    for index in range(count):
        found += recipes.draw(
            seed=3,
            video="v",
            item=f"i{index}",
            variants=5,
            weights={kind: 1},
            scale=(1, 1),
            shift=0,
            scenes=[],
        )
    return found


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size_hw", [(90, 64), (61, 143), (2, 3)])
def test_every_style_paints_any_size(style, size_hw):
    picture = recipes.paint(recipe(style), size_hw)
    assert picture.shape == (*size_hw, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("style", STYLES)
def test_same_seed_same_bytes_whatever_the_threads(style):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        first = recipes.paint(recipe(style), (701, 503))
        cv2.setNumThreads(4)
        second = recipes.paint(recipe(style), (701, 503))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(first, second)


@pytest.mark.parametrize("style", [style for style in STYLES if style != "flat"])
def test_another_seed_another_picture(style):
    first = recipes.paint(recipe(style, seed=1), (80, 80)).astype(int)
    second = recipes.paint(recipe(style, seed=2), (80, 80)).astype(int)
    assert np.abs(first - second).mean() > 1


def test_the_colour_named_is_the_colour_shown():
    seen = set()
    for made in drawn(30, "flat") + drawn(60, "noise") + drawn(60, "synthetic"):
        if made.style not in NAMED_BY_MEDIAN:
            continue
        picture = recipes.paint(made, (120, 90))
        median = palette.lab(np.median(picture.reshape(-1, 3), axis=0))
        off = float(palette.delta_e(median, palette.lab(made.colours[0].rgb)))
        assert off < 11, f"{made.phrase}: {off:.1f}"
        seen.add(made.style)
    assert seen == set(NAMED_BY_MEDIAN)


def test_marble_shows_its_first_colour_most_and_its_second_too():
    for made in drawn(40, "synthetic"):
        if made.style != "marble":
            continue
        pixels = palette.lab(recipes.paint(made, (120, 90)).reshape(-1, 3)[::5])
        first, second = (
            (palette.delta_e(pixels, palette.lab(colour.rgb)) < 9).mean() for colour in made.colours
        )
        assert first > 0.25, made.phrase
        assert second > 0.005, made.phrase


def test_blend_runs_from_one_colour_to_the_other():
    picture = recipes.paint(recipe("blend", seed=4), (200, 200)).reshape(-1, 3)
    pixels = palette.lab(picture)
    for colour in recipe("blend").colours:
        assert palette.delta_e(pixels, palette.lab(colour.rgb)).min() < 3


def test_octaves_fill_0_to_1_and_are_smooth():
    field = plain_and_noise.octaves(from_seed(1), (200, 300), first=2, count=1)
    assert (field.min(), field.max()) == (0, 1)
    assert np.abs(np.diff(field, axis=0)).max() < 0.05
    assert np.abs(np.diff(field, axis=1)).max() < 0.05


def test_soft_noise_is_smooth_and_grain_is_not():
    colour = palette.BY_NAME["teal"].rgb
    soft = plain_and_noise.soft_noise(from_seed(1), (400, 400), colour).astype(int)
    grain = plain_and_noise.grain(from_seed(1), (400, 400), colour).astype(int)
    assert np.abs(np.diff(soft, axis=1)).mean() < 1
    assert np.abs(np.diff(grain, axis=1)).mean() > 4


def test_gaussian_blur_of_a_step_has_the_sigma_asked_for():
    step = np.zeros((64, 400, 3), dtype=np.uint8)
    step[:, 200:] = 255
    blurred = plain_and_noise.gaussian_blur(step, 20.0)[32, :, 0].astype(float)
    # A Gaussian's integral is 0.8413 one sigma past the step.
    assert np.interp(0.8413 * 255, blurred, np.arange(400)) - 199.5 == pytest.approx(20, abs=0.8)


def test_no_blur_is_the_picture_itself():
    picture = from_seed(1).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(plain_and_noise.gaussian_blur(picture, 0), picture)


@pytest.mark.parametrize("scene_hw", [(360, 640), (640, 360), (3, 500)])
def test_blurred_scene_fits_any_canvas(scene_hw):
    scene = from_seed(1).integers(0, 256, (*scene_hw, 3), dtype=np.uint8)
    picture = plain_and_noise.blurred_scene(from_seed(2), (150, 90), scene, 0.03)
    assert picture.shape == (150, 90, 3)


def test_blurred_scene_keeps_colours_and_loses_detail():
    checker = np.indices((360, 640)).sum(axis=0) // 4 % 2 * 200
    scene = np.repeat(checker[..., None], 3, axis=2).astype(np.uint8)
    picture = plain_and_noise.blurred_scene(from_seed(2), (600, 400), scene, 0.03)
    assert picture.mean() == pytest.approx(100, abs=4)
    assert picture.std() < 6


def test_blurred_scene_is_not_stretched():
    disc = np.zeros((400, 400, 3), dtype=np.uint8)
    cv2.circle(disc, (200, 200), 60, (255, 255, 255), -1)
    picture = plain_and_noise.blurred_scene(from_seed(5), (300, 300), disc, 0.0)[..., 0] > 128
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    assert abs(len(rows) - len(columns)) <= 2


def test_places_and_mirrorings_of_a_scene_vary():
    ramp = np.zeros((100, 300, 3), dtype=np.uint8)
    ramp[..., 0] = np.linspace(0, 255, 300)
    rising = [
        float(
            np.diff(
                plain_and_noise.blurred_scene(from_seed(s), (50, 50), ramp, 0)[25, :, 0].astype(int)
            ).sum()
        )
        for s in range(20)
    ]
    assert 4 <= sum(r > 0 for r in rising) <= 16


def test_room_has_its_floor_below_and_its_wall_above():
    wall, floor = palette.BY_NAME["light blue"], palette.BY_NAME["brown"]
    for seed in range(12):
        picture = procedural.room(from_seed(seed), (300, 200), wall.rgb, floor.rgb)
        top, bottom = np.median(picture[:60], axis=(0, 1)), np.median(picture[-12:], axis=(0, 1))
        assert palette.delta_e(palette.lab(top), palette.lab(wall.rgb)) < 12
        assert palette.delta_e(palette.lab(bottom), palette.lab(floor.rgb)) < 12
