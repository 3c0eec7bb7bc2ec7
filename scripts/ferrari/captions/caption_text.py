"""Captions made from known facts.

A caption names the subject (token and class), how much of it is visible, and the background that
the recipe painted. It never names the scene that was removed, or the trainer would tie that scene
to the token. The template's slots are filled here; the stage and QC7 check the result with
`caption_rules.check_caption`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence

from ferrari.captions.caption_rules import check_caption
from ferrari.captions.phrases import count_phrase, tidy
from ferrari.captions.scene_words import find_context_words
from ferrari.common.errors import FerrariError

SLOTS = ("token", "class", "framing", "facing", "background", "description")
REQUIRED_SLOTS = ("token", "background")

#: As good a background as any, to try a template with; it names no colour.
_TRIAL = "blurred background"


class CaptionSettingError(FerrariError, ValueError):
    """A caption setting cannot give a good caption; names the setting."""


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


def checked_templates(settings: Mapping, subject: Mapping[str, str]) -> tuple[str, ...]:
    """The templates of the `caption` settings; raises CaptionSettingError if one of them, or the
    words for the subject, would have every caption refused.
    """
    found = templates_of(settings["template"])
    check_subject(subject)
    for template in found:
        try_template(template, subject, tuple(settings.get("context_words") or ()))
    return found


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
    """A person's caption with its slots filled, and the problem if it has an unknown slot.

    Nothing else in it is changed. The slots are those of templates, without `description`.
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
