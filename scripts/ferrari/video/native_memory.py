"""How glibc's allocator treats the memory of frames and of a clip's packets."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of mallopt(3)
_LARGEST_MB = 32  # glibc's own upper bound for the second


def keep() -> None:
    """Have glibc keep the memory of one picture for the next, where it would give it back.

    A page that is taken anew costs the kernel as much as OpenCV needs to fill it.
    """
    tune = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if tune:
        tune(_M_MMAP_THRESHOLD, _LARGEST_MB << 20)
        tune(_M_TRIM_THRESHOLD, 4 * _LARGEST_MB << 20)
        tune(_M_ARENA_MAX, 1)


def give_back() -> None:
    """Give back once what is free, in whole pages, also between what is in use."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
