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
from collections.abc import Iterable, Mapping, Sequence

from scripts.lib.colour_claims import BACKGROUND, SUBJECT, background_colours
from scripts.lib.lexicon import find_context_words

SLOTS = ("token", "class", "framing", "facing", "background", "description")
REQUIRED_SLOTS = ("token", "background")
MAX_CLIP_TOKENS = 75  # CLIP's context of 77 less its start and end tokens
#: As good a background as any, to try a template with; it names no colour.
_TRIAL = "blurred background"
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
    if count_phrase(subject_class, token):
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


def templates_of(setting: str | Sequence[str]) -> tuple[str, ...]:
    """The templates of the setting `caption.template`, which is one or a list of them."""
    return (setting,) if isinstance(setting, str) else tuple(setting)


def try_template(
    template: str, subject: Mapping[str, str], context_words: Iterable[str] = ()
) -> None:
    """`check_template`, and raise CaptionSettingError if what it makes would be refused."""
    check_template(template, context_words)
    named = {"token": subject["token"], "class": subject["class"]}
    shown = {"framing": "half body", "facing": "facing the viewer", "background": _TRIAL}
    problems = check_caption(
        build_caption(template, **named, **shown),
        token=subject["token"],
        subject_class=subject["class"],
        background=_TRIAL,
        context_words=context_words,
    )
    if problems:
        raise CaptionSettingError(
            f"caption.template {template!r}: every caption would be refused "
            f"({' '.join(problems)}); mend these (docs/captions.md says what each means)"
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


def fill_override(text: str, **slots: str) -> tuple[str, list[str]]:
    """A person's caption with its slots filled, and the problem if it holds one there is not.

    Nothing else of it is changed. The slots are those of templates but for `description`.
    """
    values = {slot: str(slots.get(slot, "")) for slot in SLOTS if slot != "description"}
    if values["facing"]:
        values["facing"] = ", " + values["facing"]
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError:
        return text, ["UNKNOWN_SLOT:brace"]
    asked = [
        name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        for _, name, spec, conversion in parts
        if name is not None
    ]
    unknown = [name for name in asked if name not in values]
    if unknown:
        return text, [f"UNKNOWN_SLOT:{'-'.join(name.split()) or 'empty'}" for name in unknown]
    return text.format(**values), []


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


def clip_pieces(word: str) -> list[str]:
    """The pieces that CLIP's encoding cuts a word into; one if its vocabulary has the word."""
    return [_clip().decode([number]).strip() for number in _clip().encode(word)]


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
    EMPTY, MULTI_LINE, UNTRIMMED, NON_ASCII:<code points>, CONTROL_CHARACTER:<code points>,
    TOKEN_MISSING, TOKEN_REPEATED, TOO_LONG:<CLIP tokens>, RECIPE_CONTRADICTED (the phrase is
    absent, or something else is claimed to be the background), RECIPE_REPEATED,
    BACKGROUND_COLOUR:<colour>, CONTEXT_WORD:<word> (a phrase with hyphens). None holds a space.
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
    rest = _without_phrase(caption, background, BACKGROUND)
    phrases = count_phrase(caption, background)
    if not phrases or _BACKGROUND_CLAIM.search(rest):
        problems.append("RECIPE_CONTRADICTED")
    if phrases > 1:
        problems.append("RECIPE_REPEATED")
    for phrase in (subject_class, token):
        rest = _without_phrase(rest, phrase, SUBJECT)
    problems += [f"BACKGROUND_COLOUR:{word}" for word in background_colours(rest, background)]
    found = find_context_words(rest, context_words)
    problems += [f"CONTEXT_WORD:{word.replace(' ', '-')}" for word in found]
    return problems


def _unplain(caption: str) -> list[str]:
    """Problems of a caption as a line of text, with the code points of what should not be in it."""
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


def _phrase(phrase: str) -> re.Pattern[str]:
    words = r"\s+".join(re.escape(word) for word in phrase.split())
    return re.compile(rf"(?<![\w-]){words}(?![\w-])", re.IGNORECASE)


def count_phrase(text: str, phrase: str) -> int:
    """How often `phrase` stands in `text` as whole words, upper and lower case alike."""
    return len(_phrase(phrase).findall(text)) if phrase.strip() else 0


def without_phrases(text: str, phrases: Iterable[str]) -> str:
    """`text` without some phrases, wherever they stand as whole words."""
    for phrase in phrases:
        text = _without_phrase(text, phrase, "")
    return text


def _without_phrase(text: str, phrase: str, mark: str) -> str:
    """`text` with `mark` in the places of a phrase."""
    return _phrase(phrase).sub(lambda _: f" {mark} ", text) if phrase.strip() else text
