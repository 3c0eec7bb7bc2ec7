"""Numbers of things, or of bytes, in words."""

from __future__ import annotations

from collections.abc import Sequence


def number_of(count: int, word: str) -> str:
    """`1 clip`, `2,000 clips`: `word` is the singular."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def first_of(names: Sequence[str], most: int, between: str = ", ") -> str:
    """`a, b and 9,998 more`: the first `most` of the names. A set has thousands of clips."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return between.join(names[:most]) + more


def megabytes(count: float) -> str:
    """Bytes as `0.3 MB`, `53 MB` or `1.2 GB`."""
    if count >= 1e9:
        return f"{count / 1e9:,.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 10e6 else f"{count / 1e6:.1f} MB"
