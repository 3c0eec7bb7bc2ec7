"""The matte of a salient-object network, limited to the person that a network for people sees.

A salient-object network asks what stands out, not who it is: it takes a clothes stand along, and
loses a person at the picture's border. A network for people is coarse at edges, but knows them. So
the fine matte counts within the person's mask and some room around it, and where it lacks too much
of the person, the segmenter takes a second look; where that lacks too much too, the person's mask
takes its place. Deep inside a person nothing is half transparent: clothes that do not stand out are
made whole; and a limb that the fine matte lacks is taken from the person's mask, where nobody else
is. What is outside and held in a hand may stay, unless it has the colours of the scene.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ferrari.images import boxes, growing
from ferrari.images.boxes import Box
from ferrari.networks import segmenters
from ferrari.networks.network import Opener
from ferrari.networks.segmenters import Segmenter
from ferrari.networks.weight_files import Weights

#: From this probability on, the dilated mask is the person's room. Lower than a half: what is left
#: out here is lost for good, what is let in too much the fine matte still decides about.
_PERSON = 0.3
#: Room around the person in shares of the crop's size (the root of its area): hair, and the mask's
#: own pixels, of which there are 256 a side.
_ROOM = 0.02
#: The fine matte within the room is the person's own where their IoU is at least this. They are
#: compared where no box of anybody else is, if at least so much of the person is there.
_AGREES, _ALONE = 0.8, 0.3
#: Deep inside what is a person with this probability, the matte is at least that, unless it says
#: that there is scene: a gap between arm and body, which the mask's 256 pixels are too few for.
_SURE, _SCENE = 0.8, 0.1
#: A limb of which the matte has nothing has at least this share of the person's pixels deep inside
#: the mask, which is as sure of it as this in the mean. What is less, or thin, is the mask's own
#: error; and what the matte encloses, a gap between arm and body that the mask is too coarse for.
#: So much of it lies in the detector's box of the subject: that holds their limbs.
_LOST, _LIMB, _OURS = 0.01, 0.97, 0.9
#: A held object has at most this share of the person's pixels, and at least this share of the
#: crop's: what is larger is a piece of furniture as a rule, what is smaller a ragged edge.
_HELD_MOST, _HELD_LEAST = 0.15, 0.0005
#: Share of a held object that lies at the person's room: a stand that an elbow meets has less.
_HELD_NEAR = 0.1
#: A part outside for so much of which the scene has as many pixels of the same colour is a piece of
#: the scene, if the network for people is sure that it is no person, less likely than this in the
#: mean: a stripe of the flag behind a shoulder. Colours are compared in steps of so much of the
#: 8-bit CIELAB of OpenCV.
_SCENERY, _NOBODY, _COLOUR_STEP = 0.6, 0.15, 16
_CELLS = 256 // _COLOUR_STEP
_GREY = 127
#: How many pictures of a crop the network sees.
VIEWS = 6

#: Whose matte a cut-out has, as the column `matte_of` says it.
SEGMENTER, SECOND_LOOK, PERSON = "segmenter", "second_look", "person"


@dataclass(frozen=True)
class Gated:
    """A matte that has been through the gate: `alpha` HxW float32, 0..1.

    `matte_of`: SEGMENTER; SECOND_LOOK where its first one had lost the person; PERSON where the
    person's mask took over. `iou`: how far the segmenter's matte and the person agree within the
    person's room (and outside of others' boxes, if enough of the person is there). `held_px` and
    `removed_px`: pixels of the fine matte outside of that room that were kept as held objects, and
    that were taken away; `restored_px`: pixels of limbs that it lacked. None:
    no gate has judged.
    """

    alpha: np.ndarray
    matte_of: str = SEGMENTER
    iou: float | None = None
    held_px: int | None = None
    removed_px: int | None = None
    restored_px: int | None = None

    def told(self) -> Gated:
        """The same figures without the matte."""
        return replace(self, alpha=np.zeros((0, 0), np.float32))


@dataclass(frozen=True)
class PersonGate:
    """A network for people, and what to do with what people hold. `held`: keep | drop."""

    network: Segmenter
    side: int
    held: str

    def through(
        self,
        alpha: np.ndarray,
        person: np.ndarray,
        crop_rgb: np.ndarray,
        box: Box | None = None,
        others: Sequence[Box] = (),
    ) -> Gated:
        """A crop's matte through the gate; `person` is the crop's `mask`, `box` the subject's and
        `others` those of other people.
        """
        return limited(alpha, person, crop_rgb if self.held == "keep" else None, box, others)

    def second(
        self,
        first: Gated,
        alpha: np.ndarray,
        person: np.ndarray,
        crop_rgb: np.ndarray,
        box: Box | None = None,
        others: Sequence[Box] = (),
    ) -> Gated:
        """What is made of a second look at a crop (`alpha`), whose `first` had lost the person: its
        own matte where it has them, else what the first one left.
        """
        again = self.through(alpha, person, crop_rgb, box, others)
        return replace(again, matte_of=SECOND_LOOK) if again.matte_of == SEGMENTER else first

    def mask(self, crop_rgb: np.ndarray) -> np.ndarray:
        """HxW float32 probability that a pixel of an HxWx3 uint8 RGB crop is of a person: the mean
        over several views of it, since a single one misses a person now and then.
        """
        height, width = crop_rgb.shape[:2]
        seen = self.network.alpha(views(crop_rgb, self.side), None)
        mean = of_views(list(seen), height, width)
        return cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR)


def load(
    weights: Weights,
    path: str | os.PathLike,
    settings: Mapping,
    cache: str,
    threads: int,
    opener: Opener,
) -> PersonGate:
    """The gate of the `mask` settings: the segmenter that `weights` are of, which lie at `path`."""
    size = weights.entry["input"]["size"]
    side = int(size["short_side"] if isinstance(size, Mapping) else size[0])
    asked = segmenters.Asked(weights.entry, weights.sha256, batch=VIEWS)
    device = settings["device"]
    network = segmenters.load(
        weights.name, path, device, asked, threads=threads, cache=cache, opener=opener
    )
    return PersonGate(network, side, settings["held_objects"])


# --- views ----------------------------------------------------------------------------------------


def _squashed(crop_rgb: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(crop_rgb, (side, side), interpolation=cv2.INTER_AREA)


def _window(height: int, width: int, side: int) -> tuple[slice, slice]:
    """Where a picture of that shape lies, as large as it can be, in the middle of a square."""
    high = max(1, round(side * height / max(height, width)))
    wide = max(1, round(side * width / max(height, width)))
    top, left = (side - high) // 2, (side - wide) // 2
    return slice(top, top + high), slice(left, left + wide)


def _framed(crop_rgb: np.ndarray, side: int) -> list[np.ndarray]:
    """The crop at its own shape, between grey and between its own border drawn out."""
    height, width = crop_rgb.shape[:2]
    rows, columns = _window(height, width, side)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    small = cv2.resize(crop_rgb, size, interpolation=cv2.INTER_AREA)
    beyond = (rows.start, side - rows.stop, columns.start, side - columns.stop)
    return [
        cv2.copyMakeBorder(small, *beyond, border, value=(_GREY,) * 3)
        for border in (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE)
    ]


def views(crop_rgb: np.ndarray, side: int) -> list[np.ndarray]:
    """VIEWS pictures of an HxWx3 uint8 RGB crop: three ways of making it a square of `side` pixels,
    each followed by its mirror image.

    People at the border are found between the crop's own border drawn out best, tall people by the
    other two: squashed, or between grey.
    """
    squares = [_squashed(crop_rgb, side), *_framed(crop_rgb, side)]
    return [picture for s in squares for picture in (s, np.ascontiguousarray(s[:, ::-1]))]


def of_views(seen: Sequence[np.ndarray], height: int, width: int) -> np.ndarray:
    """The mean of what a network gave for the `views` of a crop of that size, squashed."""
    side = seen[0].shape[0]
    total = np.zeros((side, side), np.float32)
    rows, columns = _window(height, width, side)
    for index, mask in enumerate(seen):
        upright = mask[:, ::-1] if index % 2 else mask
        if index >= 2:
            inside = np.ascontiguousarray(upright[rows, columns])
            upright = cv2.resize(inside, (side, side), interpolation=cv2.INTER_LINEAR)
        total += upright
    return total / len(seen)


# --- the rule -------------------------------------------------------------------------------------


def limited(
    alpha: np.ndarray,
    person: np.ndarray,
    held_in: np.ndarray | None,
    box: Box | None = None,
    others: Sequence[Box] = (),
) -> Gated:
    """A matte limited to a person: `alpha` and `person` are HxW float, 0..1. `held_in` is the crop,
    HxWx3 uint8 RGB, if what is held stays.

    `box` is the detector's of the subject (None: the crop), which holds their limbs. `others` are
    boxes of other people: in them the person's mask shows somebody, and not whom.
    """
    inside, sure, theirs = alpha >= 0.5, person >= 0.5, _within(others, alpha.shape)
    reach = max(2, round(_ROOM * (alpha.shape[0] * alpha.shape[1]) ** 0.5))
    room = growing.grown(person >= _PERSON, reach)
    # A matte without the neighbour, whom the mask shows too, has not lost the subject.
    alone = (sure & ~theirs).sum() >= _ALONE * sure.sum()
    judged = ~theirs if alone else np.True_
    agreement = iou(inside & room & judged, sure & judged)
    matte_of = SEGMENTER if agreement >= _AGREES and sure.any() else PERSON
    own, restored = person, 0
    if matte_of == SEGMENTER:
        x1, y1, x2, y2 = box or (0, 0, alpha.shape[1], alpha.shape[0])
        ours = _within([(x1 - reach, y1 - reach, x2 + reach, y2 + reach)], alpha.shape)
        own, restored = _restored(np.where(room, alpha, 0), person, reach, ours, theirs)
        own = _whole(own, person, reach)
    held = np.zeros(alpha.shape, bool)
    if held_in is not None and sure.any():
        held = _held(inside & ~room, own >= 0.5)
        held &= ~_scenery(held, ~inside & ~room, person, held_in)
    result = np.where(held, alpha, own).astype(np.float32)
    outside = int((inside & ~room).sum())
    kept = int((held & inside & ~room).sum())
    return Gated(result, matte_of, agreement, kept, outside - kept, restored)


def _within(boxes_xyxy: Sequence[Box], shape: tuple[int, ...]) -> np.ndarray:
    """HxW bool: the pixels of any of the boxes."""
    inside = np.zeros(shape, bool)
    for x1, y1, x2, y2 in boxes_xyxy:
        inside[max(0, round(y1)) : max(0, round(y2)), max(0, round(x1)) : max(0, round(x2))] = True
    return inside


def _restored(
    alpha: np.ndarray, person: np.ndarray, reach: int, ours: np.ndarray, theirs: np.ndarray
) -> tuple[np.ndarray, int]:
    """The matte with the limbs that it takes for scene, from the person's mask; and how many pixels
    that adds. `ours` and `theirs`, HxW bool: the subject's box with some room, and others' boxes.
    In those nothing is added: the mask shows them too.
    """
    lost = ~growing.grown(person < _SURE, reach) & (alpha < _SCENE) & ~theirs
    limbs = _limbs(lost, alpha, person, reach, ours)
    if not limbs.any():
        return alpha, 0
    # Out to where the mask is unsure: the limb's own edge.
    near = growing.grown(limbs, 2 * reach) & ~theirs
    own = np.where(near, np.maximum(alpha, person), alpha)
    return own, int(((own >= 0.5) & (alpha < 0.5)).sum())


def _limbs(
    lost: np.ndarray, alpha: np.ndarray, person: np.ndarray, reach: int, ours: np.ndarray
) -> np.ndarray:
    """HxW bool: parts of `lost` that are large, thick and sure, and lie at the person's edge and at
    what the matte has of them, and in the subject's box: what lies apart, or comes in from outside
    of it, may be somebody else, whom the detector missed.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        lost.astype(np.uint8), connectivity=4
    )
    fits = stats[:, cv2.CC_STAT_AREA] >= _LOST * int((person >= 0.5).sum())
    fits[0] = False
    if not fits.any():
        return np.zeros(lost.shape, bool)
    thick = cv2.distanceTransform(lost.astype(np.uint8), cv2.DIST_L2, 5) >= reach
    _, free = cv2.connectedComponents((alpha < 0.5).astype(np.uint8), connectivity=4)
    outside = np.isin(free, np.unique(free[(person < _PERSON) & (free > 0)]))
    at_edge = growing.grown(person < _PERSON, 2 * reach)
    joins = growing.grown(alpha >= 0.5, 2 * reach)  # as far as the limb will be taken out
    for ones in (thick, outside, at_edge, joins):
        fits &= np.bincount(labels[ones], minlength=count) > 0
    areas = stats[:, cv2.CC_STAT_AREA]
    fits &= np.bincount(labels[ours], minlength=count) >= _OURS * areas
    likely = np.bincount(labels.ravel(), weights=person.ravel(), minlength=count)
    return (fits & (likely >= _LIMB * areas))[labels]


