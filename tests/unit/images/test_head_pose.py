"""Poses of heads, with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.images import face_alignment, head_pose


def seen(yaw, pitch, roll, scale=80.0, away=None):
    """The mean face's landmarks, turned by these degrees, `away` face widths from the camera."""
    y, p, r = np.radians([yaw, pitch, roll])
    by_roll = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    by_pitch = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    by_yaw = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    points = head_pose.MEAN_FACE @ (by_yaw @ by_pitch @ by_roll).T
    nearer = 1 if away is None else away / (away - points[:, 2:])
    return (200 + scale * points[:, :2] * nearer).astype(np.float32)


@pytest.mark.parametrize("yaw", [-80, -30, 0, 45])
@pytest.mark.parametrize("pitch", [-40, 0, 25])
@pytest.mark.parametrize("roll", [-60, 0, 20])
def test_a_turned_mean_face_has_the_angles_that_it_was_turned_by(yaw, pitch, roll):
    found = head_pose.pose(seen(yaw, pitch, roll))
    assert (found.yaw, found.pitch, found.roll) == pytest.approx((yaw, pitch, roll), abs=0.01)


def test_the_signs_are_those_that_one_sees():
    straight = head_pose.MEAN_FACE[:, :2] * 100
    to_the_right, up = straight.copy(), straight.copy()
    to_the_right[2, 0] += 20
    up[2, 1] -= 15
    assert head_pose.pose(to_the_right).yaw > 5 and head_pose.pose(up).pitch > 5
    clockwise = straight @ np.array([[0.9, 0.4], [-0.4, 0.9]])
    assert clockwise[1, 1] > clockwise[0, 1]  # the eye at the right is the lower one
    assert head_pose.pose(clockwise).roll == pytest.approx(np.degrees(np.arctan2(0.4, 0.9)))


def test_a_camera_that_is_near_changes_little():
    for yaw in (-60, 0, 30):
        assert head_pose.pose(seen(yaw, 0, 0, away=8)).yaw == pytest.approx(yaw, abs=6)


def test_the_face_that_networks_are_trained_on_looks_straight_ahead():
    found = head_pose.pose(face_alignment.places())
    assert max(abs(found.yaw), abs(found.pitch), abs(found.roll)) < 5


def test_landmarks_at_one_place_are_refused():
    with pytest.raises(ValueError, match="one place"):
        head_pose.pose(np.full((5, 2), 3.0))
