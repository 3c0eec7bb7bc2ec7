"""Clips of people who cross, touch and hide, drawn with known truth, and a detector that errs.

The detector gives a box around what is visible of each person, a little off; it has lapses, and
often gives one box for two who stand in one place. Who each detection shows is known; a box for two
shows the one of whom more is visible. Twins wear the same, but they do not stride in step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from bench.track_metrics import Labelled
from ferrari.images.boxes import overlap
from ferrari.subject import appearance, shot_cuts
from ferrari.subject.tracks import Moment
from tests.generator.figure import draw_figure, place
from tests.generator.spec import FigureSpec

WIDTH, HEIGHT, FPS = 480, 270, 6.0
_TALL = 0.62 * HEIGHT
_SEEN = 0.25  # share of a person that must be visible for a detection
_JITTER = 0.02  # standard deviation of a box's corners, in sides
_LAPSE = 0.03  # of the detections are missing
_ONE_BOX = 0.5  # overlap from which the detector gives one box for two in every second moment
_SUPPRESSED = 0.6  # overlap from which of two boxes the less sure one is left out (`detect.iou`)
_NOISE = 4.0

Way = Callable[[float], float]


@dataclass(frozen=True)
class Person:
    """Somebody's clothes and face, by a seed; where they are (x, 0 to 1) over time; how near."""

    seed: int
    x: Way
    depth: float


@dataclass(frozen=True)
class Scene:
    """People for some seconds; at `cut_s` the shot changes, and they are on each other's side."""

    name: str
    people: Sequence[Person]
    seconds: float
    seed: int
    shake_px: float = 0.0
    cut_s: float = np.inf


@dataclass(frozen=True)
class Clip:
    """Moments to link; the person each of their detections shows; the people who can be seen."""

    moments: list[Moment]
    shows: list[list[int]]
    truth: list[Labelled]


def film(scene: Scene) -> Clip:
    """Draw a scene, and look at it with the detector."""
    rng = np.random.default_rng([scene.seed, 7])
    times = [number / FPS for number in range(round(scene.seconds * FPS))]
    drawn = [_draw(scene, time_s, rng) for time_s in times]
    pictures = [picture for picture, _ in drawn]
    found = [_detect(visible, rng) for _, visible in drawn]
    moments = []
    for time_s, picture, cut, some in zip(
        times, pictures, shot_cuts.cuts(pictures), found, strict=True
    ):
        boxes = np.array([box for box, _, _ in some], np.float32).reshape(-1, 4)
        sure = np.array([confidence for _, confidence, _ in some], np.float32)
        looks = appearance.descriptors(picture, boxes)
        moments.append(Moment(time_s, boxes, sure, looks, cut))
    shows = [[number for _, _, number in some] for some in found]
    return Clip(moments, shows, [_truth(visible) for _, visible in drawn])


def _draw(scene: Scene, time_s: float, rng) -> tuple[np.ndarray, list[tuple[np.ndarray, float]]]:
    """The picture; for each person the mask of what is visible, and its share of the whole."""
    after_cut = time_s >= scene.cut_s
    picture = _background(scene.seed + 1000 * after_cut)
    shift = rng.normal(0, 1, 2) * scene.shake_px
    masks: dict[int, np.ndarray] = {}
    areas: dict[int, int] = {}
    for number, person in sorted(enumerate(scene.people), key=lambda one: one[1].depth):
        x = 1 - person.x(time_s) if after_cut else person.x(time_s)
        spec = FigureSpec(seed=person.seed, motion="walk")
        body = place(spec, time_s + 0.37 * number, 0, WIDTH, HEIGHT)
        top = 0.95 * HEIGHT - _TALL + 2 * person.depth
        origin = (float(x * WIDTH + shift[0]), float(top + shift[1]))
        layer = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        draw_figure(layer, spec, replace(body, origin=origin, size=_TALL), (128, 128, 128))
        alpha = layer[..., 3:].astype(np.float32) / 255
        picture = picture * (1 - alpha) + layer[..., :3]
        own = layer[..., 3] > 127
        masks = {other: mask & ~own for other, mask in masks.items()}
        masks[number], areas[number] = own, int(own.sum())
    noisy = picture + _NOISE * rng.standard_normal(picture.shape, np.float32)
    visible = [(masks[n], masks[n].sum() / max(areas[n], 1)) for n in range(len(scene.people))]
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), visible


def _background(seed: int) -> np.ndarray:
    """Soft blotches of colour with lines, HxWx3 float32."""
    rng = np.random.default_rng([seed, 3])
    coarse = rng.uniform(60, 200, (6, 10, 3)).astype(np.float32)
    picture = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for x in rng.integers(0, WIDTH, 12):
        picture[:, x : x + 6] *= 0.6
    return picture


def _extent(mask: np.ndarray) -> np.ndarray:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x, y, x + width, y + height], float)


