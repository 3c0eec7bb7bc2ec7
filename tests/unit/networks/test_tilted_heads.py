"""Landmarks of tilted heads, by a network that sees everything as good as upright."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ferrari.images import head_pose
from ferrari.images.faces import Face
from ferrari.networks import tilted_heads

#: A dot of one colour for each landmark, so that where it truly lies is seen in the picture.
COLOURS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [255, 0, 255]])
FACE = head_pose.MEAN_FACE[:, :2] - head_pose.MEAN_FACE[:, :2].mean(0)
EYES_PX = 40


def upright_by_half(landmarks_xy: np.ndarray) -> Face:
    """What a network says of a face that truly has these landmarks: half of its roll, and a score
    that falls with the roll.
    """
    roll = head_pose.pose(landmarks_xy).roll
    middle = landmarks_xy.mean(0)
    told = _turned(landmarks_xy - middle, -roll / 2) + middle
    reach = 1.5 * EYES_PX
    box = (*(middle - reach).tolist(), *(middle + reach).tolist())
    return Face(box, told.astype(np.float32), 0.94 - 0.05 * (roll / 45) ** 2)


def _turned(points_xy: np.ndarray, degrees: float) -> np.ndarray:
    """Clockwise in a picture."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return points_xy @ np.array([[cos, sin], [-sin, cos]])


def find(pictures):
    """Each picture's face, where its dots are."""
    for picture in pictures:
        near = np.abs(picture[:, :, None].astype(int) - COLOURS).max(3) < 60
        if near.any((0, 1)).all():
            yield [upright_by_half(np.stack([_middle(near[..., dot]) for dot in range(5)]))]
        else:
            yield []


def _middle(where: np.ndarray) -> np.ndarray:
    return np.argwhere(where).mean(0)[::-1]


def picture_of(roll: float, at: tuple[float, float] = (200, 160)):
    """A picture with a face tilted by so many degrees, and its landmarks."""
    landmarks = _turned(FACE * EYES_PX, roll) + at
    picture = np.zeros((320, 400, 3), np.uint8)
    for (x, y), colour in zip(landmarks, COLOURS.tolist(), strict=True):
        cv2.circle(picture, (round(x), round(y)), 5, colour, -1)
    return picture, landmarks


def off(face: Face, truth: np.ndarray) -> float:
    """How far landmarks lie off, in distances of the eyes."""
    return float(np.linalg.norm(face.landmarks_xy - truth, axis=1).mean() / EYES_PX)


@pytest.mark.parametrize("roll", [-80, -60, -45, -35, 35, 45, 60, 80])
def test_the_landmarks_of_a_tilted_head_are_where_they_are(roll):
    picture, truth = picture_of(roll)
    (first,) = next(find([picture]))
    ((again,),) = tilted_heads.found_again(find, [picture], [[first]])
    assert off(first, truth) > 0.15 and off(again, truth) < 0.06
    assert (again.box_xyxy, again.score) == (first.box_xyxy, first.score)
    assert again.landmarks_xy.dtype == np.float32


@pytest.mark.parametrize("roll", [-15, 0, 15])
def test_a_face_that_is_nearly_upright_stays_as_it_is(roll):
    picture, _ = picture_of(roll)
    (first,) = next(find([picture]))
    ((again,),) = tilted_heads.found_again(find, [picture], [[first]])
    assert again is first


@pytest.mark.parametrize(("roll", "count"), [(0, 3), (4, 3), (45, 3 + 2 + 1), (-80, 3 + 2 + 1)])
def test_far_turns_are_looked_at_where_they_may_score_better(roll, count):
    """None for an upright face, however low it scored at first, and one side's for others."""
    picture, _ = picture_of(roll)
    (first,) = next(find([picture]))
    looked = []

    def counted(pictures):
        for picture in pictures:
            looked.append(picture)
            yield from find([picture])

    tilted_heads.found_again(counted, [picture], [[replace(first, score=0.85)]])
    assert len(looked) == count


@pytest.mark.parametrize("roll", [-100, -90, 90, 100])
def test_a_head_is_found_on_its_side_where_no_near_turn_shows_a_face(roll):
    """The network finds no face that is tilted by more than 45 degrees."""

    def nearly_upright(pictures):
        for of in find(pictures):
            yield [face for face in of if abs(2 * head_pose.pose(face.landmarks_xy).roll) <= 45]

    picture, truth = picture_of(roll)
    (first,) = next(find([picture]))
    ((again,),) = tilted_heads.found_again(nearly_upright, [picture], [[first]])
    assert off(again, truth) < 0.06


def test_each_face_keeps_its_place():
    pictures = [picture_of(roll) for roll in (50, 0, -70)]
    first = list(find(picture for picture, _ in pictures))
    shown = [*(picture for picture, _ in pictures), np.zeros((60, 60, 3), np.uint8)]
    found = tilted_heads.found_again(find, shown, [*first, []])
    assert [len(of) for of in found] == [1, 1, 1, 0]
    for (_, truth), (face,) in zip(pictures, found, strict=False):
        assert off(face, truth) < 0.06


def test_who_is_beside_a_tilted_head_lends_it_no_landmarks():
    """The turned pictures show a face at their rim alone."""
    picture, landmarks = picture_of(60, at=(270, 160))
    face = upright_by_half(landmarks)
    x1, y1, x2, y2 = face.box_xyxy
    beside = Face((x1 - 80, y1, x2 - 80, y2), face.landmarks_xy - [80, 0], 0.85)
    ((again,),) = tilted_heads.found_again(find, [picture], [[beside]])
    assert again is beside


def test_a_face_that_is_not_found_again_stays():
    picture, landmarks = picture_of(60)
    face = upright_by_half(landmarks)
    ((again,),) = tilted_heads.found_again(find, [np.zeros_like(picture)], [[face]])
    assert again is face


def test_landmarks_at_one_place_tell_no_roll():
    picture, _ = picture_of(60)
    face = Face((100, 100, 200, 200), np.full((5, 2), 150, np.float32), 0.85)
    ((again,),) = tilted_heads.found_again(find, [picture], [[face]])
    assert again is face
