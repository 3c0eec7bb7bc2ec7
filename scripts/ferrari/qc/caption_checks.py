"""The checks of QC7 that read captions: does each say what its picture holds, once, and no more?

Each works on frames of the caption table (see `stage_tables`); what breaks a caption's own rules is
a FAIL, what only makes the set a worse one to train on is a WARN.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

import pandas as pd

from ferrari.captions import scene_words
from ferrari.captions.caption_rules import check_caption
from ferrari.captions.caption_text import templates_of
from ferrari.captions.clip_tokens import MAX_CLIP_TOKENS, clip_pieces, count_clip_tokens
from ferrari.captions.overrides import Override
from ferrari.captions.phrases import without_phrases
from ferrari.common.counts import first_of
from ferrari.ledger.reasons import OVERRIDE_INVALID
from ferrari.qc import stage_tables
from ferrari.reports.checks import PASS, WARN, Check, none_of

#: So many of the words that were found are named.
_TOLD = 10
#: Problems of `check_caption` by the check that reports them: name, problems, explanation, bound.
RULES = (
    (
        "token_exactly_once",
        ("TOKEN_MISSING", "TOKEN_REPEATED"),
        "Each caption holds the subject's token once.",
        "0",
    ),
    (
        "no_context_word",
        ("CONTEXT_WORD",),
        "No caption names a scene beyond its recipe's own words.",
        "0",
    ),
    (
        "captions_name_their_background",
        ("RECIPE_CONTRADICTED", "RECIPE_REPEATED"),
        "Each caption holds its row's words for the background once, and claims no other.",
        "0",
    ),
    (
        "no_other_background_colour",
        ("BACKGROUND_COLOUR",),
        "No caption gives the background a colour that its recipe did not paint.",
        "0",
    ),
    (
        "captions_one_line",
        ("EMPTY", "MULTI_LINE", "UNTRIMMED"),
        "Each caption is one line, not empty, without spaces at its ends.",
        "0",
    ),
    (
        "captions_plain_ascii",
        ("NON_ASCII", "CONTROL_CHARACTER"),
        "Each caption is printable ASCII. Look-alike letters, curly quotes and invisible "
        "characters would be other tokens to the trainer.",
        "0",
    ),
    (
        "captions_within_75_tokens",
        ("TOO_LONG",),
        "Each caption fits CLIP's context, counted with CLIP's own encoding.",
        f"at most {MAX_CLIP_TOKENS} tokens",
    ),
)
#: One caption on more than this share of the images, though their recipes differ, is a WARN.
MOST = 0.5
FEW_IMAGES = 10
#: Share of the images to which the captioner added nothing, above which it is a WARN.
WORDLESS = 0.1
_FOUND = re.compile(r"(?:CONTEXT_WORD|BACKGROUND_COLOUR):(\S+)")
_POINT = re.compile(r"U\+([0-9A-F]{4,6})")


def checks(
    rows: pd.DataFrame, recipes: pd.DataFrame, subject: Mapping, settings: Mapping
) -> list[Check]:
    """All checks of this module on kept caption `rows` and the augment rows, but for overrides."""
    problems = caption_problems(rows, subject, settings)
    return [
        *rule_checks(rows, problems, token_counts(rows["caption"])),
        *token_checks(rows, subject),
        emptiness_check(rows, subject, settings),
        repeats_check(rows, recipes, templates_of(settings["template"])),
    ]


def caption_problems(rows: pd.DataFrame, subject: Mapping, settings: Mapping) -> pd.Series:
    """What `check_caption` says about each row, as one string, less what its author allowed.

    Each pair of a caption and a background is asked about only once.
    """
    words = list(settings.get("context_words") or ())
    asked = ["caption", "background", "allowed_problems"]
    different = rows[asked].drop_duplicates()
    said = []
    for caption, background, allowed in different.itertuples(index=False, name=None):
        found = check_caption(
            caption,
            token=subject["token"],
            subject_class=subject["class"],
            background=background,
            context_words=words,
        )
        said.append(" ".join(one for one in found if one not in allowed.split()))
    judged = different.assign(problems=pd.Series(said, index=different.index, dtype="str"))
    return rows.merge(judged, how="left", on=asked)["problems"].set_axis(rows.index)


def rule_checks(rows: pd.DataFrame, problems: pd.Series, lengths: pd.Series) -> list[Check]:
    """One check for each group of problems, and one for any that has no group."""
    found: list[Check] = []
    known: list[str] = []
    for name, codes, explanation, bound in RULES:
        known += codes
        has = problems.str.contains("|".join(codes), regex=True)
        longest = f"longest {lengths.max():.0f}" if len(lengths) else "no caption"
        figure = longest if name == "captions_within_75_tokens" else None
        explanation += _named(problems[has], codes)
        found.append(
            none_of(name, rows["item"][has], len(rows), explanation, bound=bound, figure=figure)
        )
    rest = problems.str.replace(rf"(?:{'|'.join(known)})\S*\s?", "", regex=True).str.strip()
    said = _found(sorted(set(rest[rest != ""])))
    found.append(
        none_of(
            "captions_without_other_fault",
            rows["item"][rest != ""],
            len(rows),
            "Faults that have no check of their own." + said,
        )
    )
    return found


def _named(problems: pd.Series, codes: Sequence[str]) -> str:
    """The words and the characters that were found, in words."""
    if "NON_ASCII" in codes:
        points = sorted({int(p, 16) for said in problems for p in _POINT.findall(said)})
        named = [f"U+{p:04X} {unicodedata.name(chr(p), 'without a name')}" for p in points]
    else:
        named = sorted({word for said in problems for word in _FOUND.findall(said)})
        named = named if {"CONTEXT_WORD", "BACKGROUND_COLOUR"} & set(codes) else []
    return _found(named)


def _found(what: Sequence[str]) -> str:
    return f" Found: {first_of(what, _TOLD)}." if what else ""


def token_counts(captions: pd.Series) -> pd.Series:
    """CLIP tokens of each caption; each text is counted once."""
    counts = {text: count_clip_tokens(text) for text in captions.unique()}
    return captions.map(counts).astype(float)


def token_checks(rows: pd.DataFrame, subject: Mapping) -> list[Check]:
    """The subject's token is one piece to CLIP, and no part of another word."""
    token = subject["token"].lower()
    pieces = clip_pieces(token)
    hides = {
        text: [word for word in re.findall(r"[\w-]+", text.lower()) if token in word != token]
        for text in rows["caption"].unique()
    }
    words = sorted({word for found in hides.values() for word in found})
    return [
        Check(
            "token_is_one_piece",
            PASS if len(pieces) == 1 else WARN,
            " + ".join(pieces),
            "1 piece",
            "CLIP cuts a word that it does not know into pieces that have a meaning already. A "
            "rare word of one piece is the best token. Other text encoders cut differently.",
        ),
        none_of(
            "token_in_no_other_word",
            rows["item"][rows["caption"].map(hides).str.len() > 0],
            len(rows),
            "The token is part of longer words; trainers that search for its text find it there."
            + _found(words),
            otherwise=WARN,
        ),
    ]


