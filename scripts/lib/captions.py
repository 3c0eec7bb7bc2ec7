"""Captions made from what is known, and the check that they say nothing else.

A caption names the subject (token and class), how much of it shows, and the background that the
recipe painted; never the scene that was removed, or the trainer would tie that scene to the token.
The template's slots are filled here; `check_caption` is what the stage and QC7 hold a caption to.
"""

from __future__ import annotations

import functools
import re
import string
import unicodedata
from collections.abc import Iterable, Mapping

from scripts.lib.lexicon import find_context_words, words_of

SLOTS = ("token", "class", "framing", "facing", "background", "description")
REQUIRED_SLOTS = ("token", "background")
MAX_CLIP_TOKENS = 75  # CLIP's context of 77 less its start and end tokens
_GAP = " \x00 "  # stands where a known phrase was taken out of a caption
_BACKGROUND_CLAIM = re.compile(r"\b(?:background|backdrop|wallpaper|wall)s?\b", re.IGNORECASE)


class CaptionSettingError(ValueError):
    """A setting that captions are made from cannot give a good one; names the setting."""


def check_subject(subject: Mapping[str, str]) -> None:
    """Raise CaptionSettingError unless token and class can stand in a caption."""
    token, subject_class = str(subject["token"]), str(subject["class"])
    if not re.fullmatch(r"[!-~]+", token) or "," in token:
        raise CaptionSettingError(
            f"subject.token {token!r} must be one word of ASCII characters without a comma"
        )
    if not re.fullmatch(r"[!-~]+(?: [!-~]+)*", subject_class):
        raise CaptionSettingError(
            f"subject.class {subject_class!r} must be ASCII words parted by single spaces"
        )
    if _count_phrase(subject_class, token):
        raise CaptionSettingError(
            f"subject.class {subject_class!r} holds subject.token {token!r}: a caption must name "
            "the token once; choose a rare word as token"
        )


def check_template(template: str, context_words: Iterable[str] = ()) -> None:
    """Raise CaptionSettingError, naming the slots there are, for a template that cannot work."""
    known = "known slots: " + ", ".join(f"{{{slot}}}" for slot in SLOTS)
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise CaptionSettingError(f"caption.template {template!r}: {error}; {known}") from error
    slots = [name for _, name, _, _ in parts if name is not None]
    for name, spec, conversion in ((n, s, c) for _, n, s, c in parts if n is not None):
        if name not in SLOTS or spec or conversion:
            asked = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
            raise CaptionSettingError(f"caption.template: unknown slot {{{asked}}}; {known}")
    for slot in REQUIRED_SLOTS:
        if slots.count(slot) != 1:
            raise CaptionSettingError(f"caption.template must hold {{{slot}}} once; {known}")
    words = find_context_words(" , ".join(text for text, *_ in parts), context_words)
    if words:
        raise CaptionSettingError(
            f"caption.template names a scene itself ({', '.join(words)}); every caption would be "
            "refused; take these words out"
        )


def build_caption(template: str, **slots: str) -> str:
    """Fill a template that `check_template` passed; empty slots leave no stray comma or space.

    `facing` brings its own comma, so that `{framing}{facing}` reads well with and without it.
    A description whose slot the template lacks goes to the end.
    """
    values = {slot: str(slots.get(slot, "")).strip() for slot in SLOTS}
    unknown = set(slots) - set(SLOTS)
    if unknown:
        raise ValueError(f"unknown slots {sorted(unknown)}; there are {SLOTS}")
    if values["description"] and "{description}" not in template:
        template += ", {description}"
    if values["facing"]:
        values["facing"] = ", " + values["facing"]
    return tidy(template.format(**values))


def tidy(text: str) -> str:
    """One line, single spaces, no empty comma-parted piece."""
    pieces = (" ".join(piece.split()) for piece in text.split(","))
    return ", ".join(piece for piece in pieces if piece)


def plain_ascii(text: str) -> str:
    """`text` with accents taken off and whatever else is not printable ASCII left out."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return tidy("".join(char if char.isprintable() else " " for char in bare))


@functools.cache
def _clip():
    from instant_clip_tokenizer import Tokenizer  # 0.1 s, and QC pages import this module too

    return Tokenizer()


def count_clip_tokens(text: str) -> int:
    """Tokens of `text` in CLIP's own byte-pair encoding, without its start and end tokens."""
    return len(_clip().encode(text))


def check_caption(
    caption: str,
    *,
    token: str,
    subject_class: str,
    background: str,
    context_words: Iterable[str] = (),
) -> list[str]:
    """What is wrong with a caption; an empty list if nothing is.

    `background` is the recipe's phrase: it must be there, and is not searched for context words;
    neither are token and class. `context_words` come on top of the built-in list. Problems:
    EMPTY, MULTI_LINE, UNTRIMMED, NON_ASCII, TOKEN_MISSING, TOKEN_REPEATED, TOO_LONG:<CLIP tokens>,
    RECIPE_CONTRADICTED (the phrase is absent, or something else is claimed to be the background),
    CONTEXT_WORD:<word> (a phrase with hyphens). None holds a space.
    """
    if not caption.strip():
        return ["EMPTY"]
    problems = []
    if len(caption.splitlines()) > 1:
        problems.append("MULTI_LINE")
    elif caption != caption.strip():
        problems.append("UNTRIMMED")
    if not caption.isascii():
        problems.append("NON_ASCII")
    named = _count_phrase(caption, token)
    if named != 1:
        problems.append("TOKEN_REPEATED" if named else "TOKEN_MISSING")
    length = count_clip_tokens(caption)
    if length > MAX_CLIP_TOKENS:
        problems.append(f"TOO_LONG:{length}")
    rest = _without_phrase(caption, background)
    if not _count_phrase(caption, background) or _claims_another(rest):
        problems.append("RECIPE_CONTRADICTED")
    for phrase in (subject_class, token):
        rest = _without_phrase(rest, phrase)
    found = find_context_words(rest, context_words)
    problems += [f"CONTEXT_WORD:{word.replace(' ', '-')}" for word in found]
    return problems


def _phrase(phrase: str) -> re.Pattern[str]:
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<![\w-]){words}(?![\w-])", re.IGNORECASE)


def _count_phrase(text: str, phrase: str) -> int:
    """How often `phrase` stands in `text` as whole words, upper and lower case alike."""
    return len(_phrase(phrase).findall(text)) if phrase.strip() else 0


def _without_phrase(text: str, phrase: str) -> str:
    return _phrase(phrase).sub(lambda _: _GAP, text) if phrase.strip() else text


def _claims_another(rest: str) -> bool:
    """True if the caption without the recipe's phrase still says what is behind the subject.

    That is the word background, backdrop or wall, or one of the palette's colours right before
    the phrase ("red plain olive background").
    """
    from scripts.lib.palette import BY_NAME  # numpy, which the template alone does not need

    if _BACKGROUND_CLAIM.search(rest):
        return True
    before = rest.split(_GAP.strip())[:-1]
    ends = [words_of(piece) for piece in before if not piece.rstrip().endswith(",")]
    colours = [words_of(name) for name in BY_NAME]
    return any(words[-len(colour) :] == colour for words in ends for colour in colours)
