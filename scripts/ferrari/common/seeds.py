"""Random choices that depend on what they are for, never on order, cores or platform.

Each choice gets a generator of its own, seeded from SHA-256 of (seed, video, item, variant); the
tuple is encoded as JSON, so that no two different tuples share a text ("a", "bc" / "ab", "c").
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np

_BITS = 48  # exact in a double, in int64 and in a spreadsheet's 15 digits


def seed_of(seed: int, video: str, item: str, variant: int | str) -> int:
    """The 48-bit seed of one choice, as the tables record it."""
    text = json.dumps([seed, video, item, variant], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[: _BITS // 8], "big")


def generator(seed: int, video: str, item: str, variant: int | str) -> np.random.Generator:
    """A PCG64 generator started from `seed_of` the same arguments."""
    return from_seed(seed_of(seed, video, item, variant))


def from_seed(recorded: int, stream: int = 0) -> np.random.Generator:
    """The generator of a seed read back from a table; another `stream` is independent of it."""
    sequence = np.random.SeedSequence(recorded, spawn_key=(stream,))
    return np.random.Generator(np.random.PCG64(sequence))


def ranked(names: Iterable[str], seed: int, video: str, item: str) -> list[str]:
    """`names` in an order of this item's own (rendezvous hashing).

    Taking one name away, or adding one, leaves the order of the others as it was; the order in
    which the names are given does not matter.
    """
    return sorted(set(names), key=lambda name: (seed_of(seed, video, item, name), name))
