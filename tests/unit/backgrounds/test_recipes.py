"""Recipes: drawn by weight, without repeats, stable when other things come and go."""

from collections import Counter

import numpy as np
import pytest

from ferrari.backgrounds import palette, recipes
from ferrari.backgrounds.recipes import KINDS, NO_ENVIRONMENT, Deck

WEIGHTS = {"flat": 3, "noise": 1, "environment": 2, "synthetic": 2}


def draw(item: str = "i", **changed) -> list[recipes.Recipe]:
    asked = {
        "seed": 1,
        "video": "v",
        "item": item,
        "variants": 6,
        "weights": WEIGHTS,
        "scale": (0.75, 1.0),
        "shift": 0.5,
        "scenes": ["a", "b", "c"],
    }
    return recipes.draw(**{**asked, **changed})


def test_kinds_come_as_often_as_their_weights_say():
    count = Counter(made.kind for i in range(400) for made in draw(f"i{i}"))
    total = sum(count.values())
    for kind in KINDS:
        assert count[kind] / total == pytest.approx(WEIGHTS[kind] / 8, abs=0.03)


def test_a_weight_of_0_turns_a_kind_off():
    kinds = {
        made.kind for i in range(50) for made in draw(f"i{i}", weights={"noise": 2, "flat": 0})
    }
    assert kinds == {"noise"}


@pytest.mark.parametrize(("weights", "said"), [({"flat": 0}, "above 0"), ({"falt": 1}, "falt")])
def test_weights_that_mean_nothing_are_refused(weights, said):
    with pytest.raises(ValueError, match=said):
        draw(weights=weights)


def test_variants_of_one_cutout_share_no_colour_until_all_are_used():
    for i in range(20):
        names = [c.name for made in draw(f"i{i}", variants=12) for c in made.colours]
        assert len(set(names)) == len(names)


def test_flat_goes_through_the_whole_palette_before_it_repeats():
    names = [made.colours[0].name for made in draw(variants=45, weights={"flat": 1})]
    assert len(set(names[:40])) == 40
    assert len(set(names[40:])) == 5


def test_scenes_are_not_repeated_while_others_are_left():
    used = [made.scene for made in draw(variants=7, weights={"environment": 1})]
    assert sorted(used[:3]) == ["a", "b", "c"] == sorted(used[3:6])


def test_without_a_scene_the_fallback_is_recorded():
    for made in draw(variants=20, scenes=[]):
        if made.wanted_kind == "environment":
            assert (made.kind, made.detail, made.scene) == ("synthetic", NO_ENVIRONMENT, None)
        else:
            assert (made.kind, made.detail) == (made.wanted_kind, "")
    assert any(made.detail for made in draw(variants=20, scenes=[]))


def test_more_variants_leave_the_first_as_they_were():
    assert draw(variants=9)[:6] == draw(variants=6)


def test_a_scene_that_comes_changes_only_who_takes_it():
    changed = 0
    for i in range(200):
        before = draw(f"i{i}", variants=1, weights={"environment": 1})[0]
        after = draw(f"i{i}", variants=1, weights={"environment": 1}, scenes=["a", "b", "c", "d"])[
            0
        ]
        changed += before != after
        assert after.scene in (before.scene, "d")
    assert 25 <= changed <= 75  # a quarter of 200


def test_seed_video_and_item_each_change_the_draw():
    base = draw()
    assert base == draw()
    assert all(base != other for other in (draw(seed=2), draw(video="w"), draw("j")))


def test_scale_and_shift_keep_their_bounds():
    made = [one for i in range(100) for one in draw(f"i{i}", scale=(0.6, 0.9), shift=0.4)]
    scales = [one.scale for one in made]
    assert 0.6 <= min(scales) < 0.62 and 0.88 < max(scales) <= 0.9
    shifts = np.array([one.shift for one in made])
    assert np.abs(shifts).max() <= 0.4 and shifts.min() < -0.35 and shifts.max() > 0.35


def test_a_scene_that_is_not_given_is_named():
    (made,) = draw(variants=1, weights={"environment": 1}, scenes=["a"])
    with pytest.raises(ValueError, match="stands in the scene a, which was not given"):
        recipes.paint(made, (8, 8))


def test_shift_0_is_centred():
    assert all(one.shift == (0, 0) for one in draw(shift=0))


def test_phrases_name_the_colours_painted_with():
    for made in (one for i in range(60) for one in draw(f"i{i}")):
        assert all(colour.name in made.phrase for colour in made.colours[:1])
        assert "{" not in made.phrase and made.phrase == made.phrase.strip().lower()
        if made.kind == "environment":
            assert made.phrase == "blurred background"
        if made.style == "bokeh":
            assert palette.lightness(made.colours[0]) < 45


def test_every_style_has_its_phrase():
    assert set(recipes.PHRASES) == {style for styles in recipes.STYLES.values() for style in styles}


def test_two_colours_of_one_picture_can_be_told_apart():
    pairs = [one.colours for i in range(80) for one in draw(f"i{i}") if len(one.colours) == 2]
    assert len(pairs) > 20
    assert min(palette.difference(*pair) for pair in pairs) >= 18


def test_deck_deals_each_once_and_honours_the_condition():
    deck = Deck("abcd")
    assert deck.deal(lambda name: name > "b") == "c"
    assert [deck.deal() for _ in range(3)] == ["a", "b", "d"]
    assert deck.deal() == "a"
    with pytest.raises(ValueError, match="no name"):
        deck.deal(lambda name: name == "z")


def test_painting_again_from_the_recipe_gives_the_same_picture():
    for made in draw(variants=8, scenes=[]):
        first, second = (recipes.paint(made, (60, 40)) for _ in range(2))
        assert np.array_equal(first, second)
