"""What each variant of a cut-out is made of: recipes drawn, recorded, described and painted.

A recipe is drawn from (seed, video, item, variant) alone; painting it again from its row gives the
same picture. Variants of one cut-out take colours, styles and scenes from their own shuffled decks,
so that none is used twice before all were used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ferrari.backgrounds import palette, plain_and_noise, procedural
from ferrari.backgrounds.palette import Colour
from ferrari.common.seeds import from_seed, generator, ranked, seed_of
from ferrari.common.settings import SettingsError

KINDS = ("flat", "noise", "environment", "synthetic")
NO_ENVIRONMENT = "NO_ENVIRONMENT"
#: Words for the caption, by style; {0} and {1} are colour names. Nothing tells of the old scene.
PHRASES = {
    "flat": "plain {0} background",
    "soft": "soft {0} noise background",
    "grain": "grainy {0} background",
    "colourful": "colourful noise background",
    "environment": "blurred background",
    "gradient": "smooth {0} gradient background",
    "blend": "smooth {0} to {1} gradient background",
    "marble": "marbled {0} and {1} background",
    "bokeh": "bokeh lights on {0} background",
    "room": "empty room with {0} walls background",
}
STYLES = {
    "flat": ("flat",),
    "noise": ("soft", "grain", "colourful"),
    "environment": ("environment",),
    "synthetic": ("gradient", "blend", "marble", "bokeh", "room"),
}
_COLOURS_NEEDED = {"colourful": 0, "environment": 0, "blend": 2, "marble": 2, "room": 2}
_DARK, _STARK, _CONTRAST = 42, 8, 18  # CIELAB L*, L*, CIEDE2000


@dataclass(frozen=True)
class Recipe:
    """How one variant is made. `scene` is the id of a scene of the bank, or None."""

    variant: int
    seed: int
    wanted_kind: str
    kind: str
    style: str
    colours: tuple[Colour, ...]
    scene: str | None
    scale: float
    shift: tuple[float, float]
    detail: str = ""

    @property
    def phrase(self) -> str:
        """The background in words, for the caption."""
        return PHRASES[self.style].format(*(colour.name for colour in self.colours))


class Deck:
    """Names in a shuffled order; each is dealt once before any is dealt again."""

    def __init__(self, names: Iterable[str]) -> None:
        self._order = list(names)
        self._left = list(self._order)

    def deal(self, fits: Callable[[str], bool] = lambda name: True) -> str:
        """The next name that fits; starts over when all that fit are used up."""
        for round_of_cards in (self._left, self._order):
            for name in round_of_cards:
                if fits(name):
                    break
            else:
                continue
            if round_of_cards is self._order:
                self._left = list(self._order)
            self._left.remove(name)
            return name
        raise ValueError("no name in the deck fits")


def draw_kind(rng: np.random.Generator, weights: Mapping[str, float]) -> str:
    """One of KINDS with the chance of its weight; raises ValueError if no weight is above 0."""
    unknown = set(weights) - set(KINDS)
    if unknown:
        raise ValueError(f"augment.weights: {sorted(unknown)} are none of {KINDS}")
    sums = np.cumsum([float(weights.get(kind, 0)) for kind in KINDS])
    if not sums[-1] > 0:
        raise SettingsError("augment.weights: at least one kind needs a weight above 0")
    return KINDS[int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))]


def _draw_shift(rng: np.random.Generator, most: float) -> tuple[float, float]:
    x, y = rng.random(2)
    return float(most * (2 * x - 1)), float(most * (2 * y - 1))


def draw(
    *,
    seed: int,
    video: str,
    item: str,
    variants: int,
    weights: Mapping[str, float],
    scale: Sequence[float],
    shift: float,
    scenes: Iterable[str],
) -> list[Recipe]:
    """The recipes of one cut-out; `scenes` are the ids of the scenes that it may stand in.

    More variants later leave the first ones as they are, and so does a scene that comes or goes
    unless it is the one used.
    """
    scenes = list(scenes)
    decks = {
        "colours": Deck(ranked(palette.BY_NAME, seed, video, item)),
        "environment": Deck(ranked(scenes, seed, video, item)),
        **{kind: Deck(ranked(STYLES[kind], seed, video, item)) for kind in ("noise", "synthetic")},
    }
    recipes = []
    for variant in range(variants):
        rng = generator(seed, video, item, variant)
        wanted = draw_kind(rng, weights)
        kind = "synthetic" if wanted == "environment" and not scenes else wanted
        style = decks[kind].deal() if kind in ("noise", "synthetic") else kind
        low, high = scale
        recipes.append(
            Recipe(
                variant=variant,
                seed=seed_of(seed, video, item, variant),
                wanted_kind=wanted,
                kind=kind,
                style=style,
                colours=_deal_colours(decks["colours"], style),
                scene=decks["environment"].deal() if kind == "environment" else None,
                scale=round(low + (high - low) * float(rng.random()), 4),
                shift=_draw_shift(rng, shift),
                detail=NO_ENVIRONMENT if kind != wanted else "",
            )
        )
    return recipes


def colours_needed(style: str) -> int:
    """How many colours of the palette a style is painted with."""
    return _COLOURS_NEEDED.get(style, 1)


def _deal_colours(deck: Deck, style: str) -> tuple[Colour, ...]:
    """One or two colours that suit a style: dark behind lights, two that differ, no black room."""
    needed = colours_needed(style)
    if not needed:
        return ()
    first = palette.BY_NAME[deck.deal(lambda name: _suits(palette.BY_NAME[name], style))]
    if needed == 1:
        return (first,)
    other = deck.deal(lambda name: palette.difference(palette.BY_NAME[name], first) >= _CONTRAST)
    return first, palette.BY_NAME[other]


def _suits(colour: Colour, style: str) -> bool:
    lightness = palette.lightness(colour)
    if style == "bokeh":
        return lightness < _DARK
    return lightness > _STARK or style in ("flat", "grain")


def paint(
    recipe: Recipe,
    size_hw: tuple[int, int],
    *,
    scene_rgb: np.ndarray | None = None,
    blur: float = 0.0,
) -> np.ndarray:
    """The recipe's background at `size_hw`, HxWx3 uint8 RGB.

    `scene_rgb` (HxWx3 uint8, any size) and `blur` (sigma as a share of the canvas's longer side)
    are for the kind environment. Draws from a generator of its own, so that a canvas of another
    size changes nothing about kind, colour or placement.
    """
    rng = from_seed(recipe.seed, stream=1)
    rgb = [colour.rgb for colour in recipe.colours]
    if recipe.style == "environment":
        if scene_rgb is None:
            raise ValueError(f"the recipe stands in the scene {recipe.scene}, which was not given")
        return plain_and_noise.blurred_scene(rng, size_hw, scene_rgb, blur)
    if recipe.style == "flat":
        return plain_and_noise.flat(size_hw, *rgb)
    painters: dict[str, Callable[..., np.ndarray]] = {
        "soft": plain_and_noise.soft_noise,
        "grain": plain_and_noise.grain,
        "colourful": plain_and_noise.colourful_noise,
        "gradient": procedural.gradient,
        "blend": procedural.gradient,
        "marble": procedural.marble,
        "bokeh": procedural.bokeh,
        "room": procedural.room,
    }
    return painters[recipe.style](rng, size_hw, *rgb)
