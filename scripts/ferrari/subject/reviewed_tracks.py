"""What a person said of a clip's tracks: whose they are, where one has to be cut, and which of them
are one person. Pure arrays.

A track's number changes whenever a track before it is cut, so a decision finds its track by what is
in it: the digest of the ids of its detections in kept frames. A decision whose track is not there
as it was changes nothing. Of a track that was merged into another one it holds on: what was said of
the part is said of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ferrari.ledger.item_ids import frame_of
from ferrari.review.applying import track_digest
from ferrari.review.contract import IS_SUBJECT, MERGE_TRACKS, SPLIT_TRACK, Decision
from ferrari.subject.judgements import NOT_SUBJECT, SUBJECT
from ferrari.subject.mixed_tracks import renumbered
from ferrari.subject.sightings import Sightings


@dataclass(frozen=True)
class Reviewed:
    """The sightings with the tracks that a person cut or merged; `who` of tracks by number, for
    `who.decide`; `decisions`: by track, the ids of the rows that made it what it is.
    """

    seen: Sightings
    who: dict[int, str] = field(default_factory=dict)
    decisions: dict[int, tuple[str, ...]] = field(default_factory=dict)


def reviewed(cut: Sightings, items: Sequence[str], rows: Sequence[Decision]) -> Reviewed:
    """The decisions `rows` of a clip applied to its sightings, whose mixed tracks are cut already.

    `items`: (N,) ids of the detections, empty for those of the linking film. Cuts and merges come
    first, in the order in which they were decided: a piece of one may be cut or merged again.
    """
    about_who = (row for row in rows if row.decision not in (SPLIT_TRACK, MERGE_TRACKS))
    said = {row.target_sha256: row for row in about_who}
    tracks = _Tracks(cut, items)
    for row in rows:
        if row.decision == SPLIT_TRACK:
            tracks.split(row)
        elif row.decision == MERGE_TRACKS:
            tracks.merge(row, said)
    found = Reviewed(tracks.seen, {}, dict(tracks.by))
    for row in said.values():
        track = tracks.found(row.target_sha256)
        if track is not None:
            found.who[track] = SUBJECT if row.decision == IS_SUBJECT else NOT_SUBJECT
            found.decisions[track] = (*tracks.by.get(track, ()), row.id)
    return found


class _Tracks:
    """The sightings as they become; `by` holds by track the ids of the rows that made it."""

    def __init__(self, seen: Sightings, items: Sequence[str]) -> None:
        self.seen, self.by = seen, dict[int, tuple[str, ...]]()
        self._items = items
        self._parts: dict[str, np.ndarray] = {}  # digests of merged tracks: where they were

    def split(self, row: Decision) -> None:
        """Cut a track at a frame, unless nothing or all of it lies behind."""
        seen, track = self.seen, self._number(row.target_sha256)
        at = enumerate(self._items)
        where = [place for place, item in at if item and frame_of(item) == row.value]
        inside = [place for place in where if seen.track[place] == track]
        if track is None or not inside:
            return
        own = seen.track == track
        behind = own & (seen.time_s >= seen.time_s[inside[0]])
        if (behind == own).all():  # before its first detection: there is nothing to cut
            return
        self._change(seen.track, behind.astype(int), own, (*self.by.get(track, ()), row.id))

    def merge(self, row: Decision, said: Mapping[str, Decision]) -> None:
        """Make one track of two, unless a frame shows both, or a person said that the one is the
        subject and the other is not: then they are two. `said` is who tracks are, by digest.
        """
        digests = (row.target_sha256, row.other_track[1])
        one, other = (self.found(digest) for digest in digests)
        if one is None or other is None or one == other:
            return
        words = {told.decision for part, told in said.items() if self.found(part) in (one, other)}
        if len(words) > 1 or self._frames(one) & self._frames(other):
            return
        track = self.seen.track
        self._parts |= dict(zip(digests, (track == one, track == other), strict=True))
        both = (track == one) | (track == other)
        by = (*self.by.get(one, ()), *self.by.get(other, ()), row.id)
        self._change(np.where(both, min(one, other), track), np.zeros_like(track), both, by)

    def found(self, digest: str) -> int | None:
        """The number of the track with this digest, or of the one that it was merged into."""
        number = self._number(digest)
        if number is None and digest in self._parts:
            within = set(self.seen.track[self._parts[digest]].tolist())
            number = within.pop() if len(within) == 1 else None
        return number

    def _frames(self, track: int) -> set[str]:
        places = np.flatnonzero(self.seen.track == track).tolist()
        return {frame_of(self._items[place]) for place in places if self._items[place]}

    def _number(self, digest: str) -> int | None:
        for track in range(self.seen.tracks):
            places = np.flatnonzero(self.seen.track == track).tolist()
            own = [self._items[place] for place in places]
            if any(own) and track_digest(own) == digest:
                return track
        return None

    def _change(
        self, track: np.ndarray, piece: np.ndarray, touched: np.ndarray, by: tuple[str, ...]
    ) -> None:
        """Number the tracks anew; those `touched` are what the rows `by` made of them."""
        before = self.seen.track
        numbers = renumbered(track, piece, self.seen.time_s)
        pairs = sorted(set(zip(before.tolist(), numbers.tolist(), strict=True)))
        self.by = {new: self.by[old] for old, new in pairs if old in self.by}
        self.by |= {int(number): by for number in np.unique(numbers[touched])}
        self.seen = replace(self.seen, track=numbers)
