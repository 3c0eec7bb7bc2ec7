"""Tracking over a clip: the detections of its pictures, in order, linked to tracks.

The pictures are the kept frames and those of the linking film, in the order shown; to tracks both
are moments. Only boxes, looks and times are held of them. Where a track says that somebody is in a
kept frame and nobody was found, a second look may be taken (`second_look`); what it finds is linked
as all else is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Protocol

import cv2
import numpy as np

from ferrari.images import boxes, subject_choice
from ferrari.images.boxes import Detection
from ferrari.subject import appearance, clip_table, consistency, second_look, shot_cuts
from ferrari.subject.consistency import Consistency
from ferrari.subject.second_look import Found, LookAgain
from ferrari.subject.sightings import Linked
from ferrari.subject.track_table import TrackRow
from ferrari.subject.tracks import Moment, Track, link

#: Longer side of what people are compared in, px, as in the linking film.
SIDE = 640
#: Seconds that a clip's clock runs back where it stumbles, at most. From more on it was set anew:
#: two recordings in one file.
_STUMBLES_S = 1.0
#: Between two pictures of which the second is not later, in seconds: where the clock stumbles, and
#: where it was set anew. How long lies between two recordings nobody knows; it is longer than
#: anything may be concluded over.
_AFTER_S, _APART_S = 0.001, 24 * 3600.0


@dataclass(frozen=True)
class Sight:
    """What is found in a picture (HxWx3 uint8 RGB, of any size) of a clip, in its pixels.

    `time_s` is what the clip's own clock says, which may run back from one picture to the next.
    `items` are the detections' ids in the same order; None for a picture of the linking film.
    """

    time_s: float
    picture_rgb: np.ndarray
    found: Sequence[Detection]
    items: Sequence[str] | None = None


class Again(LookAgain, Protocol):
    """What a second look needs of a clip, and who is told what it found."""

    def taken(self, number: int, found: Sequence[Detection]) -> list[str]:
        """The items of what the second look found in a picture; none if it cannot be taken in."""


@dataclass(frozen=True)
class Followed:
    """The tracks of a clip: each kept detection's by its item, the rows of their table, and what
    they were linked from.
    """

    track_of: Mapping[str, int]
    clip: TrackRow
    tracks: Sequence[TrackRow]
    linked: Linked

    def cells_of(self, row: Mapping) -> dict[str, object]:
        """What the row of a detection, by its `item`, says of its track; empty cells of none."""
        number = self.track_of.get(str(row["item"]))
        if number is None:
            return dict.fromkeys(("track", "track_area", "track_off_centre"), "")
        known = clip_table.cells(self.tracks[number])
        told = {"track_area": known["area"], "track_off_centre": known["off_centre"]}
        return {"track": number, **told}


def follow(sights: Iterable[Sight], again: Again | None = None) -> Followed:
    """Link what is found, in the order shown; take a second look where `again` lets it."""
    seen = _Seen()
    cuts = shot_cuts.cuts(seen.pictures(sights))
    moments = seen.moments(cuts)
    tracks = link(moments)
    if again is not None and seen.look_again(again, moments, tracks):
        moments = seen.moments(cuts)
        tracks = link(moments)
    scores = [_score(track, moments) for track in tracks]
    rows = [seen.row(track, score) for track, score in zip(tracks, scores, strict=True)]
    clip = seen.clip_row(consistency.of_clip(scores))
    return Followed(seen.track_of(tracks), clip, rows, seen.linked(tracks))


class _Seen:
    """The sights so far, without their pictures."""

    def __init__(self) -> None:
        self.sights: list[_Kept] = []
        self._ahead_s = 0.0  # of film time, against the clip's clock
        self._size_wh = (0, 0)  # px, that all boxes are brought to: of the first small picture
        self._looks_again: int | None = None  # None: nobody asked for any
        self._found_again = 0

    def pictures(self, sights: Iterable[Sight]) -> Iterator[np.ndarray]:
        """The sights' pictures, made small; takes in what else is to be known of each."""
        for sight in sights:
            small = _small(sight.picture_rgb)
            height, width = small.shape[:2]
            self._size_wh = self._size_wh if self.sights else (width, height)
            full_height, full_width = sight.picture_rgb.shape[:2]
            found = np.array([one.box_xyxy for one in sight.found], np.float64).reshape(-1, 4)
            shares = found / np.tile([full_width, full_height], 2)
            looks = appearance.descriptors(small, shares * np.tile([width, height], 2))
            runs_back, film_s = self._placed(sight.time_s)
            self.sights.append(
                _Kept(
                    sight.time_s,
                    film_s,
                    runs_back,
                    (shares * np.tile(self._size_wh, 2)).astype(np.float32),
                    np.array([one.confidence for one in sight.found], np.float32),
                    looks,
                    sight.items,
                )
            )
            yield small

    def _placed(self, time_s: float) -> tuple[bool, float]:
        """Whether the clip's clock has run back since the last picture, and the film time."""
        back_s = self.sights[-1].time_s - time_s if self.sights else -1.0
        if back_s < 0:
            return False, time_s + self._ahead_s
        film_s = self.sights[-1].film_s + (_AFTER_S if back_s <= _STUMBLES_S else _APART_S)
        self._ahead_s = film_s - time_s
        return True, film_s

    def moments(self, cuts: Sequence[bool]) -> list[Moment]:
        """The sights as `tracks.link` takes them; a clock that runs back is a cut."""
        return [
            Moment(
                *(one.film_s, one.boxes_xyxy, one.confidences, one.looks), cut=cut or one.runs_back
            )
            for one, cut in zip(self.sights, cuts, strict=True)
        ]

    def look_again(self, again: Again, moments: Sequence[Moment], tracks: Sequence[Track]) -> bool:
        """Search the kept frames again where tracks say that somebody is; whether anybody was
        found.
        """
        asked = [sight.items is not None for sight in self.sights]
        found, taken = second_look.search(again, moments, tracks, asked, self._size_wh)
        self._looks_again, self._found_again = taken, 0
        for number, those in groupby(found, key=lambda one: one.number):
            self._add(number, list(those), again)
        return self._found_again > 0

    def _add(self, number: int, found: Sequence[Found], again: Again) -> None:
        sight, items = self.sights[number], again.taken(number, [one.detection for one in found])
        if not items:
            return
        self._found_again += len(items)
        boxes_xyxy = [sight.boxes_xyxy, *(one.box_xyxy[None] for one in found)]
        confidences = [one.detection.confidence for one in found]
        self.sights[number] = replace(
            sight,
            boxes_xyxy=np.concatenate(boxes_xyxy).astype(np.float32),
            confidences=np.append(sight.confidences, np.array(confidences, np.float32)),
            looks=np.concatenate([sight.looks, *(one.looks[None] for one in found)]),
            items=[*(sight.items or ()), *items],
        )

    def track_of(self, tracks: Iterable[Track]) -> dict[str, int]:
        """The track of each kept detection, by item."""
        found = {}
        for track in tracks:
            for moment, at in track.places:
                items = self.sights[moment].items
                if items is not None:
                    found[items[at]] = track.number
        return found

    def linked(self, tracks: Sequence[Track]) -> Linked:
        """Each detection with its track."""
        number = {place: track.number for track in tracks for place in track.places}
        places = sorted(number)
        looks = [self._looks(track) for track in tracks]
        return Linked(
            np.array([number[place] for place in places], int),
            np.array([self.sights[moment].film_s for moment, _ in places], float),
            np.array([self.sights[moment].time_s for moment, _ in places], float),
            [self._item(moment, at) for moment, at in places],
            np.array(looks, np.float32).reshape(len(tracks), appearance.LENGTH),
            np.array(
                [self.sights[moment].boxes_xyxy[at] for moment, at in places], np.float32
            ).reshape(-1, 4),
        )

    def _item(self, moment: int, at: int) -> str:
        items = self.sights[moment].items
        return items[at] if items is not None else ""

    def _looks(self, track: Track) -> np.ndarray:
        looks = [self.sights[moment].looks[at] for moment, at in track.places]
        return appearance.mean(np.array(looks))

    def row(self, track: Track, score: Consistency) -> TrackRow:
        """A track's row."""
        width, height = self._size_wh
        sights = [self.sights[moment] for moment, _ in track.places]
        found = [_box(self.sights[moment].boxes_xyxy[at]) for moment, at in track.places]
        confidences = [self.sights[moment].confidences[at] for moment, at in track.places]
        return TrackRow(
            track=track.number,
            from_s=sights[0].time_s,
            to_s=sights[-1].time_s,
            moments=len(sights),
            frames=sum(sight.items is not None for sight in sights),
            ended_by=track.ended_by,
            area=sum(boxes.area(box) for box in found) / (width * height) / len(found),
            off_centre=sum(subject_choice.off_centre(box, width, height) for box in found)
            / len(found),
            confidence=float(np.mean(confidences, dtype=np.float64)),
            consistency=score.score,
        )

    def clip_row(self, score: float) -> TrackRow:
        """The row of the clip as a whole."""
        times = [sight.time_s for sight in self.sights]
        return TrackRow(
            track=None,
            from_s=times[0] if times else None,
            to_s=times[-1] if times else None,
            moments=len(times),
            frames=sum(sight.items is not None for sight in self.sights),
            consistency=score if any(len(sight.confidences) for sight in self.sights) else None,
            looks_again=self._looks_again,
            found_again=None if self._looks_again is None else self._found_again,
        )


