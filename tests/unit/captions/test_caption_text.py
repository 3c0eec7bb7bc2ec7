"""Captions: filled as the template says, counted as CLIP counts, held to what is known."""

import re

import numpy as np
import pytest

from ferrari.backgrounds import palette
from ferrari.backgrounds.recipes import PHRASES
from ferrari.captions import caption_text, clip_tokens, description_cleaning, scene_words
from ferrari.captions import framing as caption_framing
from ferrari.captions.caption_rules import check_caption, in_words
from ferrari.captions.caption_text import CaptionSettingError
from ferrari.common import settings

DEFAULT = "{token} {class}, {framing}{facing}, {background}"
KNOWN = {"token": "sks", "subject_class": "person", "background": "plain olive background"}


def filled(template=DEFAULT, **slots):
    given = {"token": "sks", "class": "person", "framing": "half body"}
    return caption_text.build_caption(
        template, **{**given, "background": "plain olive background", **slots}
    )


@pytest.mark.parametrize(
    ("slots", "expected"),
    [
        ({}, "sks person, half body, plain olive background"),
        ({"facing": "facing left"}, "sks person, half body, facing left, plain olive background"),
        ({"framing": ""}, "sks person, plain olive background"),
        ({"description": "smiling"}, "sks person, half body, plain olive background, smiling"),
        ({"template": "{facing} {token}, {background}"}, "sks, plain olive background"),
        (
            {"template": "{token} {class}, {description}, {background}", "description": "smiling"},
            "sks person, smiling, plain olive background",
        ),
    ],
)
def test_build_caption(slots, expected):
    assert filled(**slots) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{token} {clas}, {background}", r"unknown slot \{clas\}.*\{token\}, \{class\}"),
        ("{token!r} {background}", r"unknown slot \{token!r\}"),
        ("{} {token} {background}", r"unknown slot \{\}"),
        ("{token {background}", "known slots"),
        ("{class}, {background}", r"must hold \{token\} once"),
        ("{token} {token}, {background}", r"must hold \{token\} once"),
        ("{token} {class}", r"must hold \{background\} once"),
        ("{token} in a living room, {background}", "living room"),
        ("{token} by the gnome, {background}", "gnome"),
    ],
)
def test_template_that_cannot_work_is_refused(template, message):
    with pytest.raises(CaptionSettingError, match=message):
        caption_text.check_template(template, ["gnomes"])


def test_default_and_common_templates_pass():
    caption_text.check_template(DEFAULT)
    caption_text.check_template("a photo of {token} {class}, {framing}, {background}")


@pytest.mark.parametrize(
    ("token", "subject_class", "setting"),
    [
        ("", "person", "subject.token"),
        ("two words", "person", "subject.token"),
        ("sks,", "person", "subject.token"),
        ("söks", "person", "subject.token"),
        ("sks", "a\nb", "subject.class"),
        ("person", "person", "subject.class"),
    ],
)
def test_subject_that_cannot_be_named_is_refused(token, subject_class, setting):
    with pytest.raises(CaptionSettingError, match=setting):
        caption_text.check_subject({"token": token, "class": subject_class})


def test_clip_tokens_are_those_of_clips_own_vocabulary():
    # ids of CLIP's published vocabulary: "a photo of a dog" is 320 1125 539 320 1929
    assert clip_tokens._clip().encode("a photo of a dog") == [320, 1125, 539, 320, 1929]
    assert clip_tokens.count_clip_tokens("a photo of a dog") == 5
    assert clip_tokens.count_clip_tokens(
        "SKS  person,\nhalf body"
    ) == clip_tokens.count_clip_tokens("sks person, half body")


