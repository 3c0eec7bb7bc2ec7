"""How much of a card a network may take: with the default settings all of them stay below 6 GB.

A network gets a share, and half the batch and half the share on a card of 8 GB. The shares of
detector and segmenter and the context (about 0.6 GB) are 5.6 GB, or 3.1. A network that needs more
for a single picture takes what it needs.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from ferrari.processes.devices import index_of

_LARGE = 10 << 30  # bytes: cards with less are called 8 GB cards
_SHARE = 5 << 29


@dataclass(frozen=True)
class Card:
    """`total` bytes of memory, 0 where the driver does not tell; `share`, the bytes for a network,
    0 for no limit.
    """

    total: int
    share: int

    def batch(self, asked: int) -> int:
        """How many pictures a network takes at once, of those that were asked for."""
        return asked if self.total >= _LARGE or not self.share else max(1, asked // 2)


def of(device: str) -> Card:
    """The card of 'cuda:N'; for 'cpu' one without limits. Initialises the driver: only for the
    process that is to use it.
    """
    if device == "cpu":
        return Card(0, 0)
    total = _total(index_of(device))
    return Card(total, _SHARE if total >= _LARGE else _SHARE // 2)


def _total(index: int) -> int:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        ask = driver.cuDeviceTotalMem_v2
    except (OSError, AttributeError):
        return 0
    device, size = ctypes.c_int(0), ctypes.c_size_t(0)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(device), index):
        return 0
    return 0 if ask(ctypes.byref(size), device) else size.value
