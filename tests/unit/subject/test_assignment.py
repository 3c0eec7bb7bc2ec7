"""Pairs with the largest sum of gains: those of SciPy, which few people do not need."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from ferrari.subject.assignment import best_pairs
from tests.settings import ENVIRONMENT


@pytest.mark.parametrize(
    ("gains", "pairs"),
    [
        ([[0.4]], [(0, 0)]),
        ([[0.0]], []),
        ([[0.4, 0.9]], [(0, 1)]),
        ([[0.4], [0.9]], [(1, 0)]),
        ([[1.0, 0.9], [0.9, 0.1]], [(0, 1), (1, 0)]),  # the best pair is none of the best two
        ([[0.0, 0.9], [0.0, 0.8]], [(0, 1)]),
        ([[0.5, 0.0], [0.0, 0.0]], [(0, 0)]),
        ([[0.2, 0.9, 0.8], [0.0, 0.9, 0.1]], [(0, 2), (1, 1)]),
        (np.eye(5)[::-1], [(k, 4 - k) for k in range(5)]),
        (np.zeros((0, 3)), []),
        (np.zeros((2, 0)), []),
    ],
)
def test_pairs_are_those_with_the_largest_sum(gains, pairs):
    assert best_pairs(np.array(gains, float)) == pairs


@pytest.mark.parametrize("seed", range(20))
def test_they_are_those_that_scipy_finds(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        shape = rng.integers(1, 6, 2)
        gains = rng.uniform(0.1, 2.0, shape) * (rng.random(shape) < rng.choice([0.3, 0.7, 1.0]))
        rows, columns = linear_sum_assignment(gains, maximize=True)
        theirs = zip(rows.tolist(), columns.tolist(), strict=True)
        assert best_pairs(gains) == [(r, c) for r, c in theirs if gains[r, c]]


def test_one_person_or_two_are_followed_without_scipy():
    two = "np.array([[0.0, 1.0, 0.0], [0.2, 0.3, 0.0], [0.0, 0.0, 0.0]])"
    code = (
        "import sys, numpy as np; from ferrari.subject import tracks; "
        f"print(tracks.best_pairs({two}), any(name.startswith('scipy') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[(0, 1), (1, 0)] False"
