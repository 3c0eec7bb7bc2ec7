"""The matting equation against pymatting's Laplacian and scipy's sparse matrices."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from ferrari.matting import alpha_refinement, closed_form, with_pymatting
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

UNKNOWN, WEIGHT = alpha_refinement.UNKNOWN, alpha_refinement.PRIOR_WEIGHT


def solve(image_rgb, trimap, prior, engine=closed_form):
    unknown, subject = trimap == UNKNOWN, trimap == 255
    return engine.solve(image_rgb, unknown, subject, prior, WEIGHT)


def figure(framing, edge_px, scene="street"):
    """A drawn person with a network's blurred, shrunken idea of the alpha, and its trimap."""
    people = (FigureSpec(seed=7_003, framing=framing),)
    seen = render_frame(
        ClipSpec(seed=7_103, width=480, height=360, scenes=(scene,), figures=people), 10
    )
    x1, y1, x2, y2 = seen.box_xyxy
    window = np.s_[max(0, y1 - 8) : y2 + 8, max(0, x1 - 8) : x2 + 8]
    shrunk = cv2.erode(seen.alpha_u8[window], np.ones((5, 5), np.uint8))
    net = cv2.GaussianBlur(shrunk.astype(np.float32) / 255, (0, 0), 3)
    trimap = alpha_refinement.trimap_from_alpha(net, edge_px)
    return np.ascontiguousarray(seen.frame_rgb[window]), trimap, net


def noise(height, width, unknown, seed=0):
    """Colours of chance, known pixels of chance, and `unknown` as given."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (height, width, 3), np.uint8)
    trimap = np.where(rng.random((height, width)) < 0.5, 255, 0).astype(np.uint8)
    trimap[unknown] = UNKNOWN
    return image, trimap, rng.random((height, width)).astype(np.float32)


def hair():
    """Strands of one pixel, lighter than a noisy scene, in a wide unknown band."""
    rng = np.random.default_rng(4)
    alpha = np.zeros((90, 120), np.float32)
    alpha[60:] = 1
    for x in range(5, 115, 4):
        cv2.line(alpha, (x, 62), (x + int(rng.integers(-9, 9)), 12), 1.0, 1, cv2.LINE_AA)
    colour = alpha[..., None] * (210, 170, 120) + (1 - alpha[..., None]) * (40, 70, 60)
    image = np.clip(colour + rng.normal(0, 6, colour.shape), 0, 255).astype(np.uint8)
    trimap = np.where(alpha >= 1, 255, 0).astype(np.uint8)
    trimap[8:64] = UNKNOWN
    return image, trimap, cv2.GaussianBlur(alpha, (0, 0), 4)


everything = np.s_[:, :]
CASES = {
    "a whole person": lambda: figure("full", 8),
    "a close one, wide band": lambda: figure("close", 16, "gallery"),
    "hair": hair,
    "all unknown": lambda: noise(40, 50, everything),
    "all unknown, one colour": lambda: (
        np.full((30, 30, 3), 90, np.uint8),
        np.full((30, 30), UNKNOWN, np.uint8),
        np.linspace(0, 1, 900, dtype=np.float32).reshape(30, 30),
    ),
    "unknown at each border": lambda: noise(30, 40, np.s_[[0, 1, -1, -2], :], 1),
    "unknown columns at the sides": lambda: noise(30, 40, np.s_[:, [0, -1]], 2),
    "a corner": lambda: noise(20, 20, np.s_[-1, -1], 3),
    "one pixel": lambda: noise(20, 20, np.s_[9, 9], 4),
    "every other pixel": lambda: noise(21, 21, np.s_[::2, ::2], 5),
    "the smallest picture": lambda: noise(3, 3, np.s_[1, 1], 6),
    "the smallest, all unknown": lambda: noise(3, 3, everything, 7),
    "three rows": lambda: noise(3, 60, np.s_[:, 4:50], 8),
    "three columns": lambda: noise(60, 3, np.s_[4:50], 9),
}


@pytest.mark.parametrize("case", CASES)
def test_alpha_is_that_of_the_whole_pictures_laplacian(case):
    image, trimap, prior = CASES[case]()
    solved, iterations = solve(image, trimap, prior)
    assert 0 < iterations < 500 and solved.shape == (int((trimap == UNKNOWN).sum()),)
    theirs, _ = solve(image, trimap, prior, with_pymatting)
    np.testing.assert_allclose(solved, theirs, rtol=0, atol=0.5 / 255)


def test_nothing_unknown_is_nothing_to_solve():
    solved, iterations = solve(*noise(9, 9, np.s_[:0]))
    assert solved.shape == (0,) and iterations == 0


def test_far_pixels_have_no_part_in_it():
    """Neither their colours nor how many they are: the same bytes in a larger picture."""
    image, trimap, prior = noise(30, 40, np.s_[10:20, 12:30])
    solved, _ = solve(image, trimap, prior)
    wide = [
        np.pad(part, ((50, 9), (7, 60), (0, 0))[: part.ndim]) for part in (image, trimap, prior)
    ]
    np.testing.assert_array_equal(solve(*wide)[0], solved)


def test_the_same_bytes_whatever_runs_beside_it():
    picture = figure("half", 8)
    alone = solve(*picture)[0].tobytes()
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda _: solve(*picture)[0].tobytes(), range(8)))
    assert set(together) == {alone}


def test_views_and_what_may_not_be_written_are_as_good_as_copies():
    """Crops come out of messages between processes, whose memory may not be written."""
    image, trimap, prior = noise(30, 40, np.s_[10:20, 12:30])
    window = np.s_[6:24, 8:34]
    image.flags.writeable = False
    views = solve(image[window], trimap[window], prior[window])[0]
    copies = solve(*(np.ascontiguousarray(part[window]) for part in (image, trimap, prior)))[0]
    np.testing.assert_array_equal(views, copies)
