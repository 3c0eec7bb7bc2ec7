"""Places where a track expects somebody and the detector found nobody. Pure arrays.

A place is looked at again, closer (`second_look`). What is found there counts only where it lies as
the track says, looks like it, and is nobody who was found before: a place without a detection stays
empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ferrari.subject import appearance
from ferrari.subject.linking import cover, overlaps
from ferrari.subject.tracks import END, GAP, Moment, Track

#: How long before a track begins, and after it ends, it is looked for, in seconds from where it was
#: found last. Kept frames are half a second apart.
REACH_S = 0.7
#: A box is expected to go on as it went for so long, with the speed of its last half second.
_FORESIGHT_S = _SPEED_OVER_S = 0.5
#: Overlap (IoU) of a place with a detection from which somebody was found there, and below which
#: what is found on a second look is somebody elsewhere.
TAKEN, THERE = 0.6, 0.5
#: Share of a place that lies in the picture, or more.
INSIDE = 0.5
#: Share of the smaller box in the other from which people touch: who is lost beside somebody may be
#: behind them.
TOUCH = 0.1
#: Likeness of clothes to the track's, between two of its detections, and before or behind them.
LIKE_BETWEEN, LIKE_BEYOND = 0.45, 0.60


@dataclass(frozen=True, eq=False)
class Place:
    """Where a track says that somebody is: `box_xyxy` (4,) px at a moment, by number.

    `step` is 0 between two detections of the track, 1 behind its last, -1 before its first.
    `looks` (D,) are the track's, `seen_xyxy` (4,) and `seen_s` where and when it was found next to
    here, `speed` (2,) px a second there.
    """

    moment: int
    box_xyxy: np.ndarray
    step: int
    looks: np.ndarray
    seen_xyxy: np.ndarray
    seen_s: float
    speed: np.ndarray


class Lost:
    """The places of a clip's tracks at which nobody was found, in the moments that are `asked`."""

    def __init__(
        self,
        moments: Sequence[Moment],
        tracks: Sequence[Track],
        asked: Sequence[bool],
        size_wh: tuple[int, int],
    ) -> None:
        """`size_wh` is that of the pictures, in px of the moments' boxes."""
        self._frame = np.array([[0.0, 0.0, *size_wh]])
        self._moments = moments
        self._tracks = tracks
        self._asked = np.flatnonzero(np.asarray(asked, bool))
        #: Boxes of what was found in each moment, on the first look and on the second.
        self._boxes = [np.asarray(one.boxes_xyxy, float).reshape(-1, 4) for one in moments]

    def places(self) -> list[Place]:
        """Those that follow from what was found on the first look, by moment."""
        found = [place for track in self._tracks for place in self._of(track)]
        return sorted(found, key=lambda one: (one.moment, one.step, one.box_xyxy.tolist()))

    def accepted(
        self, place: Place, boxes: np.ndarray, confidences: np.ndarray, looks: np.ndarray
    ) -> int | None:
        """Which of the detections (N, 4) of a second look, if any, is who was lost.

        It is there, looks like the track, and no box that is known, of either look, is it as well.
        """
        if not len(boxes):
            return None
        there = overlaps(place.box_xyxy[None], boxes)[0]
        other = overlaps(boxes, self._boxes[place.moment]).max(axis=1, initial=0.0)
        alike = appearance.similarity(place.looks[None], looks)[0]
        least = LIKE_BEYOND if place.step else LIKE_BETWEEN
        good = (there >= THERE) & (other < np.minimum(TAKEN, there)) & (alike >= least)
        if not good.any():
            return None
        return max(np.flatnonzero(good).tolist(), key=lambda at: (there[at], confidences[at]))

    def take(self, place: Place, box_xyxy: np.ndarray) -> list[Place]:
        """Somebody was found at a place; where to look next, if anywhere."""
        known = self._boxes[place.moment]
        self._boxes[place.moment] = np.concatenate([known, box_xyxy[None]])
        if not place.step:
            return []
        time_s = self._moments[place.moment].time_s
        return self._beyond(place.moment, place.step, box_xyxy, time_s, place.speed, place.looks)

    def _of(self, track: Track) -> Iterator[Place]:
        looks = appearance.mean(
            np.array([self._moments[moment].looks[at] for moment, at in track.places])
        )
        numbers = np.array([moment for moment, _ in track.places])
        times = np.array([self._moments[moment].time_s for moment in numbers])
        boxes = np.array(
            [self._moments[moment].boxes_xyxy[at] for moment, at in track.places], float
        )
        for moment in self._asked[(self._asked > numbers[0]) & (self._asked < numbers[-1])]:
            if moment in numbers:
                continue
            time_s = self._moments[moment].time_s
            box = np.array([np.interp(time_s, times, side) for side in boxes.T])
            before = int(np.searchsorted(times, time_s)) - 1
            place = Place(int(moment), box, 0, looks, boxes[before], times[before], np.zeros(2))
            if self._is_free(place):
                yield place
        yield from self._beyond(
            int(numbers[0]), -1, boxes[0], times[0], _speed(times, boxes, first=True), looks
        )
        if track.ended_by in (GAP, END):
            yield from self._beyond(
                int(numbers[-1]), 1, boxes[-1], times[-1], _speed(times, boxes, first=False), looks
            )

    def _beyond(
        self,
        moment: int,
        step: int,
        box: np.ndarray,
        seen_s: float,
        speed: np.ndarray,
        looks: np.ndarray,
    ) -> list[Place]:
        """The next asked moment before or behind where somebody was found, if it is near."""
        some = self._asked[self._asked * step > moment * step]
        if not len(some):
            return []
        there = int(some[0] if step > 0 else some[-1])
        passed = self._moments[there].time_s - seen_s
        if abs(passed) > REACH_S or self._cut_between(moment, there):
            return []
        moved = np.tile(speed * np.clip(passed, -_FORESIGHT_S, _FORESIGHT_S), 2)
        place = Place(there, box + moved, step, looks, box, seen_s, speed)
        return [place] if self._is_free(place) else []

    def _cut_between(self, one: int, other: int) -> bool:
        first, last = sorted((one, other))
        return any(self._moments[at].cut for at in range(first + 1, last + 1))

    def _is_free(self, place: Place) -> bool:
        """Whether it is in the picture and nobody was found there; and, beyond a track's ends,
        nobody in touch with it.
        """
        known, box = self._boxes[place.moment], place.box_xyxy[None]
        if cover(box, self._frame)[0, 0] < INSIDE:
            return False
        if place.step:
            return not (cover(box, known) >= TOUCH).any()
        return not (overlaps(box, known) >= TAKEN).any()


def _speed(times: np.ndarray, boxes: np.ndarray, first: bool) -> np.ndarray:
    """(2,) px a second of the middle of the box over the first or last half second of a track."""
    near = np.abs(times - (times[0] if first else times[-1])) <= _SPEED_OVER_S
    at = np.flatnonzero(near)
    span = times[at[-1]] - times[at[0]]
    if not span > 0:
        return np.zeros(2)
    way = boxes[at[-1]] - boxes[at[0]]
    return (way[:2] + way[2:]) / 2 / span
