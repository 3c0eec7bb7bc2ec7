"""Which track, and which detection, is the subject: yes, no or unsure, and on what evidence.

Faces decide; a face names its whole track, profiles and back views with it. Where a track shows no
face that can be judged, clothes may hand its identity on (`hand_over`). No face is not somebody
else: what nothing speaks for is unsure, and is kept for somebody to look at. Pure arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ferrari.subject import reflections
from ferrari.subject.face_weights import REFUSING
from ferrari.subject.hand_over import Likeness, handed_over
from ferrari.subject.judgements import (
    BETWEEN,
    FACE,
    FACE_DIFFERS,
    FACES_DISAGREE,
    FACES_TOO_SMALL,
    LIKE_BOTH,
    LIKE_NEGATIVE,
    LIKE_SUBJECT,
    NO_FACE,
    NOBODY_NAMED,
    NOT_SUBJECT,
    NOTHING,
    REFLECTION,
    REVIEW,
    REVIEWED,
    SUBJECT,
    TRACK,
    TWO_AT_ONCE,
    TWO_FACES,
    UNLIKE,
    UNLIKE_BUT_POOR,
    UNSURE,
    Judgement,
    Rules,
)
from ferrari.subject.only_person import only_person
from ferrari.subject.sightings import Sightings, gaps
from ferrari.subject.similarity import upper_third
from ferrari.subject.templates import Template, Thresholds

#: The least weight of a face that may object where none may decide: a face in profile says nothing.
_HEARD = 0.25


@dataclass(frozen=True)
class Decision:
    """A judgement of each track (by number) and of each detection (in the sightings' order)."""

    tracks: tuple[Judgement, ...]
    detections: tuple[Judgement, ...]


def decide(
    seen: Sightings,
    template: Template | None,
    alike: Likeness,
    rules: Rules,
    reviewed: Mapping[int, str] | None = None,
) -> Decision:
    """Who each track and each detection of a clip is.

    `alike` is how alike two tracks are dressed.
    `reviewed` holds what a person said of tracks (SUBJECT or NOT_SUBJECT), which nothing overrules.
    Without a template (nobody could be named) all are unsure. The order of detections and faces
    changes nothing.
    """
    reviewed = reviewed or {}
    own = [Judgement(UNSURE, NOTHING, NOBODY_NAMED)] * len(seen.faces.weights)
    tracks = [Judgement(UNSURE, NOTHING, NOBODY_NAMED)] * seen.tracks
    if template is not None:
        own = _judge_faces(seen, template, rules.thresholds)
        tracks = _judge_tracks(seen, template, rules.thresholds)
    for track, who in reviewed.items():
        tracks[track] = Judgement(who, REVIEW, REVIEWED, sureness=1.0)
    tracks = _one_at_once(tracks, seen, rules.thresholds)
    tracks = handed_over(tracks, seen, alike, rules)
    if template is not None and template.alone:
        unlike = _unlike(seen, own)
        tracks = only_person(tracks, seen, alike.whole, unlike)
    return Decision(tuple(tracks), tuple(_judge_detections(seen, tracks, own, rules)))


def changed(before: Decision, after: Decision) -> list[int]:
    """Places of the detections that are kept, dropped or quarantined otherwise than before.

    For the same sightings under two sets of thresholds: these alone have to be worked on. Scores
    and evidence of the others may differ, which is a matter of their rows.
    """
    pairs = enumerate(zip(before.detections, after.detections, strict=True))
    return [place for place, (one, other) in pairs if one.who != other.who]


def _judge_faces(seen: Sightings, template: Template, thresholds: Thresholds) -> list[Judgement]:
    """What each face says, taken for itself."""
    scores = template.scores(seen.faces.embeddings)
    negatives = template.negative_scores(seen.faces.embeddings)
    return [
        _graded(float(score), float(negative), thresholds)
        for score, negative in zip(scores, negatives, strict=True)
    ]


def _graded(score: float, negative: float, thresholds: Thresholds) -> Judgement:
    """By similarity to the subject and to the most similar of those who are not.

    A match to a negative rules the subject out, unless the subject matches better by more than the
    width of the doubtful zone: siblings are like each other, but not as one is like oneself.
    """
    above, below = thresholds.above, thresholds.below
    if negative >= above and score <= negative:
        return Judgement(NOT_SUBJECT, FACE, LIKE_NEGATIVE, negative, above, 1.0)
    if negative >= above and score - negative < above - below:
        return Judgement(UNSURE, FACE, LIKE_BOTH, score, above)
    like = Judgement(SUBJECT, FACE, LIKE_SUBJECT, score, above, 1.0)
    between = Judgement(UNSURE, FACE, BETWEEN, score, above)
    return thresholds.grade(
        score, like, between, Judgement(NOT_SUBJECT, FACE, UNLIKE, score, below, 1.0)
    )


def _judge_tracks(seen: Sightings, template: Template, thresholds: Thresholds) -> list[Judgement]:
    faces, deciding = seen.faces, seen.deciding()
    scores = template.scores(faces.embeddings)
    negatives = template.negative_scores(faces.embeddings)
    track_of = seen.track[faces.detection]
    found = []
    for track in range(seen.tracks):
        own = deciding & (track_of == track)
        if own.any():
            weights = faces.weights[own]
            found.append(_judge_track(scores[own], negatives[own], weights, thresholds))
        else:
            crowded = seen.crowded[seen.track == track].any()
            small = (track_of == track).any()
            why = TWO_FACES if crowded else FACES_TOO_SMALL if small else NO_FACE
            found.append(Judgement(UNSURE, NOTHING, why))
    return found


def _unlike(seen: Sightings, own: Sequence[Judgement]) -> np.ndarray:
    """(T,) the weight of each track's best face, if it is somebody else's, though it may be too
    poor to decide; else 0.

    An unclear face has that of a clear one: whoever runs past shows no other.
    """
    faces, track_of = seen.faces, seen.track[seen.faces.detection]
    weights = faces.weights if faces.if_clear is None else faces.if_clear
    best = np.full(seen.tracks, _HEARD)
    np.maximum.at(best, track_of, weights)
    other = np.array([judged.who == NOT_SUBJECT for judged in own], bool)
    found = np.zeros(seen.tracks)
    objecting = other & (weights >= best[track_of])
    found[track_of[objecting]] = weights[objecting]
    return found


def _judge_track(
    scores: np.ndarray, negatives: np.ndarray, weights: np.ndarray, thresholds: Thresholds
) -> Judgement:
    """One third of a track's faces decides for it, unless another third says the opposite."""
    score, negative = upper_third(scores, weights), upper_third(negatives, weights)
    third = weights.sum() / 3
    unlike = weights[scores < thresholds.below].sum()
    if score >= thresholds.above and unlike > third:
        return Judgement(UNSURE, FACE, FACES_DISAGREE, score, thresholds.above)
    judged = _graded(score, negative, thresholds)
    if judged.why == UNLIKE and weights.max() < REFUSING:
        return Judgement(UNSURE, FACE, UNLIKE_BUT_POOR, score, thresholds.below)
    return judged


def _one_at_once(
    tracks: Sequence[Judgement], seen: Sightings, thresholds: Thresholds
) -> list[Judgement]:
    """Two bodies in one frame are not both the subject: a mirror, a picture of it, or a likeness.

    Of a person and their reflections the person stays the subject; else the better one does, where
    it leads by the width of the doubtful zone. A person's word stands.
    """
    subjects = [i for i, judged in enumerate(tracks) if judged.who == SUBJECT]
    at_once = seen.bodies_at_once(subjects)
    rivals = {
        one: others
        for one in subjects
        if (others := [other for other in subjects if at_once[one, other]])
    }
    people, mirrored = reflections.told(seen, rivals)
    found = list(tracks)
    for one, others in rivals.items():
        if tracks[one].by == REVIEW:
            continue
        judged = [tracks[other] for other in others]
        said = any(rival.by == REVIEW for rival in judged)
        leads = one not in mirrored and _leads(tracks[one], judged, thresholds)
        if not leads and (one not in people or said):
            why = REFLECTION if one in mirrored else TWO_AT_ONCE
            found[one] = replace(tracks[one], who=UNSURE, why=why, sureness=0.0)
    return found


def _leads(judged: Judgement, rivals: Sequence[Judgement], thresholds: Thresholds) -> bool:
    if any(rival.by == REVIEW for rival in rivals):
        return False
    lead = (judged.score or 0) - max(rival.score or 0 for rival in rivals)
    return lead > 0 and lead >= thresholds.above - thresholds.below


def _judge_detections(
    seen: Sightings, tracks: Sequence[Judgement], own: Sequence[Judgement], rules: Rules
) -> list[Judgement]:
    deciding = seen.deciding()
    face_of = {int(seen.faces.detection[i]): own[i] for i in np.flatnonzero(deciding).tolist()}
    near = _near_a_face(seen, tracks, own, deciding, rules)
    crowded = seen.crowded
    return [
        _judge_detection(tracks[track], face_of.get(place), bool(crowded[place]), near[place])
        for place, track in enumerate(seen.track.tolist())
    ]


def _judge_detection(
    track: Judgement, own: Judgement | None, crowded: bool, near: float
) -> Judgement:
    """What holds of a track holds of its detections, but for those whose faces object."""
    if track.by == REVIEW:
        return track
    if track.who == SUBJECT and crowded:
        return Judgement(UNSURE, FACE, TWO_FACES)
    if track.who == SUBJECT and own and own.who == NOT_SUBJECT:
        return replace(own, who=UNSURE, why=FACE_DIFFERS, sureness=0.0)
    if track.by != FACE:  # by clothes, or by nothing
        return track
    if own and own.who == track.who:
        return own
    return replace(track, by=TRACK, sureness=near if track.sureness else 0.0)


def _near_a_face(
    seen: Sightings,
    tracks: Sequence[Judgement],
    own: Sequence[Judgement],
    deciding: np.ndarray,
    rules: Rules,
) -> np.ndarray:
    """(N,) how sure each detection's track is of it: 1 at a face that says so, less with time."""
    near = np.zeros(len(seen.track))
    track_of = seen.track[seen.faces.detection]
    for track, judged in enumerate(tracks):
        members = np.flatnonzero(deciding & (track_of == track)).tolist()
        saying = [i for i in members if own[i].who == judged.who]
        times = np.sort(seen.time_s[seen.faces.detection[saying or members]])
        if len(times):
            where = seen.track == track
            near[where] = rules.decay ** gaps(seen.time_s[where], times)
    return near.round(4)
