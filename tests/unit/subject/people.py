"""Faces of made people, whose embeddings lie as those of real networks do.

A person is a direction, a face that direction plus noise of its own. Two faces of one person have
the similarity `same` on average, faces of two people `same * likeness`. The figures are those that
the two networks have on real clips: faceres 0.68 and more against 0.60 and less, SFace wider apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ferrari.subject.templates import Thresholds


@dataclass(frozen=True)
class Network:
    """An embedding as it is measured: its length, mean similarities, and thresholds."""

    length: int
    same: float
    likeness: float
    thresholds: Thresholds


FACERES = Network(1024, 0.77, 0.66, Thresholds(0.65, 0.62))
SFACE = Network(128, 0.68, 0.08, Thresholds(0.44, 0.36))
NETWORKS = (FACERES, SFACE)


class People:
    """Any number of people, each the same whenever asked for; faces are drawn one after another.

    `take` is another series of faces of the same people.
    """

    def __init__(self, network: Network, seed: int = 0, take: int = 0) -> None:
        self.network, self.seed = network, seed
        self.common = unit(np.random.default_rng([seed, 10**6]).normal(size=network.length))
        self.noise = np.random.default_rng([seed, 10**6 + 1, take])

    def person(self, number: int) -> np.ndarray:
        own = unit(np.random.default_rng([self.seed, number]).normal(size=self.network.length))
        likeness = self.network.likeness
        return unit(np.sqrt(likeness) * self.common + np.sqrt(1 - likeness) * own)

    def faces(self, number: int, count: int, like: int | None = None) -> np.ndarray:
        """(count, D) float32; `like`: of somebody half way between two people."""
        who = self.person(number)
        if like is not None:
            who = unit(who + self.person(like))
        noise = self.noise.normal(size=(count, self.network.length))
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        same = self.network.same
        made = np.sqrt(same) * who + np.sqrt(1 - same) * noise
        return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def side_face(faces: np.ndarray, towards: np.ndarray, share: float) -> np.ndarray:
    """Faces seen from another side, which moves all embeddings the same way."""
    moved = np.sqrt(1 - share) * faces + np.sqrt(share) * towards
    return (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