@pytest.mark.parametrize(
    ("caption", "problems"),
    [
        ("sks person, half body, plain olive background", []),
        ("sks person in a red shirt, plain olive background", []),
        ("SKS person, plain olive background", []),
        ("", ["EMPTY"]),
        (" \n", ["EMPTY"]),
        ("sks person,\nplain olive background", ["MULTI_LINE"]),
        ("sks person, plain olive background\n", ["UNTRIMMED"]),
        ("sks person, café, plain olive background", ["NON_ASCII:U+00E9"]),
        ("person, plain olive background", ["TOKEN_MISSING"]),
        ("sksy person, plain olive background", ["TOKEN_MISSING"]),
        ("sks person sks, plain olive background", ["TOKEN_REPEATED"]),
        ("sks person, half body", ["RECIPE_CONTRADICTED"]),
        ("sks person, plain olive backgrounds", ["RECIPE_CONTRADICTED", "CONTEXT_WORD:background"]),
        ("sks person, red plain olive background", ["BACKGROUND_COLOUR:red"]),
        ("plain olive background, sks, plain olive background", ["RECIPE_REPEATED"]),
        ("sks person, plain\tolive background", ["CONTROL_CHARACTER:U+0009"]),
        ("\u0455ks person, plain olive background", ["NON_ASCII:U+0455", "TOKEN_MISSING"]),
        ("sks person,\u200b smiling, plain olive background", ["NON_ASCII:U+200B"]),
        (
            "sks person, plain olive background, red backdrop",
            ["RECIPE_CONTRADICTED", "CONTEXT_WORD:backdrop"],
        ),
        ("sks person in a Living-Room, plain olive background", ["CONTEXT_WORD:living-room"]),
        (
            "sks person on couches by bookshelves, plain olive background",
            ["CONTEXT_WORD:couch", "CONTEXT_WORD:bookshelf"],
        ),
    ],
)
def test_check_caption(caption, problems):
    assert check_caption(caption, **KNOWN, context_words=[]) == problems


def test_caption_over_75_clip_tokens_is_too_long():
    start = "sks person, plain olive background"
    spare = clip_tokens.MAX_CLIP_TOKENS - clip_tokens.count_clip_tokens(start)
    assert check_caption(start + " tall" * spare, **KNOWN) == []
    assert check_caption(start + " tall" * (spare + 1), **KNOWN) == ["TOO_LONG:76"]


def test_users_words_count_in_singular_and_plural_and_only_for_them():
    caption = "sks person with gnomes, plain olive background"
    assert check_caption(caption, **KNOWN) == []
    for word in ("gnome", "Gnomes"):
        found = check_caption(caption, **KNOWN, context_words=[word])
        assert found == [f"CONTEXT_WORD:{word.lower()}"]


def test_recipes_own_words_are_not_context_but_only_inside_the_phrase():
    phrase = "empty room with sand walls background"
    known = {**KNOWN, "background": phrase}
    assert check_caption(f"sks person, {phrase}", **known) == []
    assert "CONTEXT_WORD:room" in check_caption(f"sks person in a room, {phrase}", **known)


def test_class_that_is_itself_a_scene_word_is_allowed():
    known = {**KNOWN, "subject_class": "street dancer"}
    assert check_caption("sks street dancer, plain olive background", **known) == []


@pytest.mark.parametrize("framing", caption_framing.FRAMINGS)
@pytest.mark.parametrize("phrase", PHRASES.values(), ids=PHRASES)
def test_no_recipe_and_no_framing_makes_a_caption_that_is_refused(phrase, framing):
    background = phrase.format("dark grey", "salmon pink")
    for facing in ("", *caption_framing.FACINGS):
        caption = filled(framing=framing, facing=facing, background=background)
        assert check_caption(caption, **{**KNOWN, "background": background}) == []


@pytest.mark.parametrize(
    ("words", "plural"),
    [("bench", "benches"), ("city", "cities"), ("bus", "buses"), ("shelf", "shelves")],
)
def test_plurals(words, plural):
    assert scene_words.plurals(words) == (plural,)
    assert scene_words.find_context_words(f"two {plural}") == [words]


