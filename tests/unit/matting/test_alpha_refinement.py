"""Mattes against answers that are known."""

import numpy as np
import pytest

from bench import matte_metrics
from ferrari.images import boxes
from ferrari.matting import alpha_refinement, closed_form, edge_colours, engines

SUBJECT, SCENE = (200, 60, 40), (30, 160, 220)


def disc(size=96, radius=28.0, softness=4.0):
    """Alpha of a disc whose edge is `softness` px wide."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    return np.clip((radius - np.hypot(x, y)) / softness + 0.5, 0, 1)


def composite(alpha, noise=3.0, seed=0):
    """The subject's colour over the scene's, with some noise, as a camera would see it."""
    mixed = alpha[..., None] * SUBJECT + (1 - alpha[..., None]) * np.asarray(SCENE)
    mixed = mixed + np.random.default_rng(seed).normal(0, noise, mixed.shape)
    return np.clip(mixed, 0, 255).astype(np.uint8)


def test_the_trimaps_band_is_as_wide_as_asked():
    alpha = np.zeros((5, 40), np.float32)
    alpha[:, 20:] = 1
    trimap = alpha_refinement.trimap_from_alpha(alpha, edge_px=3)
    assert trimap[2].tolist() == [0] * 17 + [128] * 6 + [255] * 17


def test_what_the_net_is_unsure_of_is_unknown_wherever_it_lies():
    alpha = np.zeros((40, 40), np.float32)
    alpha[10:30, 10:30] = 1
    alpha[1, 1], alpha[20, 20], alpha[1, 5] = 0.3, 0.6, 0.05
    trimap = alpha_refinement.trimap_from_alpha(alpha, edge_px=2)
    assert (trimap[1, 1], trimap[20, 20], trimap[1, 5]) == (128, 128, 0)


def test_a_subject_that_leaves_the_picture_has_no_edge_there():
    alpha = np.zeros((40, 40), np.float32)
    alpha[20:] = 1
    trimap = alpha_refinement.trimap_from_alpha(alpha, edge_px=4)
    assert (trimap[-1] == 255).all() and (trimap[30:, 0] == 255).all()


def test_a_badge_inside_the_subject_is_filled_and_a_gap_is_not():
    alpha = disc(softness=1.0)
    alpha[30:40, 30:40] = 0.4  # a badge in the scene's colour
    alpha[55:65, 55:65] = 0.4  # a gap: its middle is scene
    alpha[59:61, 59:61] = 0.0
    filled, count = alpha_refinement.fill_islands(alpha)
    assert count == 100 and (filled[30:40, 30:40] == 1).all()
    rest = np.ones_like(alpha, bool)
    rest[30:40, 30:40] = False
    np.testing.assert_array_equal(filled[rest], alpha[rest].astype(np.float32))
    haze = np.full((20, 20), 0.4)
    assert alpha_refinement.fill_islands(haze)[1] == 0, "what reaches the border is no island"
    refined = alpha_refinement.refine_alpha(composite(disc(softness=1.0)), alpha, 4)
    assert refined.detail == "filled 100 px inside the subject"
    assert (refined.alpha[30:40, 30:40] == 1).all()


@pytest.mark.parametrize("offset", [-3, 3], ids=["net too small", "net too large"])
def test_refinement_moves_a_wrong_edge_towards_the_truth(offset):
    truth = disc()
    net = disc(radius=28 + offset, softness=1.0)
    refined = alpha_refinement.refine_alpha(composite(truth), net, edge_px=8)
    assert refined.refined and refined.detail == ""
    assert matte_metrics.mse(refined.alpha, truth) < 0.1 * matte_metrics.mse(net, truth)
    assert matte_metrics.gradient_error(refined.alpha, truth) < matte_metrics.gradient_error(
        net, truth
    )


def test_where_colours_cannot_tell_the_net_decides():
    net = disc(softness=3.0)
    grey = np.full((96, 96, 3), 128, np.uint8)
    refined = alpha_refinement.refine_alpha(grey, net, edge_px=4)
    assert refined.refined
    assert matte_metrics.iou(refined.alpha, net) > 0.97


def test_a_large_crop_is_solved_at_a_bounded_size_and_says_so():
    truth = disc(size=160, radius=60)
    refined = alpha_refinement.refine_alpha(
        composite(truth), disc(160, 57, 1.0), 8, max_pixels=80 * 80
    )
    assert refined.refined and refined.detail.startswith("refined at ")
    wide, high = map(int, refined.detail.split()[-1].split("x"))
    assert wide * high <= 80 * 80 * 1.05
    assert refined.alpha.shape == truth.shape
    assert matte_metrics.iou(refined.alpha, truth) > 0.97


def test_a_solver_that_fails_keeps_the_nets_alpha_and_says_so(monkeypatch):
    monkeypatch.setattr(closed_form, "MAX_ITERATIONS", 1)
    net = disc(radius=25, softness=1.0)
    refined = alpha_refinement.refine_alpha(composite(disc()), net, edge_px=8)
    assert not refined.refined
    assert "did not converge" in refined.detail
    np.testing.assert_array_equal(refined.alpha, net.astype(np.float32))


def test_a_crop_that_is_too_thin_keeps_the_nets_alpha_and_is_not_called_refined():
    alpha = np.linspace(0, 1, 40, dtype=np.float32)[:, None].repeat(2, axis=1)
    found = alpha_refinement.refine_alpha(composite(alpha), alpha, edge_px=4)
    assert not found.refined and "too thin" in found.detail
    np.testing.assert_array_equal(found.alpha, alpha)


def test_the_same_crop_gives_the_same_alpha():
    first, second = (
        alpha_refinement.refine_alpha(composite(disc()), disc(radius=26), 8) for _ in range(2)
    )
    np.testing.assert_array_equal(first.alpha, second.alpha)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_crop_without_an_edge_stays_as_it_is(value):
    alpha = np.full((20, 20), value, np.float32)
    refined = alpha_refinement.refine_alpha(np.zeros((20, 20, 3), np.uint8), alpha, 4)
    np.testing.assert_array_equal(refined.alpha, alpha)


def test_a_cut_out_keeps_the_subjects_own_pixels():
    alpha, image = disc(), composite(disc())
    cutout = edge_colours.cut_out(image, alpha)
    solid = cutout[..., 3] == 255
    assert solid.sum() > 1000
    np.testing.assert_array_equal(cutout[solid][:, :3], image[solid])
    np.testing.assert_array_equal(cutout[..., 3], np.rint(alpha * 255).astype(np.uint8))


def test_no_colour_of_the_scene_is_left_at_the_edge():
    """Red rises and blue falls towards the subject: a mixture would lie between the two."""
    alpha, image = disc(), composite(disc(), noise=0)
    cutout = edge_colours.cut_out(image, alpha)
    edge = (cutout[..., 3] > 0) & (cutout[..., 3] < 255)
    assert np.abs(cutout[edge][:, :3].astype(int) - SUBJECT).max() <= 20
    bare = edge_colours.cut_out(image, alpha, foreground=False)
    np.testing.assert_array_equal(bare[edge][:, :3], image[edge])
    assert np.abs(bare[edge][:, :3].astype(int) - SUBJECT).max() > 100


@pytest.mark.parametrize("foreground", [True, False])
def test_nothing_of_the_scene_hides_below_alpha_0(foreground):
    """The scene's colour changes from pixel to pixel; none of it may be found there."""
    alpha = np.zeros((100, 100))
    alpha[40:60, 40:60] = 1
    scene = np.random.default_rng(3).integers(0, 256, (100, 100, 3), np.uint8)
    scene[40:60, 40:60] = SUBJECT
    cutout = edge_colours.cut_out(scene, alpha, foreground)
    hidden = cutout[..., 3] == 0
    colours = {tuple(map(int, colour)) for colour in cutout[hidden][:, :3]}
    assert colours <= {SUBJECT, (0, 0, 0)}
    assert tuple(cutout[40 - edge_colours.BLEED_PX, 50, :3]) == SUBJECT
    assert tuple(cutout[40 - edge_colours.BLEED_PX - 1, 50, :3]) == (0, 0, 0)


