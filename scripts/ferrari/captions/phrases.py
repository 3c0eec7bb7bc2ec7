"""Text pieces: phrases counted and taken out as whole words, spaces tidied, plain ASCII."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable


def tidy(text: str) -> str:
    """One line, single spaces, no empty comma-parted piece."""
    pieces = (" ".join(piece.split()) for piece in text.split(","))
    return ", ".join(piece for piece in pieces if piece)


def plain_ascii(text: str) -> str:
    """`text` with accents taken off and whatever else is not printable ASCII left out."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return tidy("".join(char if char.isprintable() else " " for char in bare))


def _phrase(phrase: str) -> re.Pattern[str]:
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<![\w-]){words}(?![\w-])", re.IGNORECASE)


def count_phrase(text: str, phrase: str) -> int:
    """How often `phrase` stands in `text` as whole words, upper and lower case alike."""
    return len(_phrase(phrase).findall(text)) if phrase.strip() else 0


def without_phrases(text: str, phrases: Iterable[str]) -> str:
    """`text` without some phrases, wherever they stand as whole words."""
    for phrase in phrases:
        text = without_phrase(text, phrase, "")
    return text


def without_phrase(text: str, phrase: str, mark: str) -> str:
    """`text` with `mark` in the places of a phrase."""
    return _phrase(phrase).sub(lambda _: f" {mark} ", text) if phrase.strip() else text