@pytest.mark.parametrize(
    "worn", ["glasses and a watch", "arms crossed over the chest", "a suit and tie", "boots"]
)
def test_what_a_subject_wears_is_no_context(worn):
    assert scene_words.find_context_words(worn) == []


def test_builtin_words_are_singular_lower_case_and_unique():
    words = scene_words.builtin_words()
    assert len(words) > 300
    assert len(set(words)) == len(words)
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", word) for word in words)


@pytest.mark.parametrize(
    ("said", "kept", "removed"),
    [
        ("a woman standing in a living room with a couch", "a woman standing", "living room,couch"),
        ("A photo of a man in a black hoodie, smiling.", "a man in a black hoodie, smiling", ""),
        ("a man with a beard in front of a gray background", "a man with a beard", "background"),
        ("an sks waving, on a stage", "", "sks,stage"),
        ("une dame élégante", "une dame elegante", ""),
        ("", "", ""),
    ],
)
def test_clean_description(said, kept, removed):
    words, gone = description_cleaning.clean_description(said, token="sks")
    assert (words, ",".join(gone)) == (kept, removed)


def test_cleaned_description_never_holds_a_context_word():
    said = "a dining, room and living near room, gnome by the pool"
    words, removed = description_cleaning.clean_description(
        said, token="sks", context_words=["gnome"]
    )
    assert scene_words.find_context_words(words, ["gnome"]) == []
    assert "gnome" in removed


def test_fit_description_cuts_from_the_end():
    words, cut = description_cleaning.fit_description(
        "a red hat, blue shoes", lambda text: len(text.split()) <= 3
    )
    assert (words, cut) == ("a red hat", ["blue", "shoes"])


def test_composite_on_grey():
    cutout = np.array([[[200, 100, 0, 255], [200, 100, 0, 0], [228, 128, 28, 51]]], dtype=np.uint8)
    expected = [[[200, 100, 0], [128, 128, 128], [148, 128, 108]]]
    assert description_cleaning.composite_on_grey(cutout).tolist() == expected


@pytest.mark.parametrize(
    ("caption", "colours"),
    [
        ("sks person in a red shirt, plain olive background", []),
        ("sks person wearing blue jeans and a white hat, plain olive background", []),
        ("sks person, a woman in black, plain olive background", []),
        ("sks person with brown hair on red skates, plain olive background", []),
        ("sks person against olive, plain olive background", []),
        ("plain olive background behind sks person in a red shirt", []),
        ("sks person, full body, crimson plain olive background", ["crimson"]),
        ("sks person, plain olive background with red stripes", ["red"]),
        ("sks person, red, plain olive background", ["red"]),
        ("sks person, all dark blue, plain olive background", ["blue"]),
        ("sks person, black and white, plain olive background", ["white"]),
        ("sks person against a bright red, plain olive background", ["red"]),
        ("sks person on white and smiling, plain olive background", ["white"]),
        ("sks person with gray all around, plain olive background", ["gray"]),
        ("sks person in front of plain navy-blue, plain olive background", ["blue"]),
    ],
)
def test_a_colour_of_the_background_is_told_from_one_that_is_worn(caption, colours):
    wanted = [f"BACKGROUND_COLOUR:{word}" for word in colours]
    assert check_caption(caption, **KNOWN) == wanted


def test_a_colour_as_token_or_class_is_no_claim():
    known = {"token": "rust", "subject_class": "orange cat", "background": "plain teal background"}
    assert check_caption("rust orange cat, plain teal background", **known) == []
    grey = {**KNOWN, "background": "plain grey background"}
    assert check_caption("sks person on gray, plain grey background", **grey) == []


def test_each_word_of_the_palettes_names_that_names_a_colour_is_known_as_one():
    for name in palette.BY_NAME:
        claim = f"sks person against {name}, blurred background"
        found = check_caption(claim, **{**KNOWN, "background": "blurred background"})
        assert [problem.partition(":")[0] for problem in found] == ["BACKGROUND_COLOUR"], name


