"""A second look at places where a track expects somebody and nobody was found.

The part of the picture around the place is brought to one size, in which the person is large, and
searched once more. One look leads to the next, until nobody is found: who turns away is followed
from frame to frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from ferrari.images import boxes
from ferrari.images.boxes import Box, Detection
from ferrari.processes.batching import PIXELS
from ferrari.subject import appearance
from ferrari.subject.lost_places import Lost, Place
from ferrari.subject.tracks import Moment, Track

#: What the row of somebody says who was found on a second look.
FOUND_AGAIN = "found on a second look, where the track says"
#: px, side of the square that is searched.
SIDE = 640
#: How many times as long as the place's longer side that of the square is, in the picture.
ROOM = 1.6
#: What is searched at once, at most.
_BATCH = 16
_GREY = (114, 114, 114)


class LookAgain(Protocol):
    """What a second look needs of a clip: its pictures by number, in the order shown."""

    def picture(self, number: int) -> np.ndarray:
        """HxWx3 uint8 RGB."""

    def find(
        self, numbers: Sequence[int], squares_rgb: Sequence[np.ndarray]
    ) -> list[list[Detection]]:
        """What the detector sees, that counts, in each SIDE x SIDE picture, which is a part of the
        picture of that number.
        """


@dataclass(frozen=True)
class Found:
    """Somebody who was found on a second look: in which picture, by number; where, in its px and
    (`box_xyxy`, (4,)) in those of moments; and in what clothes (`looks`, (D,) float32).
    """

    number: int
    detection: Detection
    box_xyxy: np.ndarray
    looks: np.ndarray


@dataclass(frozen=True)
class Window:
    """A square of a picture: its corner and side in the picture's px, which may go beyond it."""

    left: int
    top: int
    side: int

    @classmethod
    def around(cls, box: Box) -> Window:
        """With ROOM around a box."""
        x1, y1, x2, y2 = box
        side = max(8, round(ROOM * max(x2 - x1, y2 - y1)))
        return cls(round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2), side)

    def cut(self, picture_rgb: np.ndarray) -> np.ndarray:
        """SIDE x SIDE x 3 uint8; grey beyond the picture."""
        height, width = picture_rgb.shape[:2]
        left, right = (min(max(x, 0), width) for x in (self.left, self.left + self.side))
        top, bottom = (min(max(y, 0), height) for y in (self.top, self.top + self.side))
        beside = (
            *(top - self.top, self.top + self.side - bottom),
            *(left - self.left, self.left + self.side - right),
        )
        part = cv2.copyMakeBorder(
            picture_rgb[top:bottom, left:right], *beside, cv2.BORDER_CONSTANT, value=_GREY
        )
        way = cv2.INTER_AREA if self.side > SIDE else cv2.INTER_LINEAR
        return cv2.resize(part, (SIDE, SIDE), interpolation=way)

    def placed(self, found: Detection, width: int, height: int) -> Detection:
        """A detection in the square, in the picture's px and within it."""
        scale = self.side / SIDE
        x1, y1, x2, y2 = (side * scale for side in found.box_xyxy)
        box = boxes.moved((x1, y1, x2, y2), self.left, self.top)
        return Detection(boxes.clip(box, width, height), found.confidence, found.class_name)


def search(
    again: LookAgain,
    moments: Sequence[Moment],
    tracks: Sequence[Track],
    asked: Sequence[bool],
    size_wh: tuple[int, int],
) -> tuple[list[Found], int]:
    """Who is found again, in which of the pictures that are `asked`; and how many looks were taken.

    `size_wh` is the size in whose px the moments' boxes are.
    """
    lost = Lost(moments, tracks, asked, size_wh)
    left, found, taken = lost.places(), [], 0
    while left:
        some, pictures = _batch(again, left)
        left = left[len(some) :]
        taken += len(some)
        for place, answer in zip(some, _looked(again, some, pictures, size_wh), strict=True):
            at = lost.accepted(place, answer.boxes_xyxy, answer.confidences, answer.looks)
            if at is not None:
                box = answer.boxes_xyxy[at]
                found.append(Found(place.moment, answer.detections[at], box, answer.looks[at]))
                left += lost.take(place, answer.boxes_xyxy[at])
    return sorted(found, key=lambda one: one.number), taken


@dataclass(frozen=True)
class _Answer:
    """What is seen around a place: `boxes_xyxy` as those of moments, detections in picture's px."""

    detections: Sequence[Detection]
    boxes_xyxy: np.ndarray
    confidences: np.ndarray
    looks: np.ndarray


def _batch(
    again: LookAgain, places: Sequence[Place]
) -> tuple[Sequence[Place], dict[int, np.ndarray]]:
    """The first of the places, and their pictures: of large ones few; a job holds them."""
    pictures: dict[int, np.ndarray] = {}
    for count, place in enumerate(places[:_BATCH], 1):
        if place.moment not in pictures:
            pictures[place.moment] = again.picture(place.moment)
            if sum(picture.size for picture in pictures.values()) > 3 * PIXELS:
                return places[:count], pictures
    return places[:_BATCH], pictures


def _looked(
    again: LookAgain,
    places: Sequence[Place],
    pictures: Mapping[int, np.ndarray],
    size_wh: tuple[int, int],
) -> list[_Answer]:
    windows = [Window.around(_in(pictures[one.moment], one, size_wh)) for one in places]
    squares = [
        window.cut(pictures[place.moment]) for window, place in zip(windows, places, strict=True)
    ]
    answers, seen_in = [], again.find([one.moment for one in places], squares)
    for window, place, found in zip(windows, places, seen_in, strict=True):
        picture = pictures[place.moment]
        height, width = picture.shape[:2]
        seen = [window.placed(one, width, height) for one in found]
        inside = np.array([one.box_xyxy for one in seen], float).reshape(-1, 4)
        shares = inside / np.tile([width, height], 2)
        answers.append(
            _Answer(
                seen,
                shares * np.tile(size_wh, 2),
                np.array([one.confidence for one in seen]),
                appearance.descriptors(picture, inside),
            )
        )
    return answers


def _in(picture_rgb: np.ndarray, place: Place, size_wh: tuple[int, int]) -> Box:
    """A place's box in the px of a picture, and within it."""
    height, width = picture_rgb.shape[:2]
    x1, y1, x2, y2 = (place.box_xyxy / np.tile(size_wh, 2) * np.tile([width, height], 2)).tolist()
    return boxes.clip((x1, y1, x2, y2), width, height)
