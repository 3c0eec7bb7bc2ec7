"""Faces rotated upright and scaled to one size, with landmarks where face networks expect them."""

from __future__ import annotations

import cv2
import numpy as np

#: Where the five landmarks lie on 112 x 112 pixels in pictures that networks for faces are trained
#: on (insightface's `arcface_dst`; OpenCV's FaceRecognizerSF has the same).
_FIVE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
     [70.7299, 92.2041]], np.float64,
)  # fmt: skip
_SIDE = 112


def similarity(points_xy: np.ndarray, places_xy: np.ndarray) -> np.ndarray:
    """The 2x3 matrix that scales, rotates and moves `points_xy` (N, 2) as near as possible to
    `places_xy`, by least squares and without mirroring.

    Umeyama's solution (IEEE TPAMI 13(4), 1991), which in a plane is a division of complex numbers.
    Raises ValueError if all points coincide.
    """
    ours, theirs = (
        points.astype(np.float64) @ np.array([1, 1j]) for points in (points_xy, places_xy)
    )
    centre, there = ours.mean(), theirs.mean()
    ours, theirs = ours - centre, theirs - there
    spread = float((np.abs(ours) ** 2).sum())
    if not spread:
        raise ValueError("all points lie at one place: nothing says how to turn them")
    turn = (ours.conj() * theirs).sum() / spread
    move = there - turn * centre
    return np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])


def places(side: int = _SIDE) -> np.ndarray:
    """(5, 2) float64: where the landmarks of a face lie in an aligned picture of that side."""
    return _FIVE_POINTS * (side / _SIDE)


def aligned(picture: np.ndarray, landmarks_xy: np.ndarray, side: int = _SIDE) -> np.ndarray:
    """`side` x `side` x 3 uint8 of a face in an HxWx3 uint8 picture (of any colour order), its five
    landmarks near their `places`; black where the picture ends.

    A face that is more than twice as large is shrunk by areas first: no pixel of it is left out.
    """
    matrix = similarity(landmarks_xy, places(side))
    factor = int(1 / np.hypot(*matrix[0, :2]))
    if factor < 2:
        return _warped(picture, matrix, side)
    part, matrix = _around(picture, matrix, side)
    high, wide = (max(1, round(edge / factor)) for edge in part.shape[:2])
    smaller = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA)
    # Pixels are squares: a small one's middle is the middle of the large ones under it.
    ratio = np.array([part.shape[1] / wide, part.shape[0] / high])
    matrix[:, 2] += matrix[:, :2] @ ((ratio - 1) / 2)
    matrix[:, :2] *= ratio
    return _warped(smaller, matrix, side)


def _around(picture: np.ndarray, matrix: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The part of a picture that the matrix takes to the aligned face, and the matrix from it."""
    corners = np.array([[0, 0], [side, 0], [0, side], [side, side]]) - matrix[:, 2]
    seen = corners @ np.linalg.inv(matrix[:, :2]).T
    margin = 2 / np.hypot(*matrix[0, :2])
    size = np.array(picture.shape[1::-1])
    low = np.clip(np.floor(seen.min(0) - margin).astype(int), 0, size - 1)
    high = np.clip(np.ceil(seen.max(0) + margin).astype(int), low + 1, size)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ low
    return picture[low[1] : high[1], low[0] : high[0]], moved


def _warped(picture: np.ndarray, matrix: np.ndarray, side: int) -> np.ndarray:
    return cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR)