def _detect(visible, rng) -> list[tuple[np.ndarray, float, int]]:
    """Boxes, confidences and who is meant, in an order of chance."""
    found = []
    for number, (mask, share) in enumerate(visible):
        if share >= _SEEN and mask.sum() > 60 and rng.uniform() >= _LAPSE:
            found.append((_extent(mask), 0.35 + 0.55 * share, number))
    for one in range(len(found)):
        for other in range(one):
            boxes = np.array([found[one][0], found[other][0]])
            if overlap(*map(tuple, boxes)) >= _ONE_BOX and rng.uniform() < 0.5:
                joint = np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
                front = max(found[one], found[other], key=lambda some: some[1])
                found[one], found[other] = (joint, front[1], front[2]), (joint, 0.0, front[2])
    kept: list[tuple[np.ndarray, float, int]] = []
    for box, sure, number in sorted(found, key=lambda some: -some[1]):
        moved = _jittered(box, rng)
        if sure and all(overlap(tuple(moved), tuple(one)) < _SUPPRESSED for one, _, _ in kept):
            kept.append((moved, float(sure), number))
    return [kept[at] for at in rng.permutation(len(kept))]


def _jittered(box: np.ndarray, rng) -> np.ndarray:
    sides = np.tile(box[2:] - box[:2], 2)
    moved = box + rng.normal(0, _JITTER, 4) * sides
    return np.clip(moved, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])


def _truth(visible) -> Labelled:
    """The people of whom enough is visible to be found."""
    seen = [n for n, (mask, share) in enumerate(visible) if share >= _SEEN and mask.sum() > 60]
    boxes = np.array([_extent(visible[n][0]) for n in seen]).reshape(-1, 4)
    return Labelled(seen, boxes)


# --- the scenes -----------------------------------------------------------------------------------


def _walk(start: float, speed: float) -> Way:
    return lambda time_s: start + speed * time_s


def _through(*stops: tuple[float, float]) -> Way:
    """Along (second, x), straight in between, standing at both ends."""
    seconds, places = zip(*stops, strict=True)
    return lambda time_s: float(np.interp(time_s, seconds, places))


#: Where two people are, who is nearer the second; seconds.
WAYS: dict[str, tuple[Way, Way, float]] = {
    "pass each other": (_walk(0.1, 0.2), _walk(0.9, -0.2), 4.5),
    "pass quickly": (_walk(0.0, 0.45), _walk(1.0, -0.45), 2.5),
    "overtake": (_walk(0.1, 0.22), _walk(0.25, 0.1), 4.0),
    "meet and turn back": (
        _through((0, 0.15), (2, 0.47), (3, 0.48), (5, 0.15)),
        _through((0, 0.85), (2, 0.53), (3, 0.52), (5, 0.85)),
        5.0,
    ),
    "meet in one place and turn back": (
        _through((0, 0.15), (2, 0.5), (2.3, 0.5), (4.3, 0.15)),
        _through((0, 0.85), (2, 0.5), (2.3, 0.5), (4.3, 0.85)),
        4.3,
    ),
    "hide and go on": (
        _through((0, 0.1), (2, 0.5), (3.5, 0.5), (5.5, 0.9)),
        _through((0, 0.5), (1, 0.5)),
        5.5,
    ),
    "hide and come back": (
        _through((0, 0.1), (2, 0.5), (3.5, 0.5), (5.5, 0.1)),
        _through((0, 0.5), (1, 0.5)),
        5.5,
    ),
    "hide, and the other goes": (
        _through((0, 0.1), (2, 0.5), (6, 0.5)),
        _through((0, 0.5), (3.5, 0.5), (5.5, 0.9)),
        6.0,
    ),
    "stand side by side": (_through((0, 0.42), (4, 0.44)), _through((0, 0.54), (4, 0.52)), 4.0),
    "leave, the other comes": (
        _through((0, 0.6), (2, 1.15), (9, 1.15)),
        _through((0, 1.2), (2.2, 1.15), (4, 0.6)),
        4.5,
    ),
    "leave and come back": (
        _through((0, 0.6), (2, 1.15), (3, 1.15), (5, 0.6)),
        _through((0, 0.3), (4, 0.3)),
        5.0,
    ),
}


def pairs(seed: int, *, twins: bool) -> list[Scene]:
    """Each of WAYS, and more, with two people, who wear the same if they are twins."""
    rng = np.random.default_rng([seed, 11])
    one, other = (int(number) for number in rng.choice(500, 2, replace=False))
    worn = (one, one if twins else other)
    found = []
    for name, (first, second, seconds) in WAYS.items():
        people = (Person(worn[0], first, 0.0), Person(worn[1], second, 1.0))
        found.append(Scene(name, people, seconds, seed))
    passing = found[0]
    found.append(replace(passing, name="change sides at a cut", cut_s=1.5))
    found.append(replace(passing, name="pass, and the camera shakes", shake_px=8.0))
    return found


def crowd(seed: int, number: int = 6) -> Scene:
    """People who walk to and fro; every third wears what another one does."""
    rng = np.random.default_rng([seed, 13])
    seeds = rng.choice(500, number, replace=False)
    people = []
    for at in range(number):
        stops = [(second, float(rng.uniform(0.05, 0.95))) for second in range(0, 9, 3)]
        worn = seeds[at // 3 * 3] if at % 3 == 2 else seeds[at]
        people.append(Person(int(worn), _through(*stops), float(at)))
    return Scene("crowd", people, 6.0, seed)
