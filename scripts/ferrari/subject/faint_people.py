"""People below the detector's threshold whose face is found. Pure arithmetic.

Beside somebody else, or cut off, a person may stay below `detect.confidence` with a box that is
right. The network for faces is another witness: a box with a face of its own counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ferrari.images.boxes import Box, overlap
from ferrari.images.faces import SAME_FACE, belongs, owner
from ferrari.subject.face_weights import USABLE
from ferrari.subject.sightings_file import SeenFace

#: Confidence from which a face may speak for a box; below, boxes lie anywhere.
FAINT = 0.1
#: What the row of a box says that counts by its face.
FOUND_BY_FACE = "below detect.confidence, found by the face"


def with_a_face(
    sure: Sequence[tuple[Box, Sequence[SeenFace]]], faint: Sequence[tuple[Box, Sequence[SeenFace]]]
) -> dict[int, list[SeenFace]]:
    """Which of a frame's faint boxes count, by number, each with the faces that are theirs.

    Each box has the faces that are given to it where those of its kind alone are asked for. A face
    that was somebody's only one stays theirs, unless their box holds a second face, which is
    another's: then it is a box around two.
    """
    counted: dict[int, list[SeenFace]] = {}
    given: list[SeenFace] = []
    people = [box for box, _ in sure]
    every = [face for _, those in sure for face in those]
    for number, (box, seen) in enumerate(faint):
        own = [face for face in seen if owner(face.box_xyxy, [*people, box]) == len(people)]
        judged = [face for face in own if face.weight >= USABLE]
        if len(judged) != 1 or _among(judged[0], given):
            continue
        (face,) = judged
        others = [other for other in [*every, *given] if not _same(face, other)]
        holders = [box for box, those in sure if _among(face, those)]
        if all(any(belongs(other.box_xyxy, box) for other in others) for box in holders):
            counted[number] = own
            given.append(face)
    return counted


def left_to(faces: Iterable[SeenFace], given: Sequence[SeenFace]) -> list[SeenFace]:
    """What remains of somebody's faces when some are given to those who are hardly seen."""
    return [face for face in faces if not _among(face, given)]


def _among(face: SeenFace, others: Iterable[SeenFace]) -> bool:
    return any(_same(face, other) for other in others)


def _same(one: SeenFace, other: SeenFace) -> bool:
    return overlap(one.box_xyxy, other.box_xyxy) >= SAME_FACE
