"""Words that name a scene: what no caption of a cut-out may say outside its recipe's own phrase.

The list holds singular forms; plurals match too. Words are left out on purpose that more often name
a part of the subject, its clothes or what it holds (chest, glasses, palm, sign, book, laptop).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")

_SCENES = """
room, bedroom, bathroom, living room, dining room, classroom, courtroom, ballroom, showroom,
kitchen, office, hallway, hall, corridor, lobby, lounge, foyer, attic, basement, cellar, garage,
closet, balcony, terrace, patio, porch, veranda, courtyard, backyard, yard, garden, lawn, house,
home, apartment, building, hotel, hospital, clinic, school, university, college, library, museum,
gallery, theater, theatre, cinema, auditorium, stadium, arena, gym, gymnasium, studio, shop, store,
supermarket, mall, market, bakery, cafe, coffee shop, restaurant, nightclub, pub, church, chapel,
temple, mosque, cathedral, castle, palace, tower, skyscraper, warehouse, factory, workshop, barn,
farm, stable, greenhouse, laboratory, lab, prison, cell block, airport, harbor, harbour, port, pier,
dock, train station, bus stop, bus station, subway, metro, platform, parking lot, car park, street,
road, highway, motorway, alley, avenue, sidewalk, pavement, crosswalk, path, trail, driveway,
bridge, tunnel, city, town, village, suburb, downtown, cityscape, skyline, playground, park, zoo,
cemetery, construction site, campsite, venue, indoors, indoor, outdoors, outdoor, outside, exterior,
interior, elevator, escalator, staircase, stairway, stairs, stair, stairwell, swimming pool
"""
_FURNITURE = """
furniture, couch, sofa, loveseat, chair, armchair, stool, bench, table, desk, counter, countertop,
shelf, bookshelf, bookcase, cupboard, cabinet, wardrobe, dresser, drawer, nightstand, bed, mattress,
pillow, blanket, curtain, blind, drape, rug, carpet, doormat, mirror, lamp, chandelier, candle,
lantern, fireplace, radiator, wall, floor, ceiling, door, doorway, doorframe, window, windowsill,
tile, brick, wallpaper, wainscot, fence, gate, railing, pillar, column, arch, roof, chimney,
whiteboard, blackboard, chalkboard, bulletin board, poster, painting, picture frame, clock,
television, tv, monitor, computer, screen, projector, refrigerator, fridge, oven, stove,
microwave, dishwasher, sink, faucet, bathtub, shower, toilet, vase, potted plant, plant,
houseplant, air conditioner, light switch, signpost, billboard, traffic light, lamppost,
streetlight, street light, podium, stage, lectern, cubicle
"""
_NATURE = """
beach, shore, coast, seaside, sea, ocean, lake, river, stream, waterfall, pond, island, desert,
dune, mountain, mountainside, hill, hillside, cliff, canyon, valley, cave, forest, jungle, woods,
woodland, meadow, field, grass, grassland, savanna, prairie, swamp, orchard, vineyard, tree,
palm tree, bush, shrub, hedge, foliage, leaf, moss, rock, boulder, gravel, mud, dirt, sky, cloud,
horizon, sun, sunlight, sunshine, sunset, sunrise, dusk, dawn, twilight, moon, moonlight, starry,
rain, rainy, snow, snowy, snowfall, snowfield, fog, foggy, mist, misty, storm, stormy, thunder,
lightning, wind, windy, cloudy, overcast, sunny, weather, winter, summer, autumn, daylight, daytime,
nighttime, night, nature, wilderness, landscape, seascape, countryside
"""
_SURROUNDINGS = """
background, backdrop, foreground, surrounding, environment, scene, scenery, setting, bokeh,
depth of field, out of focus, blurred, blurry, green screen, greenscreen, chroma key, spotlight,
softbox, lighting, backlit, backlight, lens flare, tripod, crowd, audience, bystander, passerby,
spectator, traffic, car, vehicle, truck, van, bus, taxi, train, tram, boat, ship, airplane,
aeroplane, motorcycle, subtitle, watermark, timestamp
"""
_IRREGULAR = {
    "shelf": ("shelves",),
    "bookshelf": ("bookshelves",),
    "leaf": ("leaves",),
    "passerby": ("passersby",),
    "roof": ("roofs", "rooves"),
}


def words_of(text: str) -> list[str]:
    """Lower-case words of `text`; hyphens and punctuation part words, apostrophes do not."""
    return _WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def plurals(word: str) -> tuple[str, ...]:
    """The regular English plural of a singular, or the listed irregular ones."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if re.search(r"[^aeiou]y$", word):
        return (word[:-1] + "ies",)
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return (word + "es",)
    return (word + "s",)


def _singulars(word: str) -> set[str]:
    """What `word` might be the plural of: so that a user's `sofas` also matches `sofa`."""
    return {stem for stem in (word[:-1], word[:-2], word[:-3] + "y") if word in plurals(stem)}


def builtin_words() -> tuple[str, ...]:
    """The built-in list: words and phrases in their singular form."""
    text = ",".join((_SCENES, _FURNITURE, _NATURE, _SURROUNDINGS))
    return tuple(dict.fromkeys(" ".join(entry.split()) for entry in text.split(",")))


@functools.lru_cache(maxsize=8)
def _forms(extra: tuple[str, ...]) -> dict[tuple[str, ...], str]:
    """Each form that counts, as a tuple of words, and the entry that it stands for."""
    forms: dict[tuple[str, ...], str] = {}
    for entry in (*builtin_words(), *extra):
        words = words_of(entry)
        if not words:
            continue
        for last in (words[-1], *plurals(words[-1]), *_singulars(words[-1])):
            forms.setdefault((*words[:-1], last), " ".join(words))
    return forms


def find_context_words(text: str, extra: Iterable[str] = ()) -> list[str]:
    """Entries of the list (and of the user's `extra` words) in `text`, each once, in its order."""
    forms = _forms(tuple(extra))
    longest = max(map(len, forms), default=0)
    words, found, start = words_of(text), [], 0
    while start < len(words):
        sizes = range(min(longest, len(words) - start), 0, -1)
        size = next((n for n in sizes if tuple(words[start : start + n]) in forms), 0)
        if size:
            found.append(forms[tuple(words[start : start + size])])
        start += size or 1
    return list(dict.fromkeys(found))