def test_an_empty_alpha_gives_an_empty_cut_out():
    cutout = edge_colours.cut_out(np.full((10, 10, 3), 99, np.uint8), np.zeros((10, 10)))
    assert not cutout.any()


def test_the_subjects_box():
    alpha = np.zeros((30, 40), np.float32)
    alpha[5:10, 7:21] = 0.5
    assert boxes.subject_box(alpha) == (7, 5, 21, 10)
    assert boxes.subject_box((alpha * 255).astype(np.uint8)) is None  # 127 is less than half
    assert boxes.subject_box(np.zeros((3, 3))) is None


def test_pymatting_makes_the_same_cut_out():
    net, scene = disc(radius=25, softness=1.0), composite(disc())
    made = {}
    for name in ("closed_form", "pymatting"):
        engine = engines.load(name)
        refined = alpha_refinement.refine_alpha(scene, net, edge_px=8, engine=engine)
        assert refined.refined, refined.detail
        made[name] = edge_colours.cut_out(scene, refined.alpha, engine=engine).astype(int)
    assert np.abs(made["closed_form"] - made["pymatting"]).max() <= 2


def test_pymattings_solver_that_fails_keeps_the_nets_alpha_too(monkeypatch):
    monkeypatch.setattr(closed_form, "MAX_ITERATIONS", 1)
    net, engine = disc(radius=25, softness=1.0), engines.load("pymatting")
    refined = alpha_refinement.refine_alpha(composite(disc()), net, edge_px=8, engine=engine)
    assert not refined.refined and "1 iterations" in refined.detail
