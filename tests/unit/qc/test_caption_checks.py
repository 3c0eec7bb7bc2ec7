"""The checks of QC7 that read captions: each passes on sound ones and sees the fault it is for."""

import pandas as pd
import pytest

from ferrari.captions.overrides import Override
from ferrari.qc import caption_checks
from ferrari.reports.checks import FAIL, PASS, WARN

OLIVE, ROOM = "plain olive background", "empty room with sand walls background"
SUBJECT = {"token": "sks", "class": "person"}
SETTINGS = {"template": "{token}", "backend": "template", "context_words": ["gnome"]}
SOUND = [
    (f"sks person, {framing}, {phrase}", phrase)
    for framing in ("close-up", "half body", "full body")
    for phrase in (OLIVE, ROOM, "blurred background", "marbled red and plum background")
]


def frames(pairs, **columns):
    """Caption rows and augment rows of (caption, background) pairs."""
    texts, phrases = zip(*pairs, strict=True)
    items = [f"a-0123456789-f{number:06d}-p0-v0" for number in range(len(pairs))]
    plain = {"allowed_problems": "", "caption_source": "template", "outcome": "kept"}
    plain |= {"reason": "", "value": "", "replaced_caption": ""}
    rows = pd.DataFrame({"item": items, "caption": texts, "background": phrases, **plain})
    parents = [item.removesuffix("-v0") for item in items]
    recipes = pd.DataFrame({"item": items, "parent": parents, "background": phrases})
    return rows.assign(**columns), recipes.assign(kind="flat", environment="")


def run(pairs, subject=SUBJECT, settings=None, **columns):
    rows, recipes = frames(pairs, **columns)
    made = caption_checks.checks(rows, recipes, subject, {**SETTINGS, **(settings or {})})
    return {check.name: check for check in made}


def said(text, phrase=OLIVE):
    """The sound captions and one more."""
    return {"pairs": [*SOUND, (text, phrase)]}


#: What is wrong: (arguments of `run`, the checks that see it, a word of their explanation).
WRONG = {
    "token missing": (said(f"person, {OLIVE}"), {"token_exactly_once"}, ""),
    "token doubled": (said(f"sks person sks, {OLIVE}"), {"token_exactly_once"}, ""),
    "token split by CLIP": (
        {
            "pairs": [(t.replace("sks", "zwx"), p) for t, p in SOUND],
            "subject": SUBJECT | {"token": "zwx"},
        },
        {"token_is_one_piece"},
        "pieces",
    ),
    "token inside a word": (
        said(f"sks person, two masks and sksy hair, {OLIVE}"),
        {"token_in_no_other_word"},
        "sksy",
    ),
    "homoglyph": (said(f"sks pers\u043en, {OLIVE}"), {"captions_plain_ascii"}, "CYRILLIC SMALL"),
    "zero width": (said(f"sks per\u200bson, {OLIVE}"), {"captions_plain_ascii"}, "ZERO WIDTH"),
    "smart quote": (said(f"sks person\u2019s hat, {OLIVE}"), {"captions_plain_ascii"}, "U+2019"),
    "tab": (said(f"sks\tperson, {OLIVE}"), {"captions_plain_ascii"}, "U+0009"),
    "two lines": (said(f"sks person,\n{OLIVE}"), {"captions_one_line"}, ""),
    "space after it": (said(f"sks person, {OLIVE} "), {"captions_one_line"}, ""),
    "no caption": (said(""), {"captions_one_line", "captions_say_something"}, ""),
    "76 tokens": (
        said(f"sks person, {'tall ' * 70}, {OLIVE}"),
        {"captions_within_75_tokens"},
        "",
    ),
    "context word": (said(f"sks person on couches, {OLIVE}"), {"no_context_word"}, "couch"),
    "user's word": (said(f"sks person, gnomes, {OLIVE}"), {"no_context_word"}, "gnome"),
    "recipe's place twice": (
        said(f"sks person in a room, {ROOM}", ROOM),
        {"no_context_word"},
        "room",
    ),
    "background absent": (said("sks person"), {"captions_name_their_background"}, ""),
    "background doubled": (
        said(f"sks person, {OLIVE}, {OLIVE}"),
        {"captions_name_their_background"},
        "",
    ),
    "another's background": (
        said("sks person, plain red background"),
        {"captions_name_their_background", "no_context_word"},
        "",
    ),
    "another colour": (
        said(f"sks person against red, {OLIVE}"),
        {"no_other_background_colour"},
        "red",
    ),
    "nothing said": (said(f"sks, {OLIVE}"), {"captions_say_something"}, ""),
    "captioner without words": (
        {"pairs": SOUND, "settings": {"backend": "transformers"}},
        {"captions_say_something"},
        "",
    ),
    "one caption on most": (
        {
            "pairs": [
                *SOUND,
                *[("sks person, full body, blurred background", "blurred background")] * 13,
            ]
        },
        {"captions_repeated"},
        "",
    ),
}


