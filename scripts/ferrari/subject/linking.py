"""Evidence that a detection continues a track: position and appearance. Pure arrays.

Between two moments a person may go on as before or stand still, so a track expects its box at two
places: where it was, and where it would be at the same speed. How near a detection comes to one is
the overlap (IoU) of both boxes, widened: a walker's boxes may not touch at six moments a second,
and a shaking camera moves them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ferrari.subject.appearance import similarity

#: Times between moments at which a box is expected are not longer than this, seconds.
_FORESIGHT_S = 0.5
_MOMENT_S = 1 / 6
_WIDEN_MOST = 0.6
_SPEED_OVER_S = 0.5
#: Similarity of a person's looks from moment to moment, before anything is known of a track.
USUAL = 0.85
_LOOKS_RATE = 0.25  # weight of the newest detection in what a track remembers
_USUAL_RATE = 0.2


@dataclass(frozen=True)
class Linking:
    """When a detection goes on a track, and when that is in doubt. Overlaps, looks: 0 to 1."""

    #: Detections from here on are linked first, the rest to what is left (ByteTrack).
    sure_confidence: float = 0.5
    #: Overlap of the widened boxes below which nobody can have come from one to the other.
    least_overlap: float = 0.1
    #: Boxes are widened by this share of their sides, and by so much more a second.
    widen: float = 0.1
    widen_per_s: float = 0.6
    #: Similarity of looks below which it is somebody else, and the same as a fall from the usual.
    least_looks: float = 0.45
    looks_fall: float = 0.25
    #: By how much a box may become higher or lower in a sixth of a second: 0.4 is 1.4 times. More
    #: is a box that begins or ceases to hold somebody else as well. Widths change with each stride.
    growth: float = 0.38
    #: A track that nothing goes on for longer than this ends, seconds.
    gap_s: float = 0.7
    #: For so long somebody who went out of sight beside a person may be in that person's place.
    hidden_s: float = 2.5
    #: By how much a link must be better than its alternative, in sums of overlap and looks.
    clear_by: float = 0.3
    #: Share of the smaller of two boxes in the other from which the people touch.
    touch: float = 0.1
    #: By how much looks must speak for a person against whoever has hidden behind.
    looks_apart: float = 0.12


@dataclass
class Follower:
    """A track that may go on: its places so far, and what is known for the next."""

    number: int
    places: list[tuple[int, int]]
    boxes: list[np.ndarray]
    times: list[float]
    looks: np.ndarray
    #: Whether `looks` are of a moment in which nobody touched the person.
    alone: bool
    #: Of the last moment: whether it touched somebody.
    touching: bool
    usual: float = USUAL
    #: Looks of the people who went out of sight in touch with this one.
    hidden: list[np.ndarray] = field(default_factory=list)

    def expected(self, time_s: float) -> np.ndarray:
        """The box at the same speed."""
        lately = [at for at in self.times if self.times[-1] - at <= _SPEED_OVER_S]
        first = len(self.times) - len(lately)
        span = self.times[-1] - self.times[first]
        if not span > 0:
            return self.boxes[-1]
        speed = (self.boxes[-1] - self.boxes[first]) / span
        centre = np.tile((speed[:2] + speed[2:]) / 2, 2)
        return self.boxes[-1] + centre * min(time_s - self.times[-1], _FORESIGHT_S)

    def go_on(
        self,
        place: tuple[int, int],
        time_s: float,
        box: np.ndarray,
        looks: np.ndarray,
        touching: bool,
    ) -> None:
        """Take a detection in; looks of a person who is touched hold parts of somebody else."""
        like = float(similarity(looks[None], self.looks[None])[0, 0])
        self.usual += _USUAL_RATE * (like - self.usual)
        if not touching and not self.alone:
            self.looks, self.alone = looks.astype(np.float64), True
        elif not touching:
            mixed = (1 - _LOOKS_RATE) * self.looks + _LOOKS_RATE * looks
            self.looks = mixed / max(float(np.sqrt((mixed**2).sum())), 1e-12)
        self.places.append(place)
        self.boxes, self.times = [*self.boxes[-8:], box], [*self.times[-8:], time_s]
        self.touching = touching


@dataclass(frozen=True)
class Evidence:
    """For T tracks and D detections, each (T, D)."""

    #: What a link gains if people stand still, and if they go on as they went; 0 if not near.
    still: np.ndarray
    moved: np.ndarray
    #: Near enough to be the same person, whatever the looks.
    near: np.ndarray
    #: Of those, neither larger nor smaller than people become.
    same_size: np.ndarray
    #: Of those, not too different: a detection that may go on the track.
    possible: np.ndarray


def gather(
    tracks: list[Follower], time_s: float, boxes: np.ndarray, looks: np.ndarray, settings: Linking
) -> Evidence:
    """What speaks for each pair of a track and a detection."""
    last = np.array([one.boxes[-1] for one in tracks]).reshape(-1, 4)
    expected = np.array([one.expected(time_s) for one in tracks]).reshape(-1, 4)
    waited = np.array([time_s - one.times[-1] for one in tracks])
    wider = np.minimum(settings.widen + settings.widen_per_s * waited, _WIDEN_MOST)[:, None]
    still, moved = (overlaps(at, boxes, wider) for at in (last, expected))
    known = [one.looks for one in tracks]
    alike = similarity(np.stack(known), looks) if still.size else np.zeros(still.shape)
    near = np.maximum(still, moved) >= settings.least_overlap
    usual = np.array([one.usual for one in tracks])[:, None]
    least = np.maximum(settings.least_looks, usual - settings.looks_fall)
    most = 1 + settings.growth * np.maximum(waited / _MOMENT_S, 1)[:, None]
    same_size = near & (_growth(last, boxes) <= most)
    gains = [np.where(near, place + alike, 0.0) for place in (still, moved)]
    return Evidence(gains[0], gains[1], near, same_size, same_size & (alike >= least))


def overlaps(some: np.ndarray, others: np.ndarray, wider: np.ndarray | float = 0.0) -> np.ndarray:
    """(N, M) IoU of boxes (N, 4) and (M, 4), all widened by shares of their sides, (N, 1)."""
    a, b = some[:, None, :], others[None, :, :]
    a, b = _widened(a, wider), _widened(b, wider)
    shared, area_a, area_b = _shared(a, b), _area(a), _area(b)
    return shared / np.maximum(area_a + area_b - shared, 1e-9)


def cover(some: np.ndarray, others: np.ndarray, wider: float = 0.0) -> np.ndarray:
    """(N, M) share of the smaller of two boxes that lies in the other, all widened by `wider`."""
    a, b = _widened(some[:, None, :], wider), _widened(others[None, :, :], wider)
    return _shared(a, b) / np.maximum(np.minimum(_area(a), _area(b)), 1e-9)


def held(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) share of each of some boxes that lies in each of the others."""
    shared = _shared(some[:, None, :], others[None, :, :])
    return shared / np.maximum(_area(some), 1e-9)[:, None]


def _growth(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) how many times as high the higher of two boxes is."""
    a, b = (np.maximum(boxes[:, 3] - boxes[:, 1], 1e-9) for boxes in (some, others))
    ratios = a[:, None] / b[None, :]
    return np.maximum(ratios, 1 / ratios)


def _widened(boxes: np.ndarray, wider: np.ndarray | float) -> np.ndarray:
    """Boxes (..., 4), each side moved out by a share of the box's own."""
    sides = np.maximum(boxes[..., 2:] - boxes[..., :2], 0)
    out = np.concatenate([-sides, sides], axis=-1)
    return boxes + np.asarray(wider)[..., None] * out


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.prod(np.maximum(boxes[..., 2:] - boxes[..., :2], 0), axis=-1)


def _shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    corners = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    return np.prod(np.maximum(corners[1] - corners[0], 0), axis=-1)
