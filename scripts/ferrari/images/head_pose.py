"""The direction of a head, from the five landmarks of its face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: The five landmarks of a mean face, in distances of its eyes: x to the right and y down in a
#: picture of it from the front, z towards the camera. Middles of the eyes (between their corners),
#: tip of the nose and corners of the mouth of MediaPipe's canonical face (Apache-2.0).
MEAN_FACE = np.array(
    [[-0.5, 0, 0], [0.5, 0, 0], [0, 0.595, 0.636], [-0.39, 1.106, 0.13], [0.39, 1.106, 0.13]]
)


@dataclass(frozen=True)
class Pose:
    """Rotations of a head in degrees, all 0 for somebody who looks straight into the camera.

    `yaw` > 0: the face is turned towards the picture's right; `pitch` > 0: up; `roll` > 0: the head
    is tilted clockwise in the picture.
    """

    yaw: float
    pitch: float
    roll: float


def pose(landmarks_xy: np.ndarray) -> Pose:
    """The pose of a face with the landmarks (5, 2) that a `Face` has.

    A mean face, scaled and turned so that it comes nearest to them seen from far away (DeMenthon
    and Davis, "Model-based object pose in 25 lines of code", their POS). A real face differs from
    the mean one, so it is right to some ten degrees. Raises ValueError for landmarks that all lie
    at one place.
    """
    model = MEAN_FACE - MEAN_FACE.mean(0)
    seen = np.float64(landmarks_xy) - np.float64(landmarks_xy).mean(0)
    if not seen.any():
        raise ValueError(
            "all landmarks lie at one place: nothing says which way the head is turned"
        )
    rows = np.linalg.lstsq(model, seen, rcond=None)[0].T
    turns, _, axes = np.linalg.svd(rows, full_matrices=False)
    across, down = turns @ axes  # the rows of a rotation that are nearest to them
    towards = np.cross(across, down)
    yaw = np.arctan2(across[2], towards[2])
    pitch = np.arcsin(np.clip(-down[2], -1, 1))
    roll = np.arctan2(down[0], down[1])
    return Pose(*(float(np.degrees(angle)) for angle in (yaw, pitch, roll)))
