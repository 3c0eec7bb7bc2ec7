"""How many tokens CLIP reads in a text: its own byte-pair encoding, without its network."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from instant_clip_tokenizer import Tokenizer

MAX_CLIP_TOKENS = 75  # CLIP's context of 77 less its start and end tokens


@functools.cache
def _clip() -> Tokenizer:
    from instant_clip_tokenizer import Tokenizer  # 0.1 s, and QC pages import this module too

    return Tokenizer()


def count_clip_tokens(text: str) -> int:
    """Tokens of `text` in CLIP's own byte-pair encoding, without its start and end tokens."""
    return len(_clip().encode(text))


def clip_pieces(word: str) -> list[str]:
    """The pieces that CLIP's encoding cuts a word into; one if its vocabulary has the word."""
    return [_clip().decode([number]).strip() for number in _clip().encode(word)]