def _whole(alpha: np.ndarray, person: np.ndarray, reach: int) -> np.ndarray:
    """The matte without what is half transparent in it deeper than `reach` px inside the person."""
    deep = ~growing.grown(person < _SURE, reach) & (alpha >= _SCENE)
    return np.where(deep, np.maximum(alpha, person), alpha)


def is_lost(gated: Gated, person: np.ndarray) -> bool:
    """Whether there is a person whom the segmenter's matte lacks: one more look may find them."""
    return gated.matte_of == PERSON and bool((person >= 0.5).any())


def _held(outside: np.ndarray, own: np.ndarray) -> np.ndarray:
    """Of the pixels `outside` a person's room, those of things that the person may hold: parts that
    lie at the room with some of themselves, end inside the crop, and are small beside the person.
    """
    held = np.zeros(own.shape, bool)
    if not outside.any():
        return held
    reach = max(2, round(2 * _ROOM * own.size**0.5))
    top, bottom, left, right = boxes.bounds(outside, reach)
    window = np.s_[top:bottom, left:right]  # its own border is empty, unless it is the crop's
    parts, near = outside[window], growing.grown(own[window], reach)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        parts.astype(np.uint8), connectivity=4
    )
    areas = stats[:, cv2.CC_STAT_AREA]
    fits = (areas <= _HELD_MOST * own.sum()) & (areas >= _HELD_LEAST * own.size)
    touching = np.bincount(labels[near & parts], minlength=count) >= _HELD_NEAR * areas
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    touching[np.unique(border)] = False
    fits &= touching
    fits[0] = False
    held[window] = fits[labels]
    return held


def _scenery(
    held: np.ndarray, scene: np.ndarray, person: np.ndarray, crop_rgb: np.ndarray
) -> np.ndarray:
    """Of what may be held, HxW bool, the parts that are surely no person and whose colours the
    `scene` has as well: pixel for pixel, each of the scene's counted once, which is the
    intersection of both histograms.
    """
    if not held.any():
        return held
    cells = cv2.cvtColor(crop_rgb, cv2.COLOR_RGB2LAB).astype(np.int32) // _COLOUR_STEP
    colours = cells @ (_CELLS**2, _CELLS, 1)
    there = np.bincount(colours[scene], minlength=_CELLS**3)
    count, labels = cv2.connectedComponents(held.astype(np.uint8), connectivity=4)
    is_scene = np.zeros(count, bool)
    for number in range(1, count):
        pixels = labels == number
        part = np.bincount(colours[pixels], minlength=_CELLS**3)
        alike = np.minimum(part, there).sum() >= _SCENERY * part.sum()
        is_scene[number] = alike and person[pixels].mean() < _NOBODY
    return is_scene[labels]


def iou(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two HxW bool masks; 1 where both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
