"""People whom the detector hardly sees, and whose face is seen. Pure arithmetic.

Beside somebody else, or cut off, a person may stay below `detect.confidence` with a box that is
right. The network for faces is another witness: a box with a face of its own counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from ferrari.images.boxes import Box, overlap
from ferrari.images.faces import SAME_FACE, belongs
from ferrari.subject.face_weights import USABLE, face_weight
from ferrari.subject.sightings_file import SeenFace

#: Confidence from which a face may speak for a box; below, boxes lie anywhere.
FAINT = 0.1


def with_a_face(
    sure: Sequence[Box],
    faces_of_sure: Sequence[Sequence[SeenFace]],
    faces: Sequence[Sequence[SeenFace]],
) -> list[int]:
    """Which of a frame's faint boxes count, by number.

    `faces_of_sure` are the faces of the sure boxes where these alone are asked for; `faces` those
    of the faint ones where all are. A face that was somebody's only one stays theirs, unless their
    box holds a second face, which is another's: then it is a box around two.
    """
    found: list[int] = []
    given: list[SeenFace] = []
    every = [face for those in faces_of_sure for face in those]
    for number, own in enumerate(faces):
        judged = [face for face in own if _weight(face) >= USABLE]
        if len(judged) != 1 or any(_same(judged[0], other) for other in given):
            continue
        (face,) = judged
        others = [other for other in [*every, *given] if not _same(face, other)]
        holders = [
            box
            for box, those in zip(sure, faces_of_sure, strict=True)
            if any(_same(face, other) for other in those)
        ]
        if all(any(belongs(other.box_xyxy, box) for other in others) for box in holders):
            found.append(number)
            given.append(face)
    return found


def _same(one: SeenFace, other: SeenFace) -> bool:
    return overlap(one.box_xyxy, other.box_xyxy) >= SAME_FACE


def _weight(face: SeenFace) -> float:
    return face_weight(face.short_side_px, face.score, face.yaw_deg)
