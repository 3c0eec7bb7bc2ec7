"""Clips with what is known of them, held against what is decided: `Case`, `Trial`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bench import identity_people as people
from bench.identity_composed import HEIGHT, SELF, WIDTH, Composed, Shown
from bench.identity_look import EMBEDDINGS, Looked
from ferrari.images.boxes import overlap
from ferrari.subject import mixed_tracks
from ferrari.subject.hand_over import Likeness
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template
from ferrari.subject.who import Decision, decide

#: Share of a box that somebody fills, or more, to be shown by it.
_SHOWS = 0.2
#: Least share of a person that is to be seen for an appearance.
_VISIBLE = 0.25
#: px, `detect.min_side`.
_MIN_SIDE = 96
NOBODY = "nobody"


@dataclass(frozen=True)
class Case:
    """A clip: what is seen, and of each detection who (N) str it shows, whether that is a mirror's
    or a poster's picture (`kind`), and whether their face is turned away (`back`).

    `face_who` (F) str: whose each face is, which the wrong person may have been given.

    `there`: the pictures in which each person is there to be delivered; `backs`: those of them that
    show their back, `cut_short` those in which what was filmed of them is too small to be cut out,
    for their body is painted. `people`: how many at once.
    """

    name: str
    group: str
    looked: Looked
    who: np.ndarray
    kind: np.ndarray
    back: np.ndarray
    face_who: np.ndarray
    there: Mapping[str, frozenset[int]]
    people: int
    backs: Mapping[str, frozenset[int]] = field(default_factory=dict)
    cut_short: Mapping[str, frozenset[int]] = field(default_factory=dict)


def real_case(clip: str, looked: Looked, who: str, share: people.Share | None, told) -> Case:
    """A real clip of one person, or of strangers; of those in `told` it is as told."""
    seen = _restricted(looked, share.views(looked)) if share else looked
    shown = np.full(len(seen.view), who, object)
    for frame, x, y, name in told.get(clip, ()):
        middle = (seen.box[:, :2] + seen.box[:, 2:]) / 2
        near = (seen.frame[seen.view] == frame) & (np.abs(middle - [x, y]) < 0.01).all(axis=1)
        shown[near] = name
    frames = {
        name: frozenset(seen.view[(shown == name) & seen.delivered()].tolist())
        for name in {str(one) for one in shown}
    }
    if share is not None:  # alone in each frame: what the detector misses counts
        frames[who] = frozenset(np.flatnonzero(seen.kept).tolist())
    kind, back = np.full(len(shown), SELF, object), np.zeros(len(shown), bool)
    at_once = np.bincount(seen.view).max() if len(seen.view) else 0
    face_who = shown[seen.face_of]
    return Case(clip, "real", seen, shown, kind, back, face_who, frames, int(at_once))


def composed_case(clip: Composed, looked: Looked) -> Case:
    """A clip whose truth is known to the pixel."""
    size = np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
    shown = [
        _best(looked.box[i], clip.truth[int(looked.frame[looked.view[i]])])
        for i in range(len(looked.view))
    ]
    there: dict[str, set[int]] = {}
    backs: dict[str, set[int]] = {}
    short: dict[str, set[int]] = {}
    for view in np.flatnonzero(looked.kept):
        for one in clip.truth[int(looked.frame[view])]:
            if one.kind == SELF and one.visible >= _VISIBLE and _large(one, size):
                there.setdefault(one.who, set()).add(int(view))
                if one.back:
                    backs.setdefault(one.who, set()).add(int(view))
                elif one.filmed_px < _MIN_SIDE:
                    short.setdefault(one.who, set()).add(int(view))
    return Case(
        clip.path.stem,
        clip.scene.name.split("-")[0],
        looked,
        np.array([one.who if one else NOBODY for one in shown], object),
        np.array([one.kind if one else NOBODY for one in shown], object),
        np.array([bool(one and one.back) for one in shown], bool),
        _faces(clip, looked),
        {who: frozenset(views) for who, views in there.items()},
        max((len(frame) for frame in clip.truth), default=0),
        {who: frozenset(views) for who, views in backs.items()},
        {who: frozenset(views) for who, views in short.items()},
    )


def _faces(clip: Composed, looked: Looked) -> np.ndarray:
    """Whose face each is: the one at whose place it is, of those in front the first."""
    found = []
    for face, place in zip(looked.face_box, looked.face_of, strict=True):
        truth = clip.truth[int(looked.frame[looked.view[place]])]
        near = [one for one in truth if overlap(tuple(face), tuple(one.face)) > 0.3]
        known = [one for one in near if one.kind == SELF and not one.back]
        found.append(known[-1].who if known else NOBODY)
    return np.array(found, object)


def _large(one: Shown, size: np.ndarray, least: float = _MIN_SIDE) -> bool:
    """Whether it is large enough to be cut out at all (`detect.min_side`)."""
    x1, y1, x2, y2 = one.box * size
    return min(x2 - x1, y2 - y1) >= least


def _best(box: np.ndarray, truth: Sequence[Shown]) -> Shown | None:
    """Whom a box (shares of the frame) shows: it is full of them, and they are in it."""

    def shares(one: Shown) -> tuple[float, float]:
        high, wide = one.seen.shape
        x1, y1, x2, y2 = np.rint(np.clip(box, 0, 1) * [wide, high, wide, high]).astype(int)
        inside = float(one.seen[y1:y2, x1:x2].sum())
        return inside / max((y2 - y1) * (x2 - x1), 1), inside / float(one.seen.sum())

    best = max(truth, key=lambda one: np.prod(shares(one)), default=None)
    return best if best is not None and shares(best)[0] >= _SHOWS else None


def _restricted(looked: Looked, views: np.ndarray) -> Looked:
    """The same clip, of which some pictures alone are looked at."""
    detections = views[looked.view]
    place = np.cumsum(detections) - 1
    faces = detections[looked.face_of]
    tracks, number = np.unique(looked.track[detections], return_inverse=True)
    of_faces = {
        name: getattr(looked, name)[faces]
        for name in ("score", "yaw", "side_px", "clarity", "face_box", *EMBEDDINGS)
    }
    return replace(
        looked,
        time_s=looked.time_s[views],
        kept=looked.kept[views],
        frame=looked.frame[views],
        view=(np.cumsum(views) - 1)[looked.view[detections]],
        box=looked.box[detections],
        confidence=looked.confidence[detections],
        short_px=looked.short_px[detections],
        track=number,
        face_of=place[looked.face_of[faces]],
        looks=looked.looks[tracks],
        **of_faces,
    )


@dataclass(frozen=True)
class Trial:
    """One person as the subject of one clip: what was decided of its detections, and the truth."""

    case: Case
    subject: str
    decision: Decision
    tracks: np.ndarray

    @property
    def delivered(self) -> np.ndarray:
        """(N,) bool: detections that become images."""
        said = np.array([one.who == "subject" for one in self.decision.detections], bool)
        return self.case.looked.delivered() & said

    @property
    def there(self) -> frozenset[int]:
        """The pictures in which the subject could be delivered: is there, or was found there."""
        found = self.case.looked.view[self.own & self.case.looked.delivered()]
        return self.case.there.get(self.subject, frozenset()) | frozenset(found.tolist())

    def reached(self, delivered: np.ndarray) -> int:
        """In how many of them one of its images is delivered; two of one picture count once."""
        return len(set(self.case.looked.view[delivered & self.own].tolist()))

    @property
    def own(self) -> np.ndarray:
        """(N,) bool: detections of the subject, and of no picture of the subject."""
        return (self.case.who == self.subject) & (self.case.kind == SELF)


def tried(case: Case, subject: str, template: Template, rules: Rules, embedding: str) -> Trial:
    """Decide as stage 2 does: mixed tracks are cut first, and their pieces look like nobody."""
    before = case.looked.sightings(embedding)
    seen = mixed_tracks.separated(before, rules.thresholds.below)
    linked = np.zeros(seen.tracks, int)
    linked[seen.track] = before.track
    whole = np.bincount(linked, minlength=before.tracks)[linked] == 1
    looks = case.looked.looks[linked] * whole[:, None]
    decision = decide(seen, template, Likeness.of(looks), rules)
    return Trial(case, subject, decision, seen.track)
