"""Cuts are found between drawn shots; flashes, pans, light and people who move are none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.subject import shot_cuts
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

SIZE = {"width": 320, "height": 180, "fps": "6"}


def shot(seed: int, pictures: int, scene="room", **more) -> list[np.ndarray]:
    """`pictures` of a drawn clip, six a second."""
    spec = ClipSpec(seed=seed, scenes=(scene,), figures=(FigureSpec(seed=seed),), **SIZE, **more)
    return [render_frame(spec, number).frame_rgb for number in range(pictures)]


def place(seed: int, width=1200) -> np.ndarray:
    """A wide picture with much to see, to be panned over."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(30, 220, (15, width // 12, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, 180), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def test_cuts_lie_before_the_first_picture_of_a_shot():
    shots = [shot(1, 4), shot(2, 1, "outdoor"), shot(3, 5, "gallery"), shot(4, 3, "street")]
    pictures = [picture for one in shots for picture in one]
    assert [at for at, cut in enumerate(shot_cuts.cuts(pictures)) if cut] == [4, 5, 10]


@pytest.mark.parametrize("scene", ["room", "outdoor", "gallery", "street", "bokeh"])
def test_people_and_a_camera_that_move_are_no_cut(scene):
    assert not any(shot_cuts.cuts(shot(5, 8, scene)))


@pytest.mark.parametrize("step", [20, 60, -90], ids=["slow", "fast", "a quarter a picture"])
def test_a_pan_is_no_cut(step):
    wide = place(0)
    lefts = [(900 if step < 0 else 0) + step * number for number in range(9)]
    pictures = [wide[:, max(0, left) :][:, :320].astype(np.uint8) for left in lefts if left <= 880]
    assert len(pictures) > 4 and not any(shot_cuts.cuts(pictures))


@pytest.mark.parametrize("gain", [1.6, 0.5])
def test_more_or_less_light_is_no_cut(gain):
    pictures = shot(6, 6)
    lit = [np.clip(one * (gain if at >= 3 else 1.0), 0, 255) for at, one in enumerate(pictures)]
    assert not any(shot_cuts.cuts([one.astype(np.uint8) for one in lit]))


@pytest.mark.parametrize("level", [250, 3], ids=["white", "black"])
@pytest.mark.parametrize("long", [1, 2])
def test_a_flash_is_no_cut(level, long):
    pictures = shot(7, 8)
    for at in range(3, 3 + long):
        pictures[at] = (0.05 * pictures[at] + 0.95 * level).astype(np.uint8)
    assert not any(shot_cuts.cuts(pictures))


def test_a_flash_at_a_cut_hides_no_cut():
    pictures = [*shot(1, 4), *shot(2, 4, "outdoor")]
    pictures[3] = (0.05 * pictures[3] + 0.95 * 250).astype(np.uint8)
    assert any(shot_cuts.cuts(pictures)[3:5])


def test_a_short_shot_of_the_same_light_is_two_cuts():
    long, short = shot(1, 6), shot(2, 1, "outdoor")
    level = float(long[3].mean()) / float(short[0].mean())
    as_bright = np.clip(short[0] * level, 0, 255).astype(np.uint8)
    found = shot_cuts.cuts([*long[:3], as_bright, *long[3:]])
    assert [at for at, cut in enumerate(found) if cut] == [3, 4]


def newness(one, other) -> float:
    """What tells a cut, in full: (1 - the share of blocks kept) x the difference of colours."""
    a, b = shot_cuts._in_one_light(one, other)
    kept = min(shot_cuts._kept(x[..., 0], y[..., 0]) for x, y in ((a, b), (b, a)))
    return (1 - kept) * shot_cuts._colour_difference(a, b)


def test_what_is_left_out_to_be_fast_changes_no_verdict():
    shots = [shot(1, 3), shot(2, 2, "outdoor"), shot(3, 2, "gallery"), shot(4, 2, "street")]
    wide = place(0)
    shots.append([wide[:, 90 * n :][:, :320].astype(np.uint8) for n in range(3)])
    small = [shot_cuts._small(picture) for one in shots for picture in one]
    verdicts = set()
    for one in small:
        for other in small:
            told = newness(one, other) >= shot_cuts._NEW
            assert shot_cuts.is_new(one, other) == told
            verdicts.add(told)
    assert verdicts == {True, False}


def test_blocks_are_looked_for_only_where_colours_differ(monkeypatch):
    looked, kept = [], shot_cuts._kept
    monkeypatch.setattr(shot_cuts, "_kept", lambda *two: looked.append(1) or kept(*two))
    assert not any(shot_cuts.cuts(shot(5, 8)))
    assert len(looked) <= 2, "of seven pairs of pictures, one where a person turned at most"


def test_no_picture_one_picture_and_plain_ones():
    assert shot_cuts.cuts([]) == []
    grey = np.full((90, 160, 3), 128, np.uint8)
    assert shot_cuts.cuts([grey]) == [False]
    assert shot_cuts.cuts([grey] * 4) == [False] * 4
    assert shot_cuts.cuts([grey, grey[:, :80]]) == [False, True]  # another shape: another shot


def test_pictures_are_read_one_by_one():
    """A clip of hours is never in memory."""
    alive = 0

    class Picture(np.ndarray):
        def __del__(self):
            nonlocal alive
            alive -= 1

    def pictures():
        nonlocal alive
        for _ in range(20):
            alive += 1
            assert alive < 10
            yield np.zeros((40, 60, 3), np.uint8).view(Picture)

    alive = 0
    assert len(shot_cuts.cuts(pictures())) == 20
