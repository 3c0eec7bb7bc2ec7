"""Boxes below the detector's threshold that lie within somebody's box: who may be beside them.

Whom a person hides all but the head of, the detector hardly sees: with a confidence of 0.2, where
0.35 count. Such a box names nobody, and gets no row. But it says that the box of the person in
front may hold somebody else too, which the mask has to know. Around people who are alone the
detector gives next to none of them. Pure arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ferrari.images import boxes
from ferrari.images.boxes import Box, Detection

#: Confidence from which on a box is a hint; below, boxes lie at the rim of somebody's hair.
_HINTS = 0.15
#: So much of it lies in the person's box and no more in anybody else's, who is known to be there.
_WITHIN = 0.5
#: It is as large as this share of the person's box at least: a bag, a hand or a poster is smaller.
_LARGE = 0.15
#: A box that overlaps somebody's so much is theirs once more; so is one in its middle, as that of
#: head and shoulders is: its centre is this share of their width aside at least.
_THEIRS, _ASIDE = 0.5, 0.1


def within(people: Sequence[Box], found: Iterable[Detection], least: float) -> list[list[Box]]:
    """For each of the `people`, the boxes of who may be in theirs too: of all that was `found` in
    the frame, those below the confidence `least`.
    """
    hints: list[list[Box]] = [[] for _ in people]
    for one in found:
        box = one.box_xyxy
        if not _HINTS <= one.confidence < least or not boxes.area(box):
            continue
        if any(boxes.overlap(box, known) >= _THEIRS for known in people):
            continue
        holders = [n for n, own in enumerate(people) if _share(box, own) >= _WITHIN]
        if len(holders) == 1 and _is_somebody_else(box, people[holders[0]]):
            hints[holders[0]].append(box)
    return hints


def without(hints: Iterable[Box], found: Sequence[Box]) -> list[Box]:
    """The hints for somebody's box that are left once more people are `found`: no box of theirs,
    nor within one.
    """
    return [box for box in hints if not any(_is_of(box, known) for known in found)]


def _is_of(box: Box, known: Box) -> bool:
    return boxes.overlap(box, known) >= _THEIRS or _share(box, known) >= _WITHIN


def _is_somebody_else(box: Box, own: Box) -> bool:
    """Whether a box within somebody's `own` is no part of them."""
    aside = abs(box[0] + box[2] - own[0] - own[2]) / 2
    return boxes.area(box) >= _LARGE * boxes.area(own) and aside >= _ASIDE * (own[2] - own[0])


def _share(box: Box, own: Box) -> float:
    return boxes.shared(box, own) / boxes.area(box)


def told(hints: Iterable[Box]) -> str:
    """The boxes as a table's cell: x1 y1 x2 y2 in the frame's pixels, `;` between two boxes."""
    return ";".join(" ".join(f"{corner:.1f}" for corner in box) for box in hints)


def read(cell: str) -> list[Box]:
    """The boxes of a cell that `told` wrote."""
    found = []
    for one in filter(None, cell.split(";")):
        x1, y1, x2, y2 = map(float, one.split())
        found.append((x1, y1, x2, y2))
    return found
