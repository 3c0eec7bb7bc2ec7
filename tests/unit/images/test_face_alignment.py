"""Faces made upright, with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.images import face_alignment


def turned(points, degrees, scale, move):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return scale * points @ turn.T + move


def applied(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


@pytest.mark.parametrize("degrees", [0, 15, -40, 90, 180])
@pytest.mark.parametrize("scale", [0.2, 1, 7.5])
def test_what_was_scaled_turned_and_moved_comes_back(degrees, scale):
    places = face_alignment.places()
    seen = turned(places, degrees, scale, (300, -20))
    matrix = face_alignment.similarity(seen, places)
    np.testing.assert_allclose(applied(matrix, seen), places, atol=1e-9)
    assert np.hypot(*matrix[0, :2]) == pytest.approx(1 / scale)


def test_it_is_the_least_squares_one():
    """Any small change of the four numbers makes it worse."""
    rng = np.random.default_rng(3)
    places = face_alignment.places()
    seen = turned(places, 10, 2, (5, 9)) + rng.normal(0, 4, (5, 2))
    matrix = face_alignment.similarity(seen, places)

    def miss(a, b, x, y):
        return np.sum((applied(np.array([[a, -b, x], [b, a, y]]), seen) - places) ** 2)

    best = np.array([matrix[0, 0], matrix[1, 0], *matrix[:, 2]])
    for step in 1e-4 * np.vstack([np.eye(4), -np.eye(4)]):
        assert miss(*(best + step)) > miss(*best)


def test_a_mirror_image_is_not_turned_over():
    places = face_alignment.places()
    matrix = face_alignment.similarity(places * (-1, 1), places)
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_at_one_place_are_refused():
    with pytest.raises(ValueError, match="one place"):
        face_alignment.similarity(np.full((5, 2), 7.0), face_alignment.places())


@pytest.mark.parametrize(
    ("degrees", "scale"), [(0, 1), (25, 1), (-70, 1.7), (0, 3), (20, 4.6), (160, 8)]
)
@pytest.mark.parametrize("side", [112, 224])
def test_landmarks_of_a_picture_come_to_their_places(degrees, scale, side):
    """Five bright spots on a dark picture, also of faces that are shrunk a lot."""
    seen = turned(face_alignment.places(side) - side / 2, degrees, scale, (1100, 1000))
    across, down = np.meshgrid(np.arange(2200), np.arange(2000))
    for index, (x, y) in enumerate(seen):
        picture = np.zeros((2000, 2200, 3), np.uint8)
        near = (slice(int(y) - 80, int(y) + 80), slice(int(x) - 80, int(x) + 80))
        away = (across[near] - x) ** 2 + (down[near] - y) ** 2
        picture[near] = (255 * np.exp(-away / (2 * (2 * scale) ** 2)))[..., None]
        found = face_alignment.aligned(picture, seen, side)
        assert found.shape == (side, side, 3) and found.max() > 150
        light = found[..., 0].astype(float)
        middle = [(light * grid).sum() / light.sum() for grid in np.meshgrid(*[range(side)] * 2)]
        np.testing.assert_allclose(middle, face_alignment.places(side)[index], atol=0.1)


def test_a_face_at_the_edge_is_black_where_the_picture_ends():
    picture = np.full((300, 300, 3), 200, np.uint8)
    for scale in (1, 4):
        seen = turned(face_alignment.places() - 56, 0, scale, (0, 150))
        found = face_alignment.aligned(picture, seen)
        assert found[56, 20].max() == 0 and found[56, 90].min() == 200
        for beyond in (5000, -5000):
            assert face_alignment.aligned(picture, seen + beyond).max() == 0
