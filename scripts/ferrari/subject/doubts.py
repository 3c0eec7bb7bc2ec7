"""Where a link between a track and a detection is in doubt. Pure arrays.

`links` are the tracks' places in the list of those that may go on, each with its detection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ferrari.subject.appearance import similarity
from ferrari.subject.linking import Evidence, Follower, Linking, cover

#: How many of those who have hidden behind a person are remembered.
_REMEMBERED = 8
#: Boxes are widened by this share of their sides where somebody may have come out from behind.
_COMING_OUT = 0.25


def nearly_as_good(evidence: Evidence, links: Mapping[int, int], clear_by: float) -> set[int]:
    """The tracks whose link has an alternative that is better, or worse by less than `clear_by`.

    Alternatives are: two tracks change their detections; one of them takes the other's, which takes
    none; a track takes a detection that is left. Each is asked twice, with people who stand still
    and who go on as they went: both must speak for the link. Looks that changed rule no alternative
    out, for whoever is half hidden looks like the one in front.
    """
    left = np.ones(evidence.possible.shape[1], bool)
    left[list(links.values())] = False
    found: set[int] = set()
    for gains in (evidence.still, evidence.moved):
        for track, detection in links.items():
            own = gains[track, detection]
            if (own - gains[track, left & evidence.near[track]] < clear_by).any():
                found.add(track)
            for other in np.flatnonzero(evidence.near[:, detection]).tolist():
                theirs = links.get(other)
                both, swapped = own, gains[other, detection]
                if theirs is not None:
                    both, swapped = both + gains[other, theirs], swapped + gains[track, theirs]
                if other != track and both - swapped < clear_by:
                    found |= {track, other}
    return found


def gone_behind(
    tracks: Sequence[Follower],
    links: Mapping[int, int],
    time_s: float,
    boxes: np.ndarray,
    looks: np.ndarray,
    settings: Linking,
) -> tuple[set[int], set[int]]:
    """The tracks that went out of sight in touch with somebody, and those that may be them now.

    Of the others in touch, those whose looks tell them from who has gone remember the looks.
    """
    gone, doubtful = set(), set()
    for at, track in enumerate(tracks):
        if at in links:
            continue
        where = np.stack([track.boxes[-1], track.expected(time_s)])
        met = cover(where, boxes).max(axis=0) >= settings.touch
        near = {t for t, detection in links.items() if met[detection]}
        if near or track.touching:
            gone.add(at)
        for other in near:
            look = looks[links[other]]
            if _like(look, tracks[other].looks) - _like(look, track.looks) < settings.looks_apart:
                doubtful.add(other)
            else:
                tracks[other].hidden = [*tracks[other].hidden, track.looks][-_REMEMBERED:]
    return gone, doubtful


def come_out(
    tracks: Sequence[Follower],
    links: Mapping[int, int],
    boxes: np.ndarray,
    looks: np.ndarray,
    settings: Linking,
) -> set[int]:
    """The tracks beside whose box a new one appears that may be them as well.

    Whoever comes out from behind somebody may have changed places there.
    """
    doubtful = set()
    new = [at for at in range(len(boxes)) if at not in set(links.values())]
    close = cover(boxes, boxes, _COMING_OUT) >= settings.touch
    for at, detection in links.items():
        beside = [other for other in new if close[detection, other]]
        if not beside:
            continue
        own = _like(looks[detection], tracks[at].looks)
        others = [_like(looks[other], tracks[at].looks) for other in beside]
        others += [_like(looks[detection], look) for look in tracks[at].hidden]
        if own - max(others) < settings.looks_apart:
            doubtful.add(at)
    return doubtful


def may_be_others(
    evidence: Evidence, links: Mapping[int, int], hidden: Evidence, clear_by: float
) -> set[int]:
    """The tracks whose detection is nearly as good for one of those who are `hidden`."""
    found = set()
    for own, others in ((evidence.still, hidden.still), (evidence.moved, hidden.moved)):
        for track, detection in links.items():
            near = others[hidden.near[:, detection], detection]
            if (own[track, detection] - near < clear_by).any():
                found.add(track)
    return found


def back(hidden: Evidence, new: Sequence[int]) -> set[int]:
    """Of those who are hidden, the likeliest one for each new detection that is near any."""
    gains = hidden.still + hidden.moved
    found: set[int] = set()
    for detection in new:
        near = [at for at in np.flatnonzero(hidden.near[:, detection]) if at not in found]
        if near:
            found.add(int(max(near, key=lambda at: gains[at, detection])))
    return found


def _like(one: np.ndarray, other: np.ndarray) -> float:
    return float(similarity(one[None], other[None])[0, 0])