def emptiness_check(rows: pd.DataFrame, subject: Mapping, settings: Mapping) -> Check:
    """Captions say something beside token and background; a captioner that is asked adds words."""
    pairs = rows[["caption", "background"]].drop_duplicates()
    bare = {
        pair: not scene_words.words_of(without_phrases(pair[0], (pair[1], subject["token"])))
        for pair in pairs.itertuples(index=False, name=None)
    }
    empty = pd.Series(
        [bare[pair] for pair in zip(rows["caption"], rows["background"], strict=True)],
        index=rows.index,
        dtype=bool,
    )
    wordless = rows["caption_source"] == "template"
    if settings["backend"] == "transformers" and wordless.sum() > WORDLESS * len(rows):
        empty |= wordless
    return none_of(
        "captions_say_something",
        rows["item"][empty],
        len(rows),
        "Captions that say nothing but token and background: training then ties all else in the "
        "picture to the token. Images to which the captioner added no word count too, where they "
        f"are more than {WORDLESS:.0%}.",
        otherwise=WARN,
    )


def repeats_check(rows: pd.DataFrame, recipes: pd.DataFrame, templates: Sequence[str]) -> Check:
    """How many captions are shared; a WARN where one is on most images and recipes differ."""
    counts = rows["caption"].value_counts()
    share = counts.iloc[0] / len(rows) if len(rows) else 0.0
    drawn = recipes[["kind", "background", "environment"]].drop_duplicates()
    most = len(rows) >= FEW_IMAGES and share > MOST and len(drawn) > 1
    return Check(
        "captions_repeated",
        WARN if most else PASS,
        f"{len(counts):,} different in {len(rows):,}, the most common on {share:.0%}",
        f"at most {MOST:.0%} share one",
        "Images with the same framing, facing and background share a caption, as they should. But "
        "if most images share one, the model learns little more than that sentence. More kinds of "
        f"background (augment.weights) help, or more templates (there are {len(templates)}).",
    )


def override_checks(
    captions: pd.DataFrame, recipes: pd.DataFrame, overrides: Mapping[str, Override]
) -> list[Check]:
    """What became of the captions that a person wrote; `captions` are all rows, kept or not."""
    by_hand = captions[captions["caption_source"] == "override"]
    parents = dict(zip(recipes["item"], recipes["parent"], strict=True))
    reached = set(by_hand["item"]) | {parents.get(item, "") for item in by_hand["item"]}
    refused = by_hand[by_hand["reason"] == OVERRIDE_INVALID]
    said = sorted({word for value in refused["value"] for word in value.split()})
    return [
        none_of(
            "overrides_within_the_rules",
            refused["item"],
            len(by_hand),
            "A caption by hand that breaks a rule is refused, and its image too. Correct it in "
            "captions/overrides.csv or with make decide, or allow the problem in its row."
            + _found(said),
            otherwise=WARN,
        ),
        none_of(
            "overrides_have_images",
            sorted(set(overrides) - reached),
            len(overrides),
            "Captions by hand that changed nothing: they name no image that gets a caption, nor a "
            "cut-out of one, or one that is another now than when they were written.",
            otherwise=WARN,
        ),
    ]


def by_hand(captions: pd.DataFrame) -> pd.DataFrame:
    """The captions that a person wrote, for a table of the page: refused ones first."""
    rows = captions[captions["caption_source"] == "override"].sort_values("outcome", kind="stable")
    rows = pd.concat([stage_tables.refused(rows), stage_tables.kept(rows)])
    allowed = rows["allowed_problems"]
    problems = rows["value"].where(allowed == "", "allowed: " + allowed)
    shown = ["item", "caption", "replaced_caption", "outcome"]
    return rows[shown].assign(problems=problems)
