"""What a drawn frame's truth says of each figure (`PersonTruth`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tests.generator.spec import FigureSpec, PersonTruth, view_of

Face = tuple[tuple[float, float, float, float], np.ndarray]


@dataclass(frozen=True)
class Seen:
    """How a figure was drawn: its yaw in radians, and its face's box and landmarks in pixels of
    the frame, or None where it is turned away or has no identity.
    """

    yaw: float
    face: Face | None = None


def person_truth(
    index: int,
    figure: FigureSpec,
    seen: Seen,
    whole_u8: np.ndarray,
    visible_u8: np.ndarray,
    box_xyxy: tuple[int, int, int, int],
) -> PersonTruth:
    """The truth of figure `index`; `whole_u8` is its mask, `visible_u8` what is left of that."""
    yaw_deg = (float(np.degrees(seen.yaw)) + 180) % 360 - 180
    box, landmarks = seen.face or (None, None)
    return PersonTruth(
        figure=index,
        identity=figure.identity,
        shown=figure.shown,
        yaw_deg=yaw_deg,
        view=view_of(yaw_deg),
        alpha_u8=visible_u8,
        box_xyxy=box_xyxy,
        visible_share=float(visible_u8.sum(dtype=float) / max(1.0, whole_u8.sum(dtype=float))),
        face_xyxy=box,
        landmarks_xy=landmarks,
    )


def covered(people: Sequence[PersonTruth], whole: Sequence[np.ndarray]) -> list[PersonTruth]:
    """The people with their `face_share`; `whole` are the masks of all figures, far to near."""
    found = []
    for person in people:
        share = 0.0
        if person.face_xyxy is not None:
            share = _free(person.face_xyxy, person, whole[person.figure + 1 :])
        found.append(replace(person, face_share=share))
    return found


def _free(box, person: PersonTruth, nearer: Sequence[np.ndarray]) -> float:
    x1, y1, x2, y2 = (round(edge) for edge in box)
    part = np.s_[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)]
    free = np.ones_like(person.alpha_u8[part], bool)
    for mask in nearer:
        free &= mask[part] < 128
    return float(free.sum() / max(1, (x2 - x1) * (y2 - y1)))
