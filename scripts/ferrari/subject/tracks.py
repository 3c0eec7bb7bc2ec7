"""Link the detections of a clip's moments to tracks: one person each. Pure arrays.

Cut, never stretch: a track that mixes two people is the worst fault, a person in several tracks
costs little. So a track ends, and what comes after it is a new one, where

- the shot changes, or nobody is found at its place for longer than `gap_s`;
- the looks change from one moment to the next (`looks`), or the box grows or shrinks at once: a
  detector that gives one box for two people, or ceases to (`size`);
- another link would be nearly as good, whether people go on as they went or stand still: two who
  cross may as well have turned round (`overlap`);
- somebody went out of sight in touch with the person, or came out from behind, and looks do not say
  which of the two goes on (`overlap`).

The ideas: two passes by confidence from ByteTrack (Zhang et al. 2022), speeds from what was seen
and not from a filter's state from OC-SORT (Cao et al. 2023), widened boxes from C-BIoU (Yang et al.
2023). None of them ends a track where it is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ferrari.subject import doubts
from ferrari.subject.assignment import best_pairs
from ferrari.subject.linking import Evidence, Follower, Linking, cover, gather

CUT, OVERLAP, SIZE, LOOKS, GAP, END = "cut", "overlap", "size", "looks", "gap", "end"
#: Why tracks end: the first word is the shot's change, the last the clip's end.
ENDS = (CUT, OVERLAP, SIZE, LOOKS, GAP, END)


@dataclass(frozen=True)
class Moment:
    """All detections at one time of a clip; times ascend (film time, see `sightings.Linked`).

    `boxes_xyxy` (N, 4) float32 are pixels of one size for the whole clip, `confidences` (N,)
    float32, `looks` (N, D) float32 of `appearance.descriptors`. `cut`: a change of shot lies
    between the moment before and this one.
    """

    time_s: float
    boxes_xyxy: np.ndarray
    confidences: np.ndarray
    looks: np.ndarray
    cut: bool


@dataclass(frozen=True)
class Track:
    """One person in a row of moments.

    `number` counts from 0, by first appearance, then confidence. `places` are (moment, detection),
    at most one a moment, ascending. `ended_by` is one of ENDS.
    """

    number: int
    places: tuple[tuple[int, int], ...]
    ended_by: str


def link(moments: Iterable[Moment], settings: Linking | None = None) -> list[Track]:
    """The tracks of a clip, by number; each detection is in exactly one.

    In which order a moment's detections come does not matter. Raises ValueError if times do not
    ascend, or a moment's arrays have not one row a detection.
    """
    linker = _Linker(settings or Linking())
    for number, moment in enumerate(moments):
        linker.take(number, moment)
    return linker.tracks()


class _Seen:
    """A moment's detections, the most confident first."""

    def __init__(self, number: int, moment: Moment) -> None:
        boxes, looks = np.asarray(moment.boxes_xyxy, float), np.asarray(moment.looks, float)
        count = len(moment.confidences)
        if len(boxes) != count or len(looks) != count:
            raise ValueError(
                f"moment {number} ({moment.time_s} s) has {count} confidences, {len(boxes)} boxes "
                f"and {len(looks)} looks: each detection needs one of each"
            )

        def key(at: int) -> tuple:
            return -float(moment.confidences[at]), *boxes[at].tolist(), looks[at].tobytes()

        self.order = sorted(range(count), key=key)
        self.places = [(number, at) for at in self.order]
        self.confidences = np.asarray(moment.confidences, float)[self.order]
        self.boxes, self.looks = boxes.reshape(-1, 4)[self.order], looks[self.order]
        touch = cover(self.boxes, self.boxes)
        np.fill_diagonal(touch, 0)
        self.touch = touch.max(axis=1, initial=0.0)


