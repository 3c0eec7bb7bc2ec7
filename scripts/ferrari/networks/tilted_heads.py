"""Landmarks of heads that are tilted: found once more in pictures of the face that are turned.

A network that has learnt upright faces finds one that leans over or lies on its side, and with a
high score, but puts its landmarks nearly where those of an upright face would be. A face that is
aligned by them is not like its own person, and as like others that are tilted as one person's faces
are. The score is highest where the face is upright, so it says which way to turn the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from ferrari.images import head_pose
from ferrari.images.faces import Face

#: Degrees by which a face's picture is turned against the clock: first by the near ones, then by
#: those of the far ones that may score better (`_farther`).
NEAR, FAR = (-15.0, 0.0, 15.0), (-60.0, -30.0, 30.0, 60.0)
#: Degrees of roll that the landmarks tell, and the detector's score: from the one on, or below the
#: other, a head may be tilted. At a true roll of 45 degrees 20 to 32 are told, at a score of 0.90;
#: an upright face has 0.94.
ROLL, SCORE = 10.0, 0.92
#: px, short side: nothing is told from smaller faces (`subject.face_weights`), tilted or not.
LEAST = 28.0
#: Degrees to the side, from which a face stays as it is: the network knows profiles little better
#: than tilted faces, and their landmarks mislead it.
PROFILE = 45.0
#: How much better a turned picture has to score than the upright one.
BETTER = 0.005
#: In a turned picture about half of the roll that is left is told: it is turned once more by so
#: many times as much.
_TOLD = 2.0
#: px, the side of a turned picture; how many times as large as the face's box it is; within which
#: share of its side from its middle the face's landmarks lie.
_SIDE, _ROOM, _MIDDLE = 160, 2.0, 0.2

_Find = Callable[[Iterable[np.ndarray]], Iterator[list[Face]]]


@dataclass(frozen=True, eq=False)
class _Look:
    """What a turned picture shows: how well it scores, the roll that is left in it, and the
    landmarks in pixels of the whole picture.
    """

    turn: float
    score: float
    roll: float
    landmarks_xy: np.ndarray


def found_again(
    find: _Find, pictures: Sequence[np.ndarray], faces: Sequence[Sequence[Face]]
) -> list[list[Face]]:
    """The faces of each HxWx3 uint8 RGB picture, in the same order. Those of heads that are tilted
    have the landmarks of a turned picture; box and score stay those of the first look.
    """
    doubtful = [
        (picture, face)
        for picture, of in zip(pictures, faces, strict=True)
        for face in of
        if _may_be_tilted(face)
    ]
    near = _turned(find, doubtful, [NEAR] * len(doubtful))
    far = _turned(find, doubtful, [_farther(*looks) for looks in near])
    best = [
        _best(face, [*looks, *more])
        for (_, face), looks, more in zip(doubtful, near, far, strict=True)
    ]
    tilted = [
        (picture, face, look)
        for (picture, face), look in zip(doubtful, best, strict=True)
        if look is not None
    ]
    nearer = _looks(
        find, [(one, face, look.turn + _TOLD * look.roll) for one, face, look in tilted]
    )
    upright = {
        id(face): replace(face, landmarks_xy=_less_tilted(look, again).landmarks_xy)
        for (_, face, look), again in zip(tilted, nearer, strict=True)
    }
    return [[upright.get(id(face), face) for face in of] for of in faces]


def _may_be_tilted(face: Face) -> bool:
    pose = _pose(face)
    if pose is None or abs(pose.yaw) >= PROFILE or face.short_side < LEAST:
        return False
    return face.score < SCORE or abs(pose.roll) >= ROLL


def _pose(face: Face) -> head_pose.Pose | None:
    """None of landmarks that all lie at one place."""
    spread = (face.landmarks_xy != face.landmarks_xy[0]).any()
    return head_pose.pose(face.landmarks_xy) if spread else None


def _turned(
    find: _Find,
    doubtful: Sequence[tuple[np.ndarray, Face]],
    turns: Sequence[Sequence[float]],
) -> list[list[_Look | None]]:
    """The looks at each face, in the turns of its own."""
    asked = [
        (picture, face, turn)
        for (picture, face), of in zip(doubtful, turns, strict=True)
        for turn in of
    ]
    looks = iter(_looks(find, asked))
    return [[next(looks) for _ in of] for of in turns]


def _farther(left: _Look | None, upright: _Look | None, right: _Look | None) -> tuple[float, ...]:
    """Which far turns may score better than the near ones: none if upright is best, and those of
    the better side else. Where too little is found to tell, all: the head may lie on its side.
    """
    if upright is None or (left is None and right is None):
        return FAR
    known = [look for look in (upright, left, right) if look is not None]
    best = max(known, key=lambda look: look.score)
    return tuple(turn for turn in FAR if turn * best.turn > 0)


def _looks(find: _Find, asked: Sequence[tuple[np.ndarray, Face, float]]) -> list[_Look | None]:
    """The best face in the middle of each picture around a face, turned by so many degrees."""
    matrices = [_to_square(face, turn) for _, face, turn in asked]
    squares = (
        cv2.warpAffine(picture, matrix, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR)
        for (picture, *_), matrix in zip(asked, matrices, strict=True)
    )
    return [
        _in_the_middle(faces, matrix, turn)
        for faces, matrix, (*_, turn) in zip(find(squares), matrices, asked, strict=True)
    ]


def _to_square(face: Face, turn: float) -> np.ndarray:
    """The 2x3 matrix from the picture to a square around a face, turned against the clock."""
    x1, y1, x2, y2 = face.box_xyxy
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    around = cv2.getRotationMatrix2D((x, y), turn, _SIDE / (_ROOM * max(x2 - x1, y2 - y1)))
    return around + np.array([[0, 0, _SIDE / 2 - x], [0, 0, _SIDE / 2 - y]])


def _in_the_middle(faces: Iterable[Face], matrix: np.ndarray, turn: float) -> _Look | None:
    for face in faces:  # the best first
        pose = _pose(face)
        away = np.abs(face.landmarks_xy.mean(0) - _SIDE / 2).max()
        if pose is not None and away <= _MIDDLE * _SIDE:
            back = cv2.invertAffineTransform(matrix)
            landmarks = face.landmarks_xy @ back[:, :2].T + back[:, 2]
            return _Look(turn, face.score, pose.roll, landmarks.astype(np.float32))
    return None


def _best(face: Face, looks: Sequence[_Look | None]) -> _Look | None:
    """The look that scores best; None where the upright one is as good."""
    known = [look for look in looks if look is not None]
    upright = [face.score, *(look.score for look in known if not look.turn)]
    best = max(known, key=lambda look: look.score, default=None)
    return best if best is not None and best.score >= max(upright) + BETTER else None


def _less_tilted(one: _Look, other: _Look | None) -> _Look:
    return other if other is not None and abs(other.roll) < abs(one.roll) else one