@dataclass(frozen=True)
class _Kept:
    """What is held of a sight; boxes are in px of one size for the whole clip.

    `time_s` is the clip's own, `film_s` rises from picture to picture (see `Linked`), `runs_back`
    says that `time_s` does not rise here.
    """

    time_s: float
    film_s: float
    runs_back: bool
    boxes_xyxy: np.ndarray
    confidences: np.ndarray
    looks: np.ndarray
    items: Sequence[str] | None


def _score(track: Track, moments: Sequence[Moment]) -> Consistency:
    times = np.array([moments[moment].time_s for moment, _ in track.places])
    found = np.array([moments[moment].boxes_xyxy[at] for moment, at in track.places])
    looks = np.array([moments[moment].looks[at] for moment, at in track.places])
    return consistency.of_track(times, found, looks)


def _box(xyxy: np.ndarray) -> boxes.Box:
    x1, y1, x2, y2 = map(float, xyxy)
    return x1, y1, x2, y2


def _small(picture_rgb: np.ndarray) -> np.ndarray:
    """The picture with a longer side of at most SIDE."""
    height, width = picture_rgb.shape[:2]
    scale = SIDE / max(height, width)
    if scale >= 1:
        return picture_rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture_rgb, size, interpolation=cv2.INTER_AREA)
