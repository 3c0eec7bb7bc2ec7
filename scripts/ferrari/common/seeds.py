"""Random choices that depend on the item they are made for, never on order, cores or platform.

Each choice gets a generator of its own, seeded from the SHA-256 of (seed, video, item, variant).
The tuple is encoded as JSON: joined as plain text, ("a", "bc") and ("ab", "c") would be the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np

_BITS = 48  # exact in a double, in int64 and in the 15 digits of a spreadsheet


def seed_of(seed: int, video: str, item: str, variant: int | str) -> int:
    """The 48-bit seed of one choice, as the tables record it."""
    text = json.dumps([seed, video, item, variant], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[: _BITS // 8], "big")


def generator(seed: int, video: str, item: str, variant: int | str) -> np.random.Generator:
    """A PCG64 generator started from `seed_of` the same arguments."""
    return from_seed(seed_of(seed, video, item, variant))


def from_seed(recorded: int, stream: int = 0) -> np.random.Generator:
    """The generator of a seed read back from a table; streams are independent."""
    sequence = np.random.SeedSequence(recorded, spawn_key=(stream,))
    return np.random.Generator(np.random.PCG64(sequence))


def ranked(names: Iterable[str], seed: int, video: str, item: str) -> list[str]:
    """`names` in an order of this item's own (rendezvous hashing).

    When a name is added or taken away, the others keep their order. The order in which the names
    are given does not matter.
    """
    return sorted(set(names), key=lambda name: (seed_of(seed, video, item, name), name))
