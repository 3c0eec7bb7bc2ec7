"""Numbers of things in words."""

from __future__ import annotations


def number_of(count: int, word: str) -> str:
    """`1 clip`, `2,000 clips`: `word` is the singular."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")
