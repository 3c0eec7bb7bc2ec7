"""Two tracks with the subject's face at the same time: which is the person? Pure arrays.

A plane mirror shows what lies as far behind it as the person stands before it, so the way from the
reflection to the camera is never shorter than that from the person: of two faces that are one
person's, the reflection's is the smaller. A reflection also moves whenever the person does, to the
same side or to the other, as the mirror hangs. A picture on a wall does not, and somebody who looks
like the subject is not as like as the same face, seen twice in one frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ferrari.subject.sightings import Sightings
from ferrari.subject.similarity import similarities

#: Moments in which both tracks show a face that can be judged, or more.
FACES = 3
#: How like the faces of both are on the average, or more: one person's, not two alike.
SAME = 0.55
#: How many times as large the person's face is in each of those moments, or more.
LARGER = 1.10
#: Correlation, either way, of where both are from left to right, or more; over so many moments.
TOGETHER, MOMENTS = 0.80, 6
#: How far both go, or more, in widths of their own boxes: of who stands still nothing can be told.
MOVES = 0.10


def told(seen: Sightings, rivals: Mapping[int, Sequence[int]]) -> tuple[set[int], set[int]]:
    """Which tracks are the person, and which are reflections of theirs.

    `rivals` are, of each track with the subject's face, the others with it at the same time. They
    are held against it together: a reflection that was lost for a moment is several tracks. A piece
    too short to be held against anything is what its rivals make of it.
    """
    alone = {one: _is_person(seen, one, others) for one, others in rivals.items()}
    people = {one for one in rivals if alone[one] or _all(alone, rivals[one], False)}
    reflected = {one for one in rivals if alone[one] is False or _all(alone, rivals[one], True)}
    doubtful = {one for one in people if people & set(rivals[one])} | (people & reflected)
    return people - doubtful, reflected - doubtful


def _all(alone: Mapping[int, bool | None], rivals: Sequence[int], wanted: bool) -> bool:
    return all(alone[other] is wanted for other in rivals)


def _is_person(seen: Sightings, one: int, others: Sequence[int]) -> bool | None:
    """Whether a track is the person and `others` are their reflection; False: the other way."""
    if seen.boxes is None or seen.faces.sides_px is None:
        return None
    if seen.at_once()[np.ix_(others, others)].any():
        return None
    own, theirs = _faces_together(seen, one, others)
    if len(own) < FACES or not _moves_along(seen, one, others):
        return None
    embeddings = seen.faces.embeddings
    if similarities(embeddings[own], embeddings[theirs]).mean() < SAME:
        return None
    ratios = seen.faces.sides_px[own] / np.maximum(seen.faces.sides_px[theirs], 1e-9)
    if (ratios >= LARGER).all():
        return True
    return False if (ratios <= 1 / LARGER).all() else None


def _faces_together(
    seen: Sightings, one: int, others: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Places of the faces that can be judged, in the moments that show one of both."""
    places = np.flatnonzero(seen.deciding())
    of = seen.faces.detection[places]
    mine, theirs = (places[np.isin(seen.track[of], some)] for some in ([one], others))
    times = [seen.time_s[seen.faces.detection[some]] for some in (mine, theirs)]
    _, at, there = np.intersect1d(*times, return_indices=True)
    return mine[at], theirs[there]


def _moves_along(seen: Sightings, one: int, others: Sequence[int]) -> bool:
    """Whether both move, and the one whenever the other does."""
    assert seen.boxes is not None
    first, second = (np.flatnonzero(np.isin(seen.track, some)) for some in ([one], others))
    _, at, there = np.intersect1d(seen.time_s[first], seen.time_s[second], return_indices=True)
    boxes = [seen.boxes[first[at]].astype(float), seen.boxes[second[there]].astype(float)]
    if len(at) < MOMENTS:
        return False
    middles = [(some[:, 0] + some[:, 2]) / 2 for some in boxes]
    widths = [max(float(np.median(some[:, 2] - some[:, 0])), 1e-9) for some in boxes]
    if any(np.ptp(x) < MOVES * wide for x, wide in zip(middles, widths, strict=True)):
        return False
    return abs(round(float(np.corrcoef(*middles)[0, 1]), 6)) >= TOGETHER
