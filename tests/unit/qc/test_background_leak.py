"""The leak probe: sets with a known leak are found out, sound ones are at chance."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from ferrari.matting.edge_colours import cut_out
from ferrari.qc import background_leak, edge_fringe
from ferrari.reports.checks import FAIL, PASS, WARN

CLIPS, CUTOUTS, VARIANTS = 6, 8, 2
HEIGHT, WIDTH = 150, 110


def table(clips=CLIPS, cutouts=CUTOUTS, variants=VARIANTS) -> pd.DataFrame:
    rows = [
        {"video": f"clip{v}", "parent": f"clip{v}-f{c}-p0", "item": f"clip{v}-f{c}-p0-v{k}"}
        for v in range(clips)
        for c in range(cutouts)
        for k in range(variants)
    ]
    return pd.DataFrame(rows)


def scene(seed: int) -> np.ndarray:
    """Blotches of a clip's own colours."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 235, 3) + rng.normal(0, 30, (5, 4, 3))
    fine = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip(fine + rng.normal(0, 3, fine.shape), 0, 255).astype(np.uint8)


def figure(clip: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Alpha (uint8, soft by two pixels) and colours of a subject in its clip's clothes."""
    rng = np.random.default_rng([clip, number, 7])
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    middle, wide = WIDTH * rng.uniform(0.42, 0.58), WIDTH * rng.uniform(0.2, 0.28)
    away = (np.hypot((x - middle) / wide, (y - HEIGHT * 0.6) / (HEIGHT * 0.35)) - 1) * wide
    clothes = np.random.default_rng([clip, 9]).integers(30, 225, 3)
    colours = clothes + 25 * np.sin(y / 9)[..., None] + rng.normal(0, 3, (HEIGHT, WIDTH, 3))
    alpha = np.clip(0.5 - away / 2, 0, 1)
    return np.rint(alpha * 255).astype(np.uint8), np.clip(colours, 0, 255)


def over(alpha_u8: np.ndarray, front: np.ndarray, back: np.ndarray) -> np.ndarray:
    alpha = alpha_u8[..., None] / 255
    return np.rint(alpha * front + (1 - alpha) * back).astype(np.uint8)


def images_of(row) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Crop, alpha, cut-out colours as the pipeline estimates them, and a new background."""
    clip, number = int(row.video[4:]), int(row.parent.split("-f")[1][0])
    alpha_u8, colours = figure(clip, number)
    crop = over(alpha_u8, colours, scene(clip))
    rng = np.random.default_rng([clip, number, int(row.item[-1]), 3])
    fresh = np.clip(rng.integers(0, 256, 3) + rng.normal(0, 8, crop.shape), 0, 255)
    rgba = cut_out(crop, alpha_u8 / 255)
    return crop, alpha_u8, rgba[..., :3], fresh.astype(np.uint8)


@pytest.fixture(scope="module")
def drawn():
    return background_leak.sample(table())


@pytest.fixture(scope="module")
def pictures(drawn):
    rows = table().loc[drawn.index]
    return [images_of(row) for row in rows.itertuples()]


def fringe_results(pictures, drawn, paint):
    """The checks of both sides, by side, of images that `paint` makes: picture, alpha, crop."""
    found = edge_fringe.of_clips([edge_fringe.fringe(*paint(*one)) for one in pictures], drawn)
    return dict(zip(edge_fringe.SIDES, edge_fringe.fringe_checks(found, 0.15), strict=True))


def ours(crop, alpha_u8, front, fresh):
    return over(alpha_u8, front, fresh), alpha_u8, crop


def wide_mask(crop, alpha_u8, front, fresh):
    """The mask goes two pixels too far, and takes the scene along."""
    wide = cv2.dilate(alpha_u8, np.ones((5, 5), np.uint8))
    return over(wide, crop, fresh), wide, crop


def halo_outside(crop, alpha_u8, front, fresh):
    """Two pixels of the scene around the mask, which itself is right."""
    wide = cv2.dilate(alpha_u8, np.ones((5, 5), np.uint8))
    picture = over(alpha_u8, front, fresh)
    ring = (wide > 0) & (alpha_u8 == 0)
    picture[ring] = crop[ring]
    return picture, alpha_u8, crop


def test_original_backgrounds_are_found_out(pictures, drawn):
    features = [background_leak.backdrop(crop, alpha) for crop, alpha, *_ in pictures]
    check = background_leak.backdrop_check(features, [""] * len(drawn), drawn, 0.1)
    assert check.status == FAIL, check.figure


def test_new_backgrounds_are_at_chance(pictures, drawn):
    features = [background_leak.backdrop(ours(*one)[0], one[1]) for one in pictures]
    check = background_leak.backdrop_check(features, [""] * len(drawn), drawn, 0.1)
    assert check.status == PASS, check.figure
    answer = background_leak.probe_score(np.stack(features), drawn)
    assert answer.interval[0] < 1 / CLIPS < answer.interval[1]


@pytest.mark.parametrize(("right", "status"), [(8, PASS), (11, PASS), (24, FAIL)])
def test_a_leak_that_may_be_chance_is_no_fail(drawn, monkeypatch, right, status):
    """11 of 24 among three clips is a leak of 19%, and its interval begins below chance."""
    answer = background_leak.ProbeScore(right, 24, 3)
    monkeypatch.setattr(background_leak, "probe_score", lambda *_: answer)
    nothing = [np.zeros(3, np.float32)] * len(drawn)
    check = background_leak.backdrop_check(nothing, [""] * len(drawn), drawn, 0.1)
    assert check.status == status and f"{right / 24:.1%} right" in check.figure


def test_a_scene_lent_to_one_clip_alone_tells_it(drawn):
    same = [np.zeros(3, np.float32)] * len(drawn)
    check = background_leak.backdrop_check(same, [f"of {v}" for v in drawn["video"]], drawn, 0.1)
    assert "lent scene alone 100.0%" in check.figure


def test_neither_the_outline_nor_the_size_is_in_the_features():
    rng = np.random.default_rng(3)
    for shape in ((200, 120), (640, 400)):
        picture = np.full((*shape, 3), (40, 120, 200), np.uint8)
        narrow, wide = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        narrow[40:160, 50:70] = 255
        wide[20:, 20:100] = 255
        painted = picture.copy()
        painted[wide > 0] = rng.integers(0, 255, (int((wide > 0).sum()), 3))
        a, b = background_leak.backdrop(picture, narrow), background_leak.backdrop(painted, wide)
        np.testing.assert_allclose(a, b, atol=1e-4)
        np.testing.assert_allclose(a[64:112], 0, atol=1e-4)
    assert not background_leak.backdrop(picture, np.full(shape, 255, np.uint8)).any()


def test_a_clean_fringe_passes_whatever_the_clothes(pictures, drawn):
    found = fringe_results(pictures, drawn, ours)
    assert {check.status for check in found.values()} == {PASS}, found


@pytest.mark.parametrize(
    ("paint", "side"), [(wide_mask, "inside"), (halo_outside, "outside")], ids=["mask", "halo"]
)
def test_two_pixels_of_the_scene_are_found(pictures, drawn, paint, side):
    found = fringe_results(pictures, drawn, paint)
    assert found[side].status == FAIL
    assert "told: 100.0% right" in found[side].figure


def test_colours_that_nobody_cleaned_are_found(pictures, drawn):
    def as_filmed(crop, alpha_u8, front, fresh):
        return over(alpha_u8, crop, fresh), alpha_u8, crop

    assert fringe_results(pictures, drawn, as_filmed)["inside"].status == FAIL


def test_one_bad_clip_among_many_only_warns():
    shares = [0.01, 0.0, 0.02, -0.01, 0.0, 0.6]
    clips = pd.DataFrame({"video": list("abcdef"), "side": "inside", "share": shares, "match": 0.0})
    check = edge_fringe.fringe_checks(clips, 0.15)[0]
    assert (check.status, check.rows) == (WARN, ("f",))


def test_too_small_a_set_says_so():
    few = background_leak.sample(table(clips=2))
    assert len(few) == 0
    check = background_leak.backdrop_check([], [], few, 0.1)
    assert check.status == PASS and check.figure.startswith("not measurable")
    assert edge_fringe.fringe_checks(edge_fringe.of_clips([], few), 0.1)[0].figure == check.figure


def test_the_sample_is_bounded_balanced_and_does_not_hang_on_order():
    rows = table(clips=40, cutouts=30, variants=3)
    found = background_leak.sample(rows)
    assert found.groupby("video").size().tolist() == [16] * background_leak.MAX_CLIPS
    assert found["parent"].is_unique  # there are enough cut-outs
    shuffled = background_leak.sample(rows.sample(frac=1, random_state=5))
    assert sorted(shuffled.index) == sorted(found.index)


def test_variants_of_one_cutout_share_a_fold():
    found = background_leak.sample(table(cutouts=5, variants=4))
    assert found.groupby("video").size().tolist() == [16] * CLIPS
    assert found.groupby("parent")["fold"].nunique().max() == 1


def test_interval_and_leak_are_those_of_the_books():
    answer = background_leak.ProbeScore(right=10, total=40, clips=4)
    assert answer.interval == pytest.approx((0.1269, 0.4120), abs=1e-4)  # Clopper and Pearson
    assert answer.leak(answer.share) == pytest.approx(0)
    assert answer.leak(1.0) == 1
