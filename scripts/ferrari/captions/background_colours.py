"""Colours that a caption gives to the background, apart from those in the recipe's own phrase.

The subject may wear any colour ("a woman in a red shirt", "a man in black"). A colour that stands
alone, beside the recipe's phrase or after a word of place belongs to the background, and the recipe
did not paint it.
"""

from __future__ import annotations

import functools
import re

from ferrari.backgrounds.palette import BY_NAME

#: Stand in a caption for what was taken out of it: the recipe's phrase, and the subject's names.
BACKGROUND, SUBJECT = "\x00", "\x01"

_SHADES = "light|dark|pale|bright|deep|soft|vivid|pastel|neon|hot|sky|royal|forest|off"
_MORE = (
    "amber aqua azure burgundy charcoal chartreuse colorful colourful coral crimson cyan fuchsia "
    "gold golden gray indigo ivory khaki lilac mauve monochrome multicolored multicoloured ochre "
    "rainbow rose ruby scarlet sepia silver violet"
)
_FILL = rf"a|an|the|all|plain|solid|pure|flat|uniform|and|or|color|colour|tone|{_SHADES}"
_PLACE = (
    r"against|on|onto|over|upon|amid|amidst|before|behind|surrounded by|in front of|set in"
    r"|all around|around"
)
_AFTER = r"behind|all around|all round|everywhere|surroundings?|surrounds"


@functools.cache
def colour_words() -> frozenset[str]:
    """Single words that name a colour: those of the palette's names, and other common ones."""
    words = {word for name in BY_NAME for word in name.split()}
    return frozenset(words | set(_MORE.split())) - set(_SHADES.split("|"))


@functools.cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    words = "|".join(sorted(colour_words()))
    colour = rf"(?P<colour>\b(?:{words})\b)"
    fill = rf"(?:(?:{_FILL}|{words})\s+)*"
    return (
        re.compile(rf"{colour}\s*{BACKGROUND}"),  # "red plain olive background"
        re.compile(rf"{BACKGROUND}[^{SUBJECT}]*?{colour}"),  # "... background with red stripes"
        re.compile(rf"^\s*{fill}{colour}(?:\s+(?:{_FILL}))*\s*$"),  # "..., red, ..."
        re.compile(rf"\b(?:{_PLACE})\s+{fill}{colour}\s*(?:$|\b(?:and|with|while|as)\b)"),
        re.compile(rf"{colour}\s+(?:{_AFTER})\b"),  # "red all around"
    )


def background_colours(caption: str, phrase: str) -> list[str]:
    """Colours that `caption` gives to the background, each once, apart from those in `phrase`.

    In `caption`, BACKGROUND stands for the recipe's phrase, SUBJECT for token and class.
    """
    own = {_plain(word) for word in re.findall(r"[a-z]+", phrase.lower())}
    found = []
    for piece in re.split(r"[,.;:!?()]", caption.lower().replace("-", " ")):
        for pattern in _patterns():
            found += [match["colour"] for match in pattern.finditer(piece)]
    return [word for word in dict.fromkeys(found) if _plain(word) not in own]


def _plain(word: str) -> str:
    return "grey" if word == "gray" else word
