"""The equation of closed-form matting, for the unknown pixels alone: assembled and solved.

Levin, Lischinski and Weiss, "A Closed-Form Solution to Natural Image Matting" (2008): windows of
3x3 px, alpha a linear function of colour in each. Known pixels are no unknowns of the equation:
only windows that touch an unknown pixel are looked at, which are a tenth of a picture, and nothing
is stored for the others.

Pure arrays; compiled by numba when this module is imported (the first time ever: ten seconds, then
from numba's cache). One thread, and sums in a fixed order: the same bytes on any number of cores.

Pixels are stored row by row, without those farther than two from any unknown one. So the 25
neighbours of the pixels of a *run* (unknown pixels side by side) are 25 runs, side by side too: the
product with a vector needs no list of columns. The matrix is summed up in float64 and stored in
float32, once for each pair of pixels; vectors are float64.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

#: Regularisation of colour covariances. Smaller follows the blocks that video compression leaves
#: around an edge; larger smears plain edges.
EPSILON = 1e-4

_SUBJECT, _UNKNOWN = 1, 2  # 0: scene
TOLERANCE = 1e-4
MAX_ITERATIONS = 500
_REACH = 2  # px from a pixel to the farthest that shares a window with it
_LATER = 13  # the pixel itself, and its neighbours that come after it: the matrix is symmetric
_CHUNK = 1024  # numbers of a vector that are worked on together, while they are in the CPU's cache

#: A run's row of the table: the first neighbours of its first pixel in the two lines above and the
#: two below, then the pixel itself, and the run's length.
_OWN, _LENGTH, _COLUMNS = 4, 5, 6


def solve(
    image_rgb: np.ndarray,
    unknown: np.ndarray,
    subject: np.ndarray,
    prior: np.ndarray,
    prior_weight: float,
) -> tuple[np.ndarray | None, int]:
    """Alpha of the unknown pixels, and the iterations that it took.

    Solves (L + w I) a = w `prior` with L the matting Laplacian, w `prior_weight`, a = 1 where
    `subject` and 0 elsewhere outside `unknown`. `image_rgb` is HxWx3 uint8, at least 3x3 px, the
    others HxW: bool, bool, float 0..1. The result is one float64 for each unknown pixel, row by
    row; None if the solver did not converge.
    """
    kinds = np.pad(np.where(unknown, _UNKNOWN, subject).astype(np.uint8), _REACH)
    runs, places, size = _stored(kinds)
    later, right = np.zeros((size, _LATER)), np.zeros(size)
    tint = np.arange(256) / 255
    _add_windows(np.ascontiguousarray(image_rgb), tint, EPSILON, kinds, places, later, right)
    own = places[kinds == _UNKNOWN]
    alpha, inverse = np.zeros(size), np.zeros(size)
    alpha[own] = prior[unknown]
    right[own] += prior_weight * alpha[own]
    later[own, 0] += prior_weight
    inverse[own] = 1 / later[own, 0]
    matrix = later.T.astype(np.float32, order="C")
    iterations = _conjugate_gradient(
        _table(runs, places), matrix, inverse, right, alpha, TOLERANCE, MAX_ITERATIONS
    )
    return (None, MAX_ITERATIONS) if iterations < 0 else (alpha[own], iterations)


def _stored(kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """The runs (row, column, length), the place of each stored pixel (others -1), how many are.

    `kinds`, and so the rows and columns, have a margin of two pixels.
    """
    unknown = kinds == _UNKNOWN
    begins = np.count_nonzero(unknown[:, 1:] & ~unknown[:, :-1])
    runs, places = np.empty((begins, 3), np.int64), np.full(kinds.shape, -1, np.int32)
    _find_runs(kinds, places, runs)
    return runs, places, _number(places)


def _table(runs: np.ndarray, places: np.ndarray) -> np.ndarray:
    """What `_multiply` has to know of each run."""
    table = np.empty((len(runs), _COLUMNS), np.int64)
    rows, columns = runs[:, 0], runs[:, 1]
    for column, line in enumerate((-2, -1, 1, 2)):
        table[:, column] = places[rows + line, columns - _REACH]
    table[:, _OWN], table[:, _LENGTH] = places[rows, columns], runs[:, 2]
    return table


@njit("void(u1[:, ::1], i4[:, ::1], i8[:, ::1])", cache=True, nogil=True)
def _find_runs(kinds: np.ndarray, places: np.ndarray, runs: np.ndarray) -> None:
    """Fill `runs`, and mark them and what is near them in `places`."""
    height, width = kinds.shape
    count = 0
    for y in range(_REACH, height - _REACH):
        x = _REACH
        while x < width - _REACH:
            first = x
            while x < width - _REACH and kinds[y, x] == _UNKNOWN:
                x += 1
            if x > first:
                runs[count, 0], runs[count, 1], runs[count, 2] = y, first, x - first
                places[y - _REACH : y + _REACH + 1, first - _REACH : x + _REACH] = 0
                count += 1
            x += 1


@njit("i8(i4[:, ::1])", cache=True, nogil=True)
def _number(places: np.ndarray) -> int:
    """Number the marked pixels row by row; how many they are."""
    count = 0
    for y in range(places.shape[0]):
        for x in range(places.shape[1]):
            if places[y, x] >= 0:
                places[y, x] = count
                count += 1
    return count


@njit(inline="always")
def _add_window(
    colours: np.ndarray,
    epsilon: float,
    known_as: np.ndarray,
    at: np.ndarray,
    later: np.ndarray,
    right: np.ndarray,
) -> None:
    """Add one window, of which `colours` 9x3 are centred in place.

    Entry i, j is (i == j) - (1 + c_i' S c_j) / 9 with c the centred colours and S the inverse of
    their covariance + epsilon / 9.
    """
    rr, gg, bb, rg, rb, gb = epsilon, epsilon, epsilon, 0.0, 0.0, 0.0
    for c in range(3):
        mean = 0.0
        for k in range(9):
            mean += colours[k, c]
        mean /= 9
        for k in range(9):
            colours[k, c] -= mean
    for k in range(9):
        r, g, b = colours[k, 0], colours[k, 1], colours[k, 2]
        rr, gg, bb = rr + r * r, gg + g * g, bb + b * b
        rg, rb, gb = rg + r * g, rb + r * b, gb + g * b
    # The covariance is these sums / 9, so its inverse is theirs * 9, which / 9 cancels below.
    s_rr, s_gg, s_bb = gg * bb - gb * gb, rr * bb - rb * rb, rr * gg - rg * rg
    s_rg, s_rb, s_gb = rb * gb - rg * bb, rg * gb - rb * gg, rg * rb - rr * gb
    scale = 1 / (rr * s_rr + rg * s_rg + rb * s_rb)
    for i in range(9):
        r, g, b = colours[i, 0], colours[i, 1], colours[i, 2]
        to_r = (s_rr * r + s_rg * g + s_rb * b) * scale
        to_g = (s_rg * r + s_gg * g + s_gb * b) * scale
        to_b = (s_rb * r + s_gb * g + s_bb * b) * scale
        for j in range(i, 9):
            if known_as[i] != _UNKNOWN and known_as[j] != _UNKNOWN:
                continue
            shared = to_r * colours[j, 0] + to_g * colours[j, 1] + to_b * colours[j, 2]
            entry = (1.0 if i == j else 0.0) - (1 / 9 + shared)
            if known_as[i] == known_as[j]:
                later[at[i], (j // 3 - i // 3) * 5 + j % 3 - i % 3] += entry
            elif known_as[i] == _SUBJECT:
                right[at[j]] -= entry
            elif known_as[j] == _SUBJECT:
                right[at[i]] -= entry


@njit(
    types.void(
        types.Array(types.uint8, 3, "C", readonly=True),
        types.float64[::1],
        types.float64,
        types.uint8[:, ::1],
        types.int32[:, ::1],
        types.float64[:, ::1],
        types.float64[::1],
    ),
    cache=True,
    nogil=True,
)
def _add_windows(
    image: np.ndarray,
    tint: np.ndarray,
    epsilon: float,
    kinds: np.ndarray,
    places: np.ndarray,
    later: np.ndarray,
    right: np.ndarray,
) -> None:
    """Add all windows that touch an unknown pixel to the matrix and to the right-hand side.

    `tint` turns a byte into a colour. `kinds` and `places` have a margin of two pixels, `image` has
    none.
    """
    colours, known_as, at = np.empty((9, 3)), np.empty(9, np.int64), np.empty(9, np.int64)
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            if places[y + _REACH, x + _REACH] < 0:
                continue
            touches = False
            for k in range(9):
                up, left = y + k // 3 - 1, x + k % 3 - 1
                known_as[k] = kinds[up + _REACH, left + _REACH]
                touches |= known_as[k] == _UNKNOWN
                at[k] = places[up + _REACH, left + _REACH]
                for c in range(3):
                    colours[k, c] = tint[image[up, left, c]]
            if touches:
                _add_window(colours, epsilon, known_as, at, later, right)


@njit(inline="always")
def _scalar_product(one: np.ndarray, other: np.ndarray) -> float:
    """In eight sums, which a CPU adds side by side."""
    a, b, c, d, e, f, g, h = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    whole = len(one) - len(one) % 8
    for i in range(0, whole, 8):
        a += one[i] * other[i]
        b += one[i + 1] * other[i + 1]
        c += one[i + 2] * other[i + 2]
        d += one[i + 3] * other[i + 3]
        e += one[i + 4] * other[i + 4]
        f += one[i + 5] * other[i + 5]
        g += one[i + 6] * other[i + 6]
        h += one[i + 7] * other[i + 7]
    for i in range(whole, len(one)):
        a += one[i] * other[i]
    return ((a + b) + (c + d)) + ((e + f) + (g + h))


@njit(inline="always")
def _add_line(
    out: np.ndarray,
    line: np.ndarray,
    a: np.ndarray,
    b: np.ndarray,
    c: np.ndarray,
    d: np.ndarray,
    e: np.ndarray,
) -> None:
    """Add five neighbours of each pixel of a run, of one line, each with its coefficients.

    Written out like this, it runs on the CPU's vector registers.
    """
    for i in range(len(out)):
        out[i] += (
            a[i] * line[i]
            + b[i] * line[i + 1]
            + c[i] * line[i + 2]
            + d[i] * line[i + 3]
            + e[i] * line[i + 4]
        )


@njit("f8(i8[:, ::1], f4[:, ::1], f8[::1], f8[::1])", cache=True, nogil=True)
def _multiply(
    table: np.ndarray, matrix: np.ndarray, vector: np.ndarray, product: np.ndarray
) -> float:
    """`product` = matrix x `vector` at unknown pixels, elsewhere as it is; returns their product.

    `matrix` holds at [k, i] the entry of pixel i and its k-th later neighbour, 0 being itself.
    """
    both = 0.0
    for n in range(table.shape[0]):
        own, length = table[n, _OWN], table[n, _LENGTH]
        out = product[own : own + length]
        out[:] = 0
        for k in range(2):  # the lines above: an entry lies with the neighbour
            n_1, far = table[n, k], 12 - 5 * k
            _add_line(
                out,
                vector[n_1:],
                matrix[far, n_1:],
                matrix[far - 1, n_1 + 1 :],
                matrix[far - 2, n_1 + 2 :],
                matrix[far - 3, n_1 + 3 :],
                matrix[far - 4, n_1 + 4 :],
            )
        _add_line(
            out,
            vector[own - 2 :],
            matrix[2, own - 2 :],
            matrix[1, own - 1 :],
            matrix[0, own:],
            matrix[1, own:],
            matrix[2, own:],
        )
        for k in range(2):  # the lines below
            near = 3 + 5 * k
            _add_line(
                out,
                vector[table[n, k + 2] :],
                matrix[near, own:],
                matrix[near + 1, own:],
                matrix[near + 2, own:],
                matrix[near + 3, own:],
                matrix[near + 4, own:],
            )
        both += _scalar_product(vector[own : own + length], out)
    return both


@njit("UniTuple(f8, 2)(f8, f8[::1], f8[::1], f8[::1], f8[::1], f8[::1])", cache=True, nogil=True)
def _step(
    step: float,
    direction: np.ndarray,
    image: np.ndarray,
    inverse: np.ndarray,
    x: np.ndarray,
    residual: np.ndarray,
) -> tuple[float, float]:
    """Go `step` along `direction`; the residual's square, and its product with itself scaled."""
    squares, energy = 0.0, 0.0
    scaled = np.empty(_CHUNK)
    for first in range(0, len(x), _CHUNK):
        along, off = direction[first : first + _CHUNK], image[first : first + _CHUNK]
        at, rest = x[first : first + _CHUNK], residual[first : first + _CHUNK]
        by, ours = inverse[first : first + _CHUNK], scaled[: len(at)]
        for i in range(len(at)):
            at[i] += step * along[i]
        for i in range(len(at)):
            rest[i] -= step * off[i]
        for i in range(len(at)):
            ours[i] = by[i] * rest[i]
        squares += _scalar_product(rest, rest)
        energy += _scalar_product(rest, ours)
    return squares, energy


@njit("i8(i8[:, ::1], f4[:, ::1], f8[::1], f8[::1], f8[::1], f8, i8)", cache=True, nogil=True)
def _conjugate_gradient(
    table: np.ndarray,
    matrix: np.ndarray,
    inverse: np.ndarray,
    right: np.ndarray,
    x: np.ndarray,
    tolerance: float,
    most: int,
) -> int:
    """Solve matrix x = `right` from `x` on, in place: the number of iterations, -1 if too many.

    Conjugate gradients with Jacobi's preconditioner (`inverse` of the diagonal). Others were tried:
    symmetric Gauss-Seidel takes two fifths of the iterations, each of which takes three times as
    long, since nothing of it runs on vector registers.
    """
    image, direction = np.zeros_like(x), np.zeros_like(x)
    _multiply(table, matrix, x, image)
    residual = right - image
    limit = (tolerance * max(np.sqrt(_scalar_product(right, right)), 1e-12)) ** 2
    squares, energy = _step(0.0, direction, image, inverse, x, residual)
    share = 0.0
    for iteration in range(most):
        if squares <= limit:
            return iteration
        for i in range(len(x)):
            direction[i] = inverse[i] * residual[i] + share * direction[i]
        step = energy / _multiply(table, matrix, direction, image)
        before = energy
        squares, energy = _step(step, direction, image, inverse, x, residual)
        share = energy / before
    return -1
