"""What a person said of a clip's tracks: whose they are, and where one has to be cut. Pure arrays.

A track's number changes whenever a track before it is cut, so a decision finds its track by what is
in it: the digest of the ids of its detections in kept frames. A decision whose track is not there
as it was changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ferrari.ledger.item_ids import frame_of
from ferrari.review.applying import track_digest
from ferrari.review.contract import IS_SUBJECT, SPLIT_TRACK, Decision
from ferrari.subject.judgements import NOT_SUBJECT, SUBJECT
from ferrari.subject.mixed_tracks import renumbered
from ferrari.subject.sightings import Sightings


@dataclass(frozen=True)
class Reviewed:
    """The sightings with the tracks that a person cut; `who` of tracks by number, for `who.decide`;
    `decisions`: by track, the ids of the rows that made it what it is.
    """

    seen: Sightings
    who: dict[int, str] = field(default_factory=dict)
    decisions: dict[int, tuple[str, ...]] = field(default_factory=dict)


def reviewed(cut: Sightings, items: Sequence[str], rows: Sequence[Decision]) -> Reviewed:
    """The decisions `rows` of a clip applied to its sightings, whose mixed tracks are cut already.

    `items`: (N,) ids of the detections, empty for those of the linking film. Cuts come first, in
    the order in which they were decided: a piece of one may be cut again.
    """
    seen, cuts = cut, dict[int, tuple[str, ...]]()
    for row in (row for row in rows if row.decision == SPLIT_TRACK):
        track = _found(seen, items, row.target_sha256)
        where = [place for place, item in enumerate(items) if item and frame_of(item) == row.value]
        inside = [place for place in where if seen.track[place] == track]
        if track is None or not inside:
            continue
        own = seen.track == track
        behind = own & (seen.time_s >= seen.time_s[inside[0]])
        if (behind == own).all():  # before its first detection: there is nothing to cut
            continue
        by = (*cuts.get(track, ()), row.id)
        numbers = renumbered(seen.track, behind.astype(int), seen.time_s)
        cuts = _moved(cuts, seen.track, numbers)
        cuts |= {int(number): by for number in np.unique(numbers[own])}
        seen = replace(seen, track=numbers)
    found = Reviewed(seen, {}, cuts)
    for row in (row for row in rows if row.decision != SPLIT_TRACK):
        track = _found(seen, items, row.target_sha256)
        if track is not None:
            found.who[track] = SUBJECT if row.decision == IS_SUBJECT else NOT_SUBJECT
            found.decisions[track] = (*found.decisions.get(track, ()), row.id)
    return found


def _found(seen: Sightings, items: Sequence[str], digest: str) -> int | None:
    """The number of the track with this digest."""
    for track in range(seen.tracks):
        own = [items[place] for place in np.flatnonzero(seen.track == track).tolist()]
        if any(own) and track_digest(own) == digest:
            return track
    return None


def _moved(
    cuts: dict[int, tuple[str, ...]], before: np.ndarray, after: np.ndarray
) -> dict[int, tuple[str, ...]]:
    """`cuts` under the new numbers of the tracks."""
    pairs = sorted(set(zip(before.tolist(), after.tolist(), strict=True)))
    return {new: cuts[old] for old, new in pairs if old in cuts}