def test_sound_captions_pass_every_check():
    assert {check.status for check in run(SOUND).values()} == {PASS}
    assert {check.status for check in run(SOUND[:1]).values()} == {PASS}


@pytest.mark.parametrize("fault", WRONG)
def test_each_wrong_caption_is_seen_by_its_check_and_no_other(fault):
    arguments, expected, word = WRONG[fault]
    found = run(**arguments)
    assert {name for name, check in found.items() if check.status != PASS} == expected
    assert any(word in found[name].explanation for name in expected)


def test_every_check_has_a_fault_that_it_sees():
    seen = set.union(*(expected for _, expected, _ in WRONG.values()))
    assert set(run(SOUND)) - seen == {"captions_without_other_fault"}


def test_a_problem_without_a_check_of_its_own_is_not_lost(monkeypatch):
    monkeypatch.setattr(caption_checks, "check_caption", lambda caption, **known: ["NEW:x"])
    found = run(SOUND)
    assert {n for n, c in found.items() if c.status == FAIL} == {"captions_without_other_fault"}
    assert "NEW:x" in found["captions_without_other_fault"].explanation


def test_what_its_author_allowed_is_no_fault_of_a_caption_and_of_no_other():
    caption = (f"sks person on a chair, {OLIVE}", OLIVE)
    allowed = ["", "CONTEXT_WORD:chair"]
    found = run([caption, caption], allowed_problems=allowed)["no_context_word"]
    assert found.figure == "1 of 2" and found.rows[0].endswith("f000000-p0-v0")


def test_one_recipe_may_have_one_caption():
    found = run([SOUND[0]] * 20)["captions_repeated"]
    assert (found.status, found.figure) == (PASS, "1 different in 20, the most common on 100%")


@pytest.mark.parametrize("wordless", [1, 2])
def test_a_captioner_may_have_nothing_to_say_now_and_then(wordless):
    source = ["template"] * wordless + ["transformers"] * (12 - wordless)
    found = run(SOUND, settings={"backend": "transformers"}, caption_source=source)
    assert found["captions_say_something"].status == (PASS if wordless == 1 else WARN)


def test_overrides_that_reach_nothing_and_that_are_refused_are_listed():
    rows, recipes = frames(SOUND[:3])
    used, refused = rows["item"][0], rows["item"][1]
    rows.loc[[0, 1], "caption_source"] = "override"
    rows.loc[1, ["outcome", "reason", "value"]] = [
        *("quarantined", "OVERRIDE_INVALID", "TOKEN_MISSING"),
    ]
    cut_out = refused.removesuffix("-v0")
    rows.loc[0, "allowed_problems"] = "CONTEXT_WORD:chair"
    lines = {item: Override(item, "x") for item in (used, cut_out, "a-0123456789-f000009-p0")}
    found = {c.name: c for c in caption_checks.override_checks(rows, recipes, lines)}
    assert found["overrides_have_images"].rows == ("a-0123456789-f000009-p0",)
    assert found["overrides_within_the_rules"].rows == (refused,)
    assert "TOKEN_MISSING" in found["overrides_within_the_rules"].explanation
    assert {check.status for check in found.values()} == {WARN}
    shown = caption_checks.by_hand(rows)
    assert list(shown["item"]) == [refused, used]
    assert list(shown["problems"]) == ["TOKEN_MISSING", "allowed: CONTEXT_WORD:chair"]
    clean = caption_checks.override_checks(rows[:1], recipes, {used: lines[used]})
    assert {check.status for check in clean} == {PASS}
