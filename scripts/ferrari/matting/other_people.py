"""Other people's pixels, taken out of the subject's alpha.

A network that looks for what stands out takes along who stands beside. Stage 2 knows the boxes of
everybody in the frame, also of whom the detector hardly sees within the subject's box
(`images.hardly_seen`). Boxes and colours say whose a pixel is (`by_boxes`): what looks like the
part of the alpha where only the subject can be is the subject's; what looks like the part of
another's box that the alpha leaves free, or lies where only the other can be, is not; and the
border between the two comes to lie on an edge of the picture (`label_cut`). Where the segmenter
knows instances (yolo-seg, SAM), what it gives to others is taken out too (`by_instances`); alone
that is not enough, since a small network's masks reach over to the neighbour.

The cut is made twice, once with a leaning to the subject and once to the others. What both give to
the others, and what only one does, is taken out; the latter's share is what the alpha is in doubt
by. So is what stays half transparent beside others: a hand of theirs that the network half takes
for the subject's (`_see_through`). A cut-out with too much of it is refused, and not mended by a
guess.

Pure arrays. Alpha is HxW float, 0..1; boxes are x1, y1, x2, y2 in the crop's pixels, and may reach
beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ferrari.images.boxes import Box
from ferrari.matting import label_cut

_SIDE = 160  # px of the longer side at which it is decided; edges are the refinement's work
_REACH = 0.03  # of the longer side of a box: how far outside it whom it shows may reach
_HELD, _SOLID, _EMPTY = 0.1, 0.5, 0.05  # alpha that is the subject's at all, surely, not at all
#: Alpha below this is half transparent, and in a patch so many pixels wide no edge.
_OPAQUE, _PATCH = 0.9, 5
#: Who is in the alpha has at least this share of it where the subject cannot be; 0.1 % is what
#: edges leave.
_PRESENT = 1e-3
#: Of the crop, and of another's box: one that reaches less beyond the subject's says nothing by it.
#: A box around two people holds nearly all of the other's; the strip that it leaves out is scene.
_BEYOND, _BEYOND_OF_BOX = 0.01, 0.1
#: Prices of `label_cut`, in units of the logarithm of a likelihood: to which people lean; what
#: speaks against somebody who is not seen in the alpha; how far the two readings are apart.
_LEANING, _ABSENT, _DOUBT = -0.3, 1.0, 1.0
_MOST = 3.0  # a colour alone says no more than this
#: The alpha is somebody else's if so much of it lies in others' boxes; or less, if where the
#: subject is alone little of it lies.
_MOSTLY, _PARTLY, _COVERED = 0.5, 0.2, 0.3
_BINS = 16  # a colour's histogram has so many a channel
_DIGITS = 6  # behind the point, of shares as rows tell them
_RARE = 0.02  # counts added to each bin: what was never seen is unlikely, and not impossible


@dataclass(frozen=True)
class Parting:
    """Who else is in a crop and what was done about it.

    `others` is how many people, `taken` the HxW bool pixels that are theirs (None: none);
    `taken_share` and `unsure_share` are shares of the alpha's sum, with the digits of their row:
    what was taken out, and what may as well be the one's as the other's.
    """

    others: int = 0
    taken: np.ndarray | None = None
    taken_share: float = 0.0
    unsure_share: float = 0.0

    def limited(self, alpha: np.ndarray) -> np.ndarray:
        """The alpha (HxW) without the pixels of others."""
        return alpha if self.taken is None else np.where(self.taken, 0, alpha)

    def told(self) -> Parting:
        """The same figures without the pixels."""
        return replace(self, taken=None)


NOBODY = Parting()


def part(
    image_rgb: np.ndarray,
    alpha: np.ndarray,
    box: Box,
    others: Sequence[Box],
    claims: np.ndarray | None = None,
) -> Parting:
    """Part the subject in `box` from `others` in an HxWx3 uint8 RGB crop with the net's `alpha`.

    `claims` is the alpha of the others' own instances (HxW float, 0..1), where a network gave it.
    """
    total = float(alpha.sum())
    if not others or not total:
        return Parting(len(others))
    taken, unsure = by_boxes(image_rgb, alpha, box, others)
    if claims is not None:
        claimed, contested = by_instances(alpha, claims)
        taken, unsure = taken | claimed, max(unsure, contested)
    shares = (round(one, _DIGITS) for one in (float(alpha[taken].sum()) / total, unsure))
    return Parting(len(others), taken if taken.any() else None, *shares)


def by_instances(alpha: np.ndarray, claims: np.ndarray) -> tuple[np.ndarray, float]:
    """HxW bool: what others claim more than the subject; and the share that both claim solidly."""
    claimed = claims > _SOLID
    contested = claimed & (alpha > _SOLID)
    return claimed & (claims >= alpha), float(alpha[contested].sum() / alpha.sum())


def by_boxes(
    image_rgb: np.ndarray, alpha: np.ndarray, box: Box, others: Sequence[Box]
) -> tuple[np.ndarray, float]:
    """HxW bool: the pixels of people in the boxes `others`; and the share of alpha in doubt."""
    crop = _Small.of(image_rgb, alpha, box, others)
    where = crop.near & (crop.alpha > _HELD)
    taken = doubtful = np.zeros(crop.alpha.shape, bool)
    if where.any():
        taken, surely = _readings(crop)
        doubtful = taken & ~surely
    total = max(float(crop.alpha.sum()), 1e-6)
    half = int(_see_through(crop, taken).sum())
    unsure = min(1.0, (float(crop.alpha[doubtful].sum()) + half) / total)
    unsure = max(unsure, _of_somebody_else(crop, taken))
    size = (alpha.shape[1], alpha.shape[0])
    large = cv2.resize(taken.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
    return large, unsure


@dataclass(frozen=True)
class _Small:
    """A crop at the size at which it is decided; all arrays are h x w.

    `lab` is h x w x 3. `inner` is the subject's box, `own` where they may be, `theirs` the others'
    boxes, `near` those grown a little. `central` is larger the more central a pixel lies in
    another's box, and the less in the subject's. `absent` are the boxes of those of whom nothing is
    seen in the alpha.
    """

    lab: np.ndarray
    alpha: np.ndarray
    own: np.ndarray
    inner: np.ndarray
    theirs: np.ndarray
    near: np.ndarray
    central: np.ndarray
    absent: np.ndarray

    @classmethod
    def of(
        cls, image_rgb: np.ndarray, alpha: np.ndarray, box: Box, others: Sequence[Box]
    ) -> _Small:
        high, wide = alpha.shape
        shrink = min(1.0, _SIDE / max(high, wide))
        hw = (max(1, round(high * shrink)), max(1, round(wide * shrink)))
        small = cv2.resize(image_rgb, hw[::-1], interpolation=cv2.INTER_AREA)
        held = cv2.resize(alpha.astype(np.float32), hw[::-1], interpolation=cv2.INTER_AREA)
        box, *boxes = (_scaled(one, hw[1] / wide, hw[0] / high) for one in (box, *others))
        reach = _REACH * max(box[2] - box[0], box[3] - box[1])
        own, theirs, near = _region(box, hw, reach), np.zeros(hw, bool), np.zeros(hw, bool)
        off, absent = np.full(hw, 9.0), np.ones(hw, bool)
        for one in boxes:
            theirs |= _region(one, hw)
            around = _region(one, hw, reach / 2)
            near |= around
            off = np.where(around, np.minimum(off, _off_axis(one, hw)), off)
            if _is_present(_region(one, hw), own, held):
                absent[around] = False
        central = np.clip(_off_axis(box, hw) - off, -2, 2)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        return cls(lab, held, own, _region(box, hw), theirs, near, central, absent)


def _scaled(box: Box, x: float, y: float) -> Box:
    return box[0] * x, box[1] * y, box[2] * x, box[3] * y


def _region(box: Box, hw: tuple[int, int], margin: float = 0.0) -> np.ndarray:
    """h x w bool: inside the box grown by `margin` px."""
    inside = np.zeros(hw, bool)
    x1, y1, x2, y2 = (round(v) for v in (*_less(box, margin), *_more(box, margin)))
    inside[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = True
    return inside


def _less(box: Box, margin: float) -> tuple[float, float]:
    return box[0] - margin, box[1] - margin


def _more(box: Box, margin: float) -> tuple[float, float]:
    return box[2] + margin, box[3] + margin


def _off_axis(box: Box, hw: tuple[int, int]) -> np.ndarray:
    """Squared distance of each column from a box's upright axis, in halves of its width."""
    half = max(1.0, (box[2] - box[0]) / 2)
    off = np.abs(np.arange(hw[1]) + 0.5 - (box[0] + box[2]) / 2) / half
    return np.broadcast_to(np.minimum(off, 1.6) ** 2, hw)


