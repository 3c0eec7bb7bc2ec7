"""Sightings of one clip: its detections with their tracks and faces, as arrays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise

import numpy as np

from ferrari.images import boxes
from ferrari.subject.face_weights import USABLE
from ferrari.subject.linking import cover, held, overlaps

#: Share of a box that lies in another, or more: the smaller of two of one person, each of two
#: people's in one around both, and that one in what the two reach over together.
NESTED = 0.6
#: Moments in which the boxes of two tracks lie apart, or in which a body is seen, or more: once may
#: be a wrong box.
APART = 2
#: Seconds to the moment before or behind in which two people may be seen apart, at most.
NEXT_S = 0.35
#: Overlap (IoU) of two boxes in moments one after the other that are of one body, or more.
SAME_BODY = 0.6


@dataclass(frozen=True, eq=False)
class Linked:
    """All that was found in a clip, picture by picture in the order shown.

    `track`: (N,) int, `items`: N ids, empty for what the linking film shows. `time_s`: (N,) float,
    seconds that rise from picture to picture: where the clip's clock runs back, they go on.
    `clock_s`: (N,) float, what the clip's own clock says, for people to read.
    `looks`: (T, K) float32, of each track the mean of its detections' looks, of unit length.
    `boxes`: (N, 4) float32 x1, y1, x2, y2, all in px of pictures of one size.
    """

    track: np.ndarray
    time_s: np.ndarray
    clock_s: np.ndarray
    items: Sequence[str]
    looks: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Faces:
    """Faces that are bound to a detection, in any order.

    `embeddings`: (F, D) float32, unit length. `detection`: (F,) int, the place of each one's
    detection. `weights`: (F,) from `face_weights.face_weight`; `if_clear`: (F,) what these were if
    each face were clear, None: the same. `sides_px`: (F,) the short side of each; None where it is
    not known.
    """

    embeddings: np.ndarray
    detection: np.ndarray
    weights: np.ndarray
    sides_px: np.ndarray | None = None
    if_clear: np.ndarray | None = None


@dataclass(frozen=True)
class Sightings:
    """All detections of people in a clip, in any order, those of the linking pictures too.

    `track`: (N,) int, 0 to T - 1. `time_s`: (N,) float as that of `Linked`: detections of one frame
    have one time, and no other frame has it.
    `boxes`: (N, 4) as those of `Linked`; None where they are not known.
    """

    track: np.ndarray
    time_s: np.ndarray
    faces: Faces
    boxes: np.ndarray | None = None

    @property
    def tracks(self) -> int:
        """How many tracks there are."""
        return int(self.track.max()) + 1 if len(self.track) else 0

    def times(self, track: int) -> np.ndarray:
        """When a track is seen, ascending (s)."""
        return np.sort(self.time_s[self.track == track])

    def at_once(self) -> np.ndarray:
        """(T, T) bool: tracks that share a moment: two people, or a person and a mirror."""
        return at_once(self.track.tolist(), self.time_s.tolist(), self.tracks)

    def faces_at_once(self) -> np.ndarray:
        """(T, T) bool: tracks that show a face each at one moment.

        Two people, or one and a mirror: a detector that gives one person two boxes gives them one
        face in each frame.
        """
        of = self.faces.detection
        return at_once(self.track[of].tolist(), self.time_s[of].tolist(), self.tracks)

    def bodies_at_once(self, among: Sequence[int]) -> np.ndarray:
        """(T, T) bool: tracks of `among` that are two bodies, or a body and its image.

        They show a face each at one moment, or their boxes lie apart in APART moments or more. Of
        two boxes that a detector gives one person, the one lies in the other.
        """
        found = self.faces_at_once()
        if self.boxes is None:
            return found
        chosen = np.zeros(self.tracks, bool)
        chosen[list(among)] = True
        together_ = self.at_once() & chosen & chosen[:, None] & ~found
        for one, other in np.argwhere(np.triu(together_)).tolist():
            found[one, other] = found[other, one] = self._apart(one, other) >= APART
        return found

    def _apart(self, one: int, other: int) -> int:
        """In how many moments the boxes of two tracks lie apart."""
        assert self.boxes is not None
        first, second = np.flatnonzero(self.track == one), np.flatnonzero(self.track == other)
        _, at, there = np.intersect1d(self.time_s[first], self.time_s[second], return_indices=True)
        pairs = zip(self.boxes[first[at]], self.boxes[second[there]], strict=True)
        return sum(not _nested(mine, theirs) for mine, theirs in pairs)

    def moments_together(self) -> np.ndarray:
        """(T, T) int: how many moments two tracks share."""
        return together(self.track.tolist(), self.time_s.tolist(), self.tracks)

    @cached_property
    def crowded(self) -> np.ndarray:
        """(N,) bool: detections with two faces or more that can be judged.

        A box around two people that each have a box and a face of their own is one too: a face is
        given to the box that fits it best, so none of the two is left for the larger box. And so is
        a box that holds two bodies of the moment before or behind: who crosses in front of somebody
        may hide the other's face.
        """
        judged = self.faces.detection[self.faces.weights >= USABLE]
        faces = np.bincount(judged, minlength=len(self.track))
        return (faces > 1) | self._around_two(faces > 0) | self._of_two_bodies()

    def _around_two(self, with_face: np.ndarray) -> np.ndarray:
        """(N,) bool: boxes without a face that two or more boxes with one fill between them."""
        found = np.zeros(len(self.track), bool)
        if self.boxes is None:
            return found
        inside: dict[float, list[np.ndarray]] = defaultdict(list)
        for place in np.flatnonzero(with_face).tolist():
            inside[self.time_s[place]].append(self.boxes[place])
        for place in np.flatnonzero(~with_face).tolist():
            known = inside.get(self.time_s[place], ())
            if len(known) > 1:
                found[place] = _filled_by(self.boxes[place], known)
        return found

    def _of_two_bodies(self) -> np.ndarray:
        """(N,) bool: boxes that two of the moment before or behind fill, which lie apart, and
        neither of whom has another box now.

        Only boxes that go on no track: who is there before and behind is no two people, whoever
        stands at the place after a cut.
        """
        found = np.zeros(len(self.track), bool)
        if self.boxes is None:
            return found
        boxes_, lasts = self.boxes.astype(float), np.bincount(self.track)[self.track] >= APART
        order = np.argsort(self.time_s, kind="stable")
        times, begins = np.unique(self.time_s[order], return_index=True)
        moments = np.split(order, begins[1:])
        near = np.diff(times) <= NEXT_S
        for (one, other), soon in zip(pairwise(moments), near.tolist(), strict=True):
            for here, there in ((one, other), (other, one)) if soon else ():
                bodies = there[lasts[there]]
                if len(bodies) > 1:
                    found[here] |= _of_two(boxes_[here], boxes_[bodies])
        return found & ~lasts

    def deciding(self) -> np.ndarray:
        """(F,) bool: faces that can be judged and have their detection to themselves."""
        return (self.faces.weights >= USABLE) & ~self.crowded[self.faces.detection]


def _nested(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether most of the smaller of two boxes lies in the other."""
    mine, theirs = tuple(one.tolist()), tuple(other.tolist())
    return boxes.shared(mine, theirs) >= NESTED * min(boxes.area(mine), boxes.area(theirs))


