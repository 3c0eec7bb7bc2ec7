"""Faces in pictures, and to which person each belongs. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferrari.images.boxes import Box, area, overlap, short_side

#: This share of a face lies on the upper half of the body that it belongs to, or more.
LEAST_SHARE = 0.7
#: Overlap (intersection over union) from which two faces are the same, found twice.
SAME_FACE = 0.5


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture, in its pixels.

    `landmarks_xy` (5, 2) float32: the person's right eye, left eye, tip of the nose, right and left
    corner of the mouth; `score` 0 to 1.
    """

    box_xyxy: Box
    landmarks_xy: np.ndarray
    score: float

    @property
    def short_side(self) -> float:
        """The shorter side of its box in pixels."""
        return short_side(self.box_xyxy)

    def placed(self, scale: float, x: float, y: float) -> Face:
        """The face in the coordinates of a picture from which its own was cropped at (x, y) and
        then scaled.
        """
        origin = np.array([x, y])
        x1, y1, x2, y2 = (np.array(self.box_xyxy).reshape(2, 2) / scale + origin).ravel().tolist()
        landmarks = (self.landmarks_xy / scale + origin).astype(np.float32)
        return Face((x1, y1, x2, y2), landmarks, self.score)


@dataclass(frozen=True, eq=False)
class EmbeddedFace:
    """A face of a person with its embedding: float32 of unit length; empty where none is wanted.

    `clarity`: 0 to 1, how much of a face the network for embeddings saw: little of one that is
    blurred, dark, cut off or turned away. 1 where it does not tell, and without an embedding.
    """

    face: Face
    embedding: np.ndarray
    clarity: float = 1.0


def head_zone(person: Box) -> Box:
    """The part of a person's box in which the face is: the upper half of the body.

    A box less than twice as high as wide does not hold a whole upright body: the picture ends at
    the chest or the hips, or the person sits or lies. Then the zone is half of a body twice as high
    as the box is wide.
    """
    x1, y1, x2, y2 = person
    body = max(y2 - y1, 2 * (x2 - x1))
    return x1, y1, x2, min(y2, y1 + body / 2)


def has_room(person: Box, least: float) -> bool:
    """Whether the head zone can hold a face with a short side of `least` px."""
    return short_side(head_zone(person)) >= least


def belongs(face: Box, person: Box) -> bool:
    """Whether a face may belong to the person in a box."""
    x1, y1, x2, y2 = head_zone(person)
    shared = (max(x1, face[0]), max(y1, face[1]), min(x2, face[2]), min(y2, face[3]))
    return area(face) > 0 and area(shared) >= LEAST_SHARE * area(face)


def owner(face: Box, people: Sequence[Box]) -> int | None:
    """The person to whom a face belongs, None if to none of them.

    Of several, it is the one whose box has the face nearest to its top: somebody standing in front
    of another person has their face on the other's chest.
    """
    may = [index for index, person in enumerate(people) if belongs(face, person)]
    return min(may, key=lambda index: _from_top(face, people[index]), default=None)


def _from_top(face: Box, person: Box) -> float:
    """The distance of a face from the middle of a box's upper edge, in heights of a face and widths
    of the box.
    """
    aside = abs((face[0] + face[2]) - (person[0] + person[2])) / 2
    return abs(face[1] - person[1]) / (face[3] - face[1]) + aside / (person[2] - person[0])


def distinct(found: Sequence[Face]) -> list[Face]:
    """Faces, best first, without those already found with a higher score."""
    kept: list[Face] = []
    for face in sorted(found, key=lambda face: (-face.score, face.box_xyxy)):
        if all(overlap(face.box_xyxy, other.box_xyxy) < SAME_FACE for other in kept):
            kept.append(face)
    return kept