def _is_present(theirs: np.ndarray, own: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether somebody whose box is `theirs` is in the alpha, by the part beyond the subject's.

    Where the box lies within the subject's, or nearly so, nothing tells, and it may be so.
    """
    beyond = theirs & ~own
    if beyond.mean() < _BEYOND or beyond.sum() < _BEYOND_OF_BOX * theirs.sum():
        return True
    return float(alpha[beyond].sum()) >= _PRESENT * float(alpha.sum())


def _readings(crop: _Small) -> tuple[np.ndarray, np.ndarray]:
    """What is others' by the reading that leans to them, and by the one that leans to the subject:
    h x w bool each, within the alpha.
    """
    held, solid = crop.alpha > _HELD, crop.alpha > _SOLID
    free = crop.theirs & (crop.alpha < _EMPTY)  # theirs, or the scene's: not the subject's
    surely_theirs = (solid & crop.theirs & ~crop.own & ~crop.absent) | free
    surely_own = (held & ~crop.near) | (solid & ~crop.near & crop.inner)
    score = _score(crop, solid, free)
    found = []
    for leaning in (_DOUBT, -_DOUBT):
        price_own = np.where(crop.near, np.maximum(score + leaning, 0), 0)
        price_theirs = np.maximum(-score - leaning, 0)
        price_own = np.where(surely_theirs, label_cut.FIXED, price_own)
        price_theirs = np.where(surely_own, label_cut.FIXED, price_theirs)
        asked = held | free
        found.append(label_cut.second_label(crop.lab, asked, price_own, price_theirs) & held)
    return found[0], found[1]


def _score(crop: _Small, solid: np.ndarray, free: np.ndarray) -> np.ndarray:
    """h x w float: above 0 where a pixel looks like the others', below where like the subject's.

    By colours, whose likelihoods are learned in two rounds, and by where it lies in the boxes.
    """
    present, central = crop.near & ~crop.absent, crop.central
    theirs = np.where(solid & present, _logistic(4 * (central - 0.3)), 0)
    own = np.where(solid & crop.own, _logistic(-4 * np.where(crop.near, central, -4.0)), 0)
    own = np.where(crop.near & crop.absent, 0, own)
    enough = max(float(theirs.sum()), 0.1 * float(solid.sum()))
    around = free * min(1.0, enough / max(1, int(free.sum())))
    absent = np.where(crop.absent, _ABSENT, 0)
    score = np.zeros(solid.shape)
    for _ in range(2):
        ratio = np.log(_likelihood(crop.lab, theirs + around) / _likelihood(crop.lab, own))
        lies = np.where(crop.near, central, -4.0)
        score = np.clip(ratio, -_MOST, _MOST) + lies + _LEANING - absent
        theirs = np.where(solid & present, _logistic(2 * score), 0)
        own = np.where(solid & crop.own, _logistic(-2 * score), 0)
    return score


def _logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _likelihood(lab: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """h x w float: how usual each pixel's colour is among pixels that count by `weights`."""
    at = tuple((lab // (256 // _BINS)).reshape(-1, 3).T.astype(np.intp))
    counts = np.zeros((_BINS,) * 3)
    np.add.at(counts, at, weights.ravel())
    for axis in range(3):  # a bin's neighbours look alike
        padded = np.pad(counts, [(1, 1) if axis == one else (0, 0) for one in range(3)])
        first, second = (padded.take(range(start, start + _BINS), axis) for start in (0, 2))
        counts = counts / 2 + (first + second) / 4
    usual = (counts[at] + _RARE) / (counts.sum() + _RARE * counts.size)
    return usual.reshape(lab.shape[:2])


def _see_through(crop: _Small, taken: np.ndarray) -> np.ndarray:
    """h x w bool: patches near others that are left in the alpha half transparent.

    The network cannot say whether they are of what it cut out. Each of their pixels counts as a
    whole one: the refinement may make it so.
    """
    left = np.where(taken, 0, crop.alpha)
    half = ((left > _HELD) & (left < _OPAQUE)).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_PATCH, _PATCH))
    return (cv2.morphologyEx(half, cv2.MORPH_OPEN, kernel) > 0) & crop.near


def _of_somebody_else(crop: _Small, taken: np.ndarray) -> float:
    """The share of the alpha that was taken out or lies in others' boxes, if the network seems to
    have cut out one of them in the subject's place; else 0.
    """
    left = np.where(taken, 0, crop.alpha)
    total = max(float(crop.alpha.sum()), 1e-6)
    share = float(crop.alpha[taken | crop.theirs].sum()) / total
    alone = crop.inner & ~crop.theirs
    covered = float(left[alone].mean()) if alone.any() else 0.0
    mostly = float(left[crop.theirs].sum()) > _MOSTLY * float(left.sum())
    return share if mostly or (share > _PARTLY and covered < _COVERED) else 0.0
