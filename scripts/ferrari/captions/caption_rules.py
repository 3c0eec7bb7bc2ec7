"""The rules for captions, used by the stage that writes them and by QC7."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ferrari.captions.background_colours import BACKGROUND, SUBJECT, background_colours
from ferrari.captions.clip_tokens import MAX_CLIP_TOKENS, count_clip_tokens
from ferrari.captions.phrases import count_phrase, without_phrase
from ferrari.captions.scene_words import find_context_words

_BACKGROUND_CLAIM = re.compile(r"\b(?:background|backdrop|wallpaper|wall)s?\b", re.IGNORECASE)


def check_caption(
    caption: str,
    *,
    token: str,
    subject_class: str,
    background: str,
    context_words: Iterable[str] = (),
) -> list[str]:
    """The problems of a caption; an empty list if it has none.

    `background` is the recipe's phrase: it must be in the caption, and is not searched for context
    words; neither are token and class. `context_words` are added to the built-in list. Problems:
    EMPTY, MULTI_LINE, UNTRIMMED, NON_ASCII:<code points>, CONTROL_CHARACTER:<code points>,
    TOKEN_MISSING, TOKEN_REPEATED, TOO_LONG:<CLIP tokens>, RECIPE_CONTRADICTED (the phrase is
    absent, or something else is claimed to be the background), RECIPE_REPEATED,
    BACKGROUND_COLOUR:<colour>, CONTEXT_WORD:<word> (a phrase with hyphens). None contains a space.
    """
    if not caption.strip():
        return ["EMPTY"]
    problems = _unplain(caption)
    named = count_phrase(caption, token)
    if named != 1:
        problems.append("TOKEN_REPEATED" if named else "TOKEN_MISSING")
    length = count_clip_tokens(caption)
    if length > MAX_CLIP_TOKENS:
        problems.append(f"TOO_LONG:{length}")
    rest = without_phrase(caption, background, BACKGROUND)
    phrases = count_phrase(caption, background)
    if not phrases or _BACKGROUND_CLAIM.search(rest):
        problems.append("RECIPE_CONTRADICTED")
    if phrases > 1:
        problems.append("RECIPE_REPEATED")
    for phrase in (subject_class, token):
        rest = without_phrase(rest, phrase, SUBJECT)
    problems += [f"BACKGROUND_COLOUR:{word}" for word in background_colours(rest, background)]
    found = find_context_words(rest, context_words)
    problems += [f"CONTEXT_WORD:{word.replace(' ', '-')}" for word in found]
    return problems


#: A sentence's part for each kind of problem; {} is what the problem names behind its colon.
_WORDS = {
    "EMPTY": "it is empty",
    "MULTI_LINE": "it has more than one line",
    "UNTRIMMED": "it begins or ends with a space",
    "NON_ASCII": "it holds characters that are not plain ASCII: {}",
    "CONTROL_CHARACTER": "it holds characters that cannot be seen: {}",
    "TOKEN_MISSING": "the token is not in it",
    "TOKEN_REPEATED": "the token is in it more than once",
    "TOO_LONG": f"it has {{}} CLIP tokens, and {MAX_CLIP_TOKENS} are the most",
    "RECIPE_CONTRADICTED": "the image's own background is not in it, or another one is: write "
    "{{background}} where it belongs",
    "RECIPE_REPEATED": "the background is in it more than once",
    "BACKGROUND_COLOUR": "{} reads as the background's colour, which is another",
    "CONTEXT_WORD": "{} names a place or a thing of a scene, which the picture does not show",
    "UNKNOWN_SLOT": "there is no slot {}",
}


def in_words(problem: str) -> str:
    """A problem of `check_caption`, or of a caption's slots, in plain words with its name."""
    kind, _, named = problem.partition(":")
    return f"{_WORDS[kind].format(named)} ({problem})"


def _unplain(caption: str) -> list[str]:
    """Problems of a caption as a line of text, with the code points that should not be in it."""
    problems = []
    if len(caption.splitlines()) > 1:
        problems.append("MULTI_LINE")
    elif caption != caption.strip():
        problems.append("UNTRIMMED")
    breaks = set("\r\n")
    for code, odd in (
        ("NON_ASCII", {char for char in caption if not char.isascii()}),
        ("CONTROL_CHARACTER", {c for c in caption if c.isascii() and not c.isprintable()} - breaks),
    ):
        if odd:
            problems.append(f"{code}:{','.join(f'U+{ord(char):04X}' for char in sorted(odd))}")
    return problems