def test_no_two_recipes_share_a_phrase_and_none_is_part_of_anothers():
    """Or a caption that names another recipe's background would pass as true."""
    names = list(palette.BY_NAME)
    pairs = [(one, other) for one in names for other in names if one != other]
    phrases = {phrase.format(*pair) for phrase in PHRASES.values() for pair in pairs}
    assert len(phrases) == 2 + 6 * 40 + 2 * 40 * 39
    for words in map(str.split, phrases):
        parts = (words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1))
        assert [part for part in parts if " ".join(part) in phrases] == [words]


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{token} {class} \u2013 {background}", "NON_ASCII:U+2013"),
        ("{token} {class}, {token}s sks, {background}", "must hold"),
        ("{token} {class}, sks, {background}", "TOKEN_REPEATED"),
        ("{token} {class} against red, {background}", "BACKGROUND_COLOUR:red"),
        ("{token} {class}, {background}" + ", very tall" * 40, "TOO_LONG"),
    ],
)
def test_a_template_of_which_every_caption_would_be_refused_is_refused_itself(template, problem):
    with pytest.raises(CaptionSettingError, match=re.escape(problem)):
        caption_text.try_template(template, {"token": "sks", "class": "person"})


@pytest.mark.parametrize(
    ("word", "pieces"), [("sks", ["sks"]), ("ohwx", ["ohwx"]), ("zwx", ["z", "wx"])]
)
def test_clip_pieces(word, pieces):
    assert clip_tokens.clip_pieces(word) == pieces


@pytest.mark.parametrize(
    ("text", "filled_in", "problems"),
    [
        ("sks  person, smiling", "sks  person, smiling", []),
        (
            "{token} {class}{facing}, {background}",
            "sks person, facing left, blurred background",
            [],
        ),
        ("sks, {backgrond}", "sks, {backgrond}", ["UNKNOWN_SLOT:backgrond"]),
        ("sks, {token.__class__}", "sks, {token.__class__}", ["UNKNOWN_SLOT:token.__class__"]),
        ("sks, {background!r:>9 }", "sks, {background!r:>9 }", ["UNKNOWN_SLOT:background!r:>9"]),
        ("sks, {}", "sks, {}", ["UNKNOWN_SLOT:empty"]),
        ("sks, {", "sks, {", ["UNKNOWN_SLOT:brace"]),
    ],
)
def test_fill_override(text, filled_in, problems):
    slots = {"token": "sks", "class": "person", "facing": "facing left"}
    found = caption_text.fill_override(text, **slots, background="blurred background")
    assert found == (filled_in, problems)


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{token}, {background}", ""),
        (["{token}, {background}", "{background}: {token}"], ""),
        ([], "caption.template"),
        (["{token}, {background}"] * 2, "caption.template"),
        (["{token}, {background}", ""], "caption.template.1"),
        (7, "caption.template"),
    ],
)
def test_the_setting_takes_one_template_or_a_list(template, fault):
    config = settings.load()
    config["caption"]["template"] = template
    schema = settings.DEFAULTS.with_name("config.schema.yaml")
    if not fault:
        settings.check(config, schema)
        return
    with pytest.raises(settings.SettingsError, match=re.escape(fault)):
        settings.check(config, schema)


def test_each_problem_is_told_in_plain_words_and_by_its_name():
    kinds = set(re.findall(r"\b[A-Z]+_[A-Z_]+|\bEMPTY|\bUNTRIMMED", check_caption.__doc__))
    assert len(kinds) == 12, kinds
    for kind in sorted(kinds | {"UNKNOWN_SLOT"}):
        told = in_words(f"{kind}:this")
        assert told.endswith(f" ({kind}:this)") and len(told.split()) > 3
    assert in_words("TOO_LONG:81") == "it has 81 CLIP tokens, and 75 are the most (TOO_LONG:81)"
    assert "write {background} where" in in_words("RECIPE_CONTRADICTED")