class _Linker:
    """The tracks so far: those that may go on, and those that have ended."""

    def __init__(self, settings: Linking) -> None:
        self.settings = settings
        self.open: list[Follower] = []
        #: Who went out of sight in touch with somebody, not long ago.
        self.gone: list[Follower] = []
        self.ended: list[tuple[int, list[tuple[int, int]], str]] = []
        self.begun = 0
        self.time_s = -np.inf

    def take(self, number: int, moment: Moment) -> None:
        """Link one moment's detections."""
        if not moment.time_s > self.time_s:
            raise ValueError(f"moment {number} is at {moment.time_s} s, after {self.time_s} s")
        self.time_s, settings = moment.time_s, self.settings
        seen = _Seen(number, moment)
        if moment.cut:
            self._end({at: CUT for at in range(len(self.open))})
            self.gone = []
        waited = [moment.time_s - one.times[-1] for one in self.open]
        self._end({at: GAP for at, wait in enumerate(waited) if wait > settings.gap_s})
        evidence = gather(self.open, moment.time_s, seen.boxes, seen.looks, settings)
        links = assign(evidence, seen.confidences, settings.sure_confidence)
        gone, doubtful = doubts.gone_behind(
            self.open, links, moment.time_s, seen.boxes, seen.looks, settings
        )
        doubtful |= gone | doubts.nearly_as_good(evidence, links, settings.clear_by)
        doubtful |= doubts.come_out(self.open, links, seen.boxes, seen.looks, settings)
        doubtful |= self._may_be_back(seen, evidence, links)
        ends = _changed(evidence, links) | dict.fromkeys(doubtful, OVERLAP)
        self.gone += [self.open[at] for at in sorted(gone)]
        self._go_on(seen, {at: one for at, one in links.items() if at not in ends})
        self._end(ends)

    def _may_be_back(self, seen: _Seen, evidence: Evidence, links: dict[int, int]) -> set[int]:
        """The tracks whose detection may as well be somebody who went out of sight.

        Whoever begins a track beside them is back.
        """
        since = self.time_s - self.settings.hidden_s
        self.gone = [one for one in self.gone if one.times[-1] >= since]
        hidden = gather(self.gone, self.time_s, seen.boxes, seen.looks, self.settings)
        new = sorted(set(range(len(seen.places))) - set(links.values()))
        back = doubts.back(hidden, new)
        self.gone = [one for at, one in enumerate(self.gone) if at not in back]
        return doubts.may_be_others(evidence, links, hidden, self.settings.clear_by)

    def _go_on(self, seen: _Seen, links: dict[int, int]) -> None:
        """Take the linked detections in, and begin a track with each of the others."""
        touching = seen.touch >= self.settings.touch
        for at, one in links.items():
            self.open[at].go_on(
                seen.places[one], self.time_s, seen.boxes[one], seen.looks[one], bool(touching[one])
            )
        for one in sorted(set(range(len(seen.places))) - set(links.values())):
            self.open.append(
                Follower(
                    self.begun,
                    [seen.places[one]],
                    [seen.boxes[one]],
                    [self.time_s],
                    seen.looks[one],
                    alone=not touching[one],
                    touching=bool(touching[one]),
                )
            )
            self.begun += 1

    def _end(self, ends: dict[int, str]) -> None:
        self.ended += [(self.open[at].number, self.open[at].places, ends[at]) for at in ends]
        self.open = [one for at, one in enumerate(self.open) if at not in ends]

    def tracks(self) -> list[Track]:
        """All of them, by number."""
        self._end({at: END for at in range(len(self.open))})
        return [Track(n, tuple(places), why) for n, places, why in sorted(self.ended)]


def _changed(evidence: Evidence, links: dict[int, int]) -> dict[int, str]:
    """The tracks at whose place is somebody, but nobody who can go on it; and why not."""
    left = [at for at, near in enumerate(evidence.near) if near.any() and at not in links]
    return {at: LOOKS if evidence.same_size[at].any() else SIZE for at in left}


def assign(evidence: Evidence, confidences: np.ndarray, sure: float) -> dict[int, int]:
    """A detection for each track that one goes on: the best sum of place and looks.

    First among detections from `sure` confidence on, then the rest for the tracks that are left.
    """
    gains = np.where(evidence.possible, evidence.still + evidence.moved, 0.0)
    links: dict[int, int] = {}
    for columns in (np.flatnonzero(confidences >= sure), np.flatnonzero(confidences < sure)):
        rows = np.array([at for at in range(len(gains)) if at not in links], int)
        for row, column in best_pairs(gains[np.ix_(rows, columns)]):
            links[int(rows[row])] = int(columns[column])
    return links
