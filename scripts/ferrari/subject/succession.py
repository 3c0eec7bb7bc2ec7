"""Whether one track continues where another ended: same place, soon after, nobody else near.

A track ends where it is in doubt: the person turns away and looks otherwise, or the detector loses
them for a second. Whoever is at the very place a moment later, while nobody else was near it, is
most likely the same; clothes have to say less than they do elsewhere. Pure arrays.
"""

from __future__ import annotations

import numpy as np

from ferrari.subject.linking import cover, overlaps
from ferrari.subject.sightings import Sightings

#: Seconds between the last moment of the one and the first of the other, at most.
SOON_S = 1.5
#: Overlap (IoU) of the two boxes there, or more.
SAME_PLACE = 0.6
#: Share of a box that lies in another from which that one is near.
NEAR = 0.1
#: For so long before and after nobody else is near: who hid behind somebody may come out instead.
ALONE_S = 2.5


def goes_on(seen: Sightings, one: int, other: int) -> bool:
    """Whether the later of two tracks stands where the earlier did, and nobody else is near."""
    if seen.boxes is None:
        return False
    first, second = (np.flatnonzero(seen.track == track) for track in (one, other))
    if seen.time_s[first].min() > seen.time_s[second].min():
        first, second = second, first
    last = first[int(seen.time_s[first].argmax())]
    next_ = second[int(seen.time_s[second].argmin())]
    begin_s, end_s = seen.time_s[last], seen.time_s[next_]
    if not 0 < end_s - begin_s <= SOON_S:
        return False
    ends = seen.boxes[[last, next_]].astype(float)
    if overlaps(ends[:1], ends[1:])[0, 0] < SAME_PLACE:
        return False
    between = (seen.time_s >= begin_s - ALONE_S) & (seen.time_s <= end_s + ALONE_S)
    between &= (seen.track != one) & (seen.track != other)
    return not (cover(ends, seen.boxes[between].astype(float)) >= NEAR).any()
