"""Flicker: an arm lost for a frame is found, motion is not."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

from ferrari.qc import mask_flicker

HEIGHT, WIDTH = 400, 300


def body(x: float = 150, arm: float = 0.0, arms: int = 2, scale: float = 1.0) -> np.ndarray:
    """Alpha of a figure at `x` with its arms at an angle (radians)."""
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    at = lambda dx, dy: (round(x + dx * scale), round(200 + dy * scale))  # noqa: E731
    cv2.circle(alpha, at(0, -110), round(30 * scale), 255, -1)
    cv2.rectangle(alpha, at(-35, -80), at(35, 130), 255, -1)
    for side in (-1, 1)[:arms]:
        hand = at(side * (35 + 70 * np.cos(arm)), -60 + 70 * np.sin(arm))
        cv2.line(alpha, at(side * 35, -60), hand, 255, max(1, round(22 * scale)))
    return alpha


def found(masks: list[np.ndarray], max_flicker: float = 0.06) -> pd.DataFrame:
    items = [f"v-f{n:06d}-p0" for n in range(len(masks))]
    kept = pd.DataFrame({"video": "v", "item": items, "width": WIDTH, "height": HEIGHT})
    cells = mask_flicker.cell_sizes(kept)
    shapes = [mask_flicker.silhouette(a, cell) for a, cell in zip(masks, cells, strict=True)]
    return mask_flicker.find(kept, pd.Series(shapes, index=kept.index, dtype=object), max_flicker)


def test_an_arm_lost_for_one_frame_is_flagged_and_nothing_else():
    masks = [body(x=110 + 6 * n, arm=0.1 * n, arms=1 if n == 6 else 2) for n in range(12)]
    answer = found(masks)
    flagged = answer[answer["flagged"]]
    assert flagged["item"].tolist() == ["v-f000006-p0"]
    assert flagged["before"].tolist() == ["v-f000005-p0"]
    assert flagged["area_ratio"].item() < 0.95


@pytest.mark.parametrize("pace", [0.02, 0.1, 0.25])
def test_steady_motion_is_not_flagged(pace):
    masks = [body(100 + 8 * n, pace * n, scale=1 - 0.02 * n) for n in range(12)]
    assert not found(masks)["flagged"].any()


def test_a_step_or_a_wave_that_comes_back_is_not_flagged():
    masks = [body(arm=0.9 if n % 2 else 0.2) for n in range(12)]
    answer = found(masks)
    assert not answer["flagged"].any(), answer


def test_a_crop_that_moves_around_a_still_subject_is_no_change():
    masks = [body(x) for x in (100, 187, 120, 171, 143)]
    assert found(masks)["flicker"].abs().max() < 0.02


def test_a_restless_clip_sets_its_own_bound():
    angles = np.random.default_rng(3).uniform(-0.15, 0.15, 16)
    answer = found([body(arm=angle) for angle in angles], max_flicker=0.03)
    assert answer["flicker"].max() > 0.03 < answer["threshold"].min()
    assert not answer["flagged"].any()


def test_a_clip_that_flickers_throughout_has_no_excuse():
    masks = [body(arms=n % 2 * 2) for n in range(12)]
    assert found(masks, max_flicker=0.03)["flagged"].all()


def test_clips_and_subjects_are_kept_apart():
    items = ["a-f000001-p0", "a-f000001-p1", "a-f000002-p0", "a-f000002-p1", "a-f000003-p0"]
    kept = pd.DataFrame({"video": [*"aaaaa", "b"], "item": [*items, "b-f000004-p0"]})
    shape = mask_flicker.silhouette(body(), 12.0)
    answer = mask_flicker.find(kept, pd.Series([shape] * 6, index=kept.index), 0.06)
    assert answer["item"].tolist() == ["a-f000002-p0"]


def test_no_subject_no_silhouette():
    assert mask_flicker.silhouette(np.zeros((20, 20), np.uint8), 2.0) == b""
    assert mask_flicker.silhouette(body(), float("nan")) == b""
