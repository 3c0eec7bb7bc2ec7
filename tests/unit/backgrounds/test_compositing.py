"""Placement and compositing: exact arithmetic, nothing resampled, no floating cut edges."""

import numpy as np
import pytest

from ferrari.backgrounds.compositing import Placement, composite, cut_sides, place

RNG = np.random.default_rng(3)


def test_every_alpha_rounds_like_the_exact_division():
    alpha, subject = np.meshgrid(np.arange(256), np.arange(0, 256, 5), indexing="ij")
    for ground in (0, 1, 77, 254, 255):
        cutout = np.stack([subject, subject, subject, alpha], axis=-1).astype(np.uint8)
        background = np.full((*alpha.shape, 3), ground, dtype=np.uint8)
        canvas = Placement(alpha.shape[1], alpha.shape[0], 0, 0)
        picture, _ = composite(cutout, background, canvas)
        exact = (alpha * subject + (255 - alpha) * ground) / 255
        assert np.array_equal(picture[..., 1], np.floor(exact + 0.5))


def test_subject_and_background_are_untouched_where_alpha_is_full_or_none():
    cutout = RNG.integers(0, 256, (30, 20, 4), dtype=np.uint8)
    cutout[..., 3] = RNG.choice([0, 255], (30, 20))
    background = RNG.integers(0, 256, (50, 60, 3), dtype=np.uint8)
    picture, mask = composite(cutout, background, Placement(60, 50, 7, 11))
    inside = mask == 255
    assert np.array_equal(
        picture[11:41, 7:27][cutout[..., 3] == 255], cutout[cutout[..., 3] == 255, :3]
    )
    assert np.array_equal(picture[~inside], background[~inside])
    assert np.array_equal(mask[11:41, 7:27], cutout[..., 3])
    assert mask.sum(dtype=int) == cutout[..., 3].sum(dtype=int)


def test_inputs_are_not_changed():
    cutout = np.full((4, 4, 4), 200, dtype=np.uint8)
    background = np.full((8, 8, 3), 10, dtype=np.uint8)
    composite(cutout, background, Placement(8, 8, 2, 2))
    assert (cutout == 200).all() and (background == 10).all()


def test_a_background_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        composite(
            np.zeros((4, 4, 4), np.uint8), np.zeros((8, 9, 3), np.uint8), Placement(8, 8, 0, 0)
        )


@pytest.mark.parametrize(
    ("cut", "shift", "expected"),
    [
        ((), (0, 0), Placement(200, 400, 50, 100)),  # centred
        ((), (-1, 1), Placement(200, 400, 0, 200)),  # as far as there is room
        (("bottom",), (0, -1), Placement(200, 400, 50, 200)),  # stands on the lower edge
        (("right", "bottom"), (0, 0), Placement(200, 400, 100, 200)),
        (("left",), (1, 0), Placement(200, 400, 0, 100)),
        (("top",), (0, 1), Placement(200, 400, 50, 0)),
        (("left", "right"), (1, 0), Placement(100, 400, 0, 100)),  # no room beside it
        (("top", "bottom", "left", "right"), (1, 1), Placement(100, 200, 0, 0)),
    ],
)
def test_place(cut, shift, expected):
    assert place((100, 200), scale=0.5, shift=shift, cut=cut) == expected


def test_scale_1_leaves_no_room():
    assert place((101, 57), scale=1.0, shift=(1, -1)) == Placement(101, 57, 0, 0)


@pytest.mark.parametrize("scale", [0, -0.5, 1.01])
def test_scales_that_would_resample_are_refused(scale):
    with pytest.raises(ValueError, match=r"augment\.scale"):
        place((10, 10), scale=scale, shift=(0, 0))


def test_place_stays_on_the_canvas():
    for _ in range(300):
        crop = tuple(int(side) for side in RNG.integers(1, 400, 2))
        shift = tuple(RNG.uniform(-1, 1, 2))
        spot = place(crop, scale=float(RNG.uniform(0.3, 1)), shift=shift)
        assert 0 <= spot.offset_x <= spot.width - crop[0]
        assert 0 <= spot.offset_y <= spot.height - crop[1]


def body(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    alpha = np.zeros((200, 100), dtype=np.uint8)
    alpha[top:bottom, left:right] = 255
    return alpha


@pytest.mark.parametrize(
    ("alpha", "frame_sides", "expected"),
    [
        (body(20, 180, 20, 80), (), set()),
        (body(20, 200, 20, 80), (), {"bottom"}),  # cut by the crop itself
        (body(20, 198, 20, 80), ("bottom",), {"bottom"}),  # the net faded before the frame's edge
        (body(20, 198, 20, 80), (), set()),  # the same, inside the frame: the body ends there
        (body(20, 180, 20, 80), ("bottom", "left"), set()),  # box at the edge, body not
        (body(0, 200, 0, 100), (), {"top", "bottom", "left", "right"}),
        (body(20, 180, 60, 100), ("right",), {"right"}),
    ],
)
def test_cut_sides(alpha, frame_sides, expected):
    assert cut_sides(alpha, frame_sides) == expected


def test_a_stray_pixel_on_the_edge_is_no_cut():
    alpha = body(20, 180, 20, 80)
    alpha[-1, 50] = 255
    assert cut_sides(alpha) == set()
