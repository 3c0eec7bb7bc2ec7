"""Matting by the library PyMatting: an implementation that is not ours, three times slower.

For whoever wants it (`mask.matting: pymatting`), and what our own is held against in tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ferrari.matting import closed_form
from ferrari.matting.pymatting_loader import load

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


def solve(
    image_rgb: np.ndarray,
    unknown: np.ndarray,
    subject: np.ndarray,
    prior: np.ndarray,
    prior_weight: float,
) -> tuple[np.ndarray | None, int]:
    """As `closed_form.solve`, with the whole picture's Laplacian as a sparse matrix."""
    from scipy.sparse import identity

    cf_laplacian, _ = load()
    asked, known = unknown.ravel(), subject.ravel().astype(np.float64)
    colours = image_rgb.astype(np.float64) / 255
    rows = cf_laplacian(colours, epsilon=closed_form.EPSILON, is_known=~asked)[asked]
    start = prior.ravel()[asked].astype(np.float64)
    matrix = rows[:, asked] + prior_weight * identity(len(start), format="csr")
    right = prior_weight * start - rows[:, ~asked] @ known[~asked]
    return _conjugate_gradient(matrix, right, start)


def estimate(image_rgb: np.ndarray, alpha_u8: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """As `foreground.estimate`, of the whole picture."""
    _, estimate_foreground_ml = load()
    colours = estimate_foreground_ml(
        image_rgb.astype(np.float32) / 255, alpha_u8.astype(np.float32) / 255
    )
    return np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8) * wanted[..., None]


def _conjugate_gradient(
    matrix: csr_matrix, right: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray | None, int]:
    """With Jacobi's preconditioner, from `x` on; None if it takes too many iterations.

    Sums are numpy's own rather than BLAS's, whose result depends on the number of threads.
    """
    inverse, residual = 1 / matrix.diagonal(), right - matrix @ x
    limit = closed_form.TOLERANCE * max(float(np.sum(right * right)) ** 0.5, 1e-12)
    direction = inverse * residual
    energy = float(np.sum(residual * direction))
    for iteration in range(closed_form.MAX_ITERATIONS):
        if float(np.sum(residual * residual)) ** 0.5 <= limit:
            return x, iteration
        image = matrix @ direction
        step = energy / float(np.sum(direction * image))
        x = x + step * direction
        residual = residual - step * image
        scaled = inverse * residual
        before, energy = energy, float(np.sum(residual * scaled))
        direction = scaled + energy / before * direction
    return None, closed_form.MAX_ITERATIONS
