"""A captioner's description of a cut-out, without the parts that name a scene.

The captioner sees only the cut-out, on neutral grey, so whatever it says about a place is invented.
A part of the sentence with a context word is removed as a whole, starting at its preposition
("standing in a living room" becomes "standing"), and the removed words are recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import numpy as np

from ferrari.captions.phrases import plain_ascii, tidy
from ferrari.captions.scene_words import find_context_words, words_of

GREY = 128  # the neutral ground under a cut-out

_OPENING = re.compile(
    r"^(?:there is |this is )?(?:an? |the )?(?:close[- ]?up |cropped |blurry |black and white )?"
    r"(?:photo|photograph|picture|image|portrait|painting|drawing|rendering|screenshot)s? of "
)
# Where a piece begins: at a comma, a preposition of place, or a conjunction.
_PIECE = re.compile(
    r"(?=\b(?:in front of|next to|on top of|in|on|at|near|by|beside|behind|against|under|over|above"
    r"|below|inside|outside|within|along|around|through|across|among|between|from|with|while|and"
    r"|as|where)\b)|,"
)
_DANGLING = re.compile(
    r"(?:\s+(?:in|on|at|near|by|with|and|while|as|of|to|a|an|the|is|are|next|against|from))+$"
)


def composite_on_grey(cutout_rgba: np.ndarray) -> np.ndarray:
    """HxWx3 uint8 RGB of a straight-alpha HxWx4 uint8 cut-out over mid grey (128)."""
    alpha = cutout_rgba[..., 3:].astype(np.uint16)
    mixed = cutout_rgba[..., :3] * alpha + GREY * (255 - alpha)
    return ((mixed + 127) // 255).astype(np.uint8)


def clean_description(
    text: str, *, token: str, context_words: Iterable[str] = ()
) -> tuple[str, list[str]]:
    """A model's sentence in plain lower-case ASCII without scene words, and the words removed.

    The subject's token is removed too: a caption names it once, and the template does that.
    """
    text = _OPENING.sub("", plain_ascii(text).lower())
    text = re.sub(r"[^a-z0-9,'\- ]+", " ", text)
    extra = tuple(context_words)
    removed: list[str] = []
    pieces: list[str] = []
    separators: list[str] = []
    for piece, separator in _pieces(text):
        bad = find_context_words(piece, extra)
        bad += [token.lower()] if token.lower() in words_of(piece) else []
        if bad:
            removed += bad
        else:
            pieces.append(piece)
            separators.append(separator)
    joined = "".join(a + b for a, b in zip(separators, pieces, strict=True))
    kept = tidy(_DANGLING.sub("", tidy(joined.lstrip(", "))))
    return _without_leftovers(kept, extra, removed), list(dict.fromkeys(removed))


def fit_description(text: str, fits: Callable[[str], bool]) -> tuple[str, list[str]]:
    """`text` shortened word by word from its end until `fits` says yes, and the words cut off."""
    words = text.split()
    cut: list[str] = []
    while words and not fits(tidy(" ".join(words))):
        cut.insert(0, words.pop())
    return tidy(" ".join(words)).rstrip(","), [word.strip(",") for word in cut]


def _pieces(text: str) -> Iterable[tuple[str, str]]:
    start, separator = 0, ""
    for match in _PIECE.finditer(text):
        if match.start() > start:
            yield text[start : match.start()], separator
        separator = ", " if match.group() == "," else ""
        start = match.end()
    yield text[start:], separator


def _without_leftovers(text: str, extra: tuple[str, ...], removed: list[str]) -> str:
    """A phrase whose words lay in two pieces ("living, room") may come together only here."""
    while bad := find_context_words(text, extra):
        removed += bad
        words = [word for word in text.split() if not find_context_words(word, extra)]
        if len(words) == len(text.split()):
            return ""  # a phrase of harmless words: rather no description than a wrong one
        text = " ".join(words)
    return text