def _of_two(boxes_: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """(M,) bool: which of a moment's (M, 4) boxes two of the (N, 4) bodies of another fill, which
    lie apart, and neither of which goes on in another box.
    """
    found, inside = np.zeros(len(boxes_), bool), held(bodies, boxes_) >= NESTED
    several = np.flatnonzero(inside.sum(axis=0) > 1).tolist()
    if not several:  # as nearly always
        return found
    apart, goes_on = cover(bodies, bodies) < NESTED, overlaps(bodies, boxes_) >= SAME_BODY
    for place in several:
        elsewhere = np.delete(goes_on, place, axis=1).any(axis=1)
        pairs = combinations(np.flatnonzero(inside[:, place] & ~elsewhere).tolist(), 2)
        found[place] = any(
            apart[one, other] and _hull_fills(boxes_[place], bodies[[one, other]])
            for one, other in pairs
        )
    return found


def _filled_by(box: np.ndarray, others: Iterable[np.ndarray]) -> bool:
    """Whether two of `others` or more lie in a box, and reach over most of it together."""
    mine = tuple(box.tolist())
    pairs = ((tuple(other.tolist()), other) for other in others)
    inside = [other for one, other in pairs if boxes.shared(mine, one) >= NESTED * boxes.area(one)]
    if len(inside) < 2:
        return False
    return _hull_fills(box, np.array(inside))


def _hull_fills(box: np.ndarray, corners: np.ndarray) -> bool:
    """Whether what (N, 4) boxes reach over together is most of a box."""
    mine = tuple(box.tolist())
    hull = (*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    return boxes.shared(mine, hull) >= NESTED * boxes.area(mine)


def at_once(tracks: Iterable[int], moments: Iterable[Hashable], count: int) -> np.ndarray:
    """(count, count) bool: which of `count` tracks share a moment; no track does with itself."""
    return together(tracks, moments, count) > 0


def together(tracks: Iterable[int], moments: Iterable[Hashable], count: int) -> np.ndarray:
    """(count, count) int: how many moments two of `count` tracks share; 0 with itself."""
    there: dict[Hashable, set[int]] = defaultdict(set)
    for track, moment in zip(tracks, moments, strict=True):
        there[moment].add(track)
    found = np.zeros((count, count), int)
    groups: dict[tuple[int, ...], int] = defaultdict(int)
    for group in there.values():
        groups[tuple(sorted(group))] += 1
    for alike, times in groups.items():
        found[np.ix_(alike, alike)] += times
    np.fill_diagonal(found, 0)
    return found


def gaps(times_s: np.ndarray, to_s: np.ndarray) -> np.ndarray:
    """(N,) seconds from each time to the nearest of `to_s` (ascending, not empty)."""
    right = np.searchsorted(to_s, times_s).clip(0, len(to_s) - 1)
    left = (right - 1).clip(0)
    return np.minimum(np.abs(to_s[right] - times_s), np.abs(to_s[left] - times_s))
