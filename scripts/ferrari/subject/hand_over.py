"""Identity passed on by clothes, from a track with a face to one without, within a clip.

Clothes are what a body is known by, so this holds for one outfit and for a while only. Identity is
handed over once: a track that got it so does not pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ferrari.subject import appearance
from ferrari.subject.judgements import (
    BESIDE_SUBJECT,
    BODY,
    CLOTHES_MATCH,
    CLOTHES_OF_TWO,
    FACE,
    FACES_TOO_SMALL,
    NO_FACE,
    NOT_SUBJECT,
    REVIEW,
    SAME_PLACE,
    SUBJECT,
    UNSURE,
    Judgement,
    Rules,
)
from ferrari.subject.sightings import Sightings, gaps
from ferrari.subject.succession import goes_on

#: By how much more alike clothes must be to one person than to another.
CLOTHES_MARGIN = 0.10
#: Where a track goes on at the place of the other with nobody else near, its clothes decide if they
#: are so alike with the head, or if trunk and legs alone are. docs/identity_measured.md, "Other
#: people, to choose on", has the share of pairs of two people that reach either.
LIKE_AT_PLACE, WITHOUT_HEAD_AT_PLACE = 0.60, 0.70


@dataclass(frozen=True)
class Likeness:
    """How alike the tracks of a clip are dressed: (T, T), 0 to 1, head and all; and by trunk and
    legs alone (`without_head`), since who turns round shows hair where a face was.
    """

    whole: np.ndarray
    without_head: np.ndarray

    @classmethod
    def of(cls, looks: np.ndarray) -> Likeness:
        """Of (T, K) looks, as `appearance` has them."""
        bare = appearance.without_head(looks)
        return cls(appearance.similarity(looks, looks), appearance.similarity(bare, bare))


def handed_over(
    tracks: Sequence[Judgement], seen: Sightings, alike: Likeness, rules: Rules
) -> list[Judgement]:
    """The judgements, with those that no face decided filled in where clothes say who it is.

    Tracks that share a moment are two people, whatever they wear, and of two that are dressed alike
    in one frame neither is taken.
    """
    at_once = seen.at_once()
    times = [seen.times(track) for track in range(len(tracks))]
    sources = [
        i
        for i, t in enumerate(tracks)
        if t.by in (FACE, REVIEW) and t.who != UNSURE and times[i].size
    ]
    found = list(tracks)
    for track, judged in enumerate(tracks):
        if judged.why not in (NO_FACE, FACES_TOO_SMALL) or not times[track].size:
            continue
        apart = [i for i in sources if not at_once[track, i]]
        seconds = [(i, float(gaps(times[track], times[i]).min())) for i in apart]
        within = [(i, gap) for i, gap in seconds if gap <= rules.body_gap_s]
        beside = _beside_subject(at_once[track], tracks)
        at_place = partial(goes_on, seen, track)
        likeness = Likeness(alike.whole[track], alike.without_head[track])
        found[track] = _dressed(judged, tracks, likeness, within, beside, at_place, rules)
    return _one_of_a_kind(found, at_once)


def _beside_subject(at_once: np.ndarray, tracks: Sequence[Judgement]) -> bool:
    return any(tracks[other].who == SUBJECT for other in np.flatnonzero(at_once).tolist())


def _dressed(
    judged: Judgement,
    tracks: Sequence[Judgement],
    likeness: Likeness,
    within: Iterable[tuple[int, float]],
    beside: bool,
    at_place: Callable[[int], bool],
    rules: Rules,
) -> Judgement:
    """Who a track is by clothes. `likeness`: (T,) each, to all tracks; `within`: tracks that may
    hand over, and seconds to them; `at_place`: whether the track goes on at the place of one.
    """
    best: dict[str, Judgement] = {}
    for other, gap in within:
        alike, bare = (
            round(float(one[other]), 6) for one in (likeness.whole, likeness.without_head)
        )
        who = tracks[other].who
        least, why = rules.body_similarity, CLOTHES_MATCH
        enough = alike >= LIKE_AT_PLACE or bare >= WITHOUT_HEAD_AT_PLACE
        if alike < least and enough and at_place(other):
            least, why = LIKE_AT_PLACE, SAME_PLACE
            if alike < least:
                alike, least = bare, WITHOUT_HEAD_AT_PLACE
        if alike < least or (beside and who == SUBJECT):
            continue
        sureness = round(alike * rules.decay**gap, 4)
        one = Judgement(who, BODY, why, alike, least, sureness)
        if who not in best or (alike, sureness) > (best[who].score, best[who].sureness):
            best[who] = one
    if SUBJECT in best and NOT_SUBJECT in best:
        return _better(best[SUBJECT], best[NOT_SUBJECT])
    for one in best.values():
        return one
    return replace(judged, why=BESIDE_SUBJECT) if beside else judged


def _better(one: Judgement, other: Judgement) -> Judgement:
    first, second = sorted((one, other), key=lambda j: -(j.score or 0))
    if (first.score or 0) - (second.score or 0) >= CLOTHES_MARGIN:
        return first
    return replace(first, who=UNSURE, why=CLOTHES_OF_TWO, sureness=0.0)


def _one_of_a_kind(tracks: Sequence[Judgement], at_once: np.ndarray) -> list[Judgement]:
    """Of tracks in one frame that clothes made the subject, the clearly best alone stays so."""
    by_body = [i for i, t in enumerate(tracks) if t.who == SUBJECT and t.by == BODY]
    found = list(tracks)
    for one in by_body:
        rivals = [tracks[i].score or 0 for i in by_body if at_once[one, i]]
        if rivals and (tracks[one].score or 0) - max(rivals) < CLOTHES_MARGIN:
            found[one] = replace(tracks[one], who=UNSURE, why=CLOTHES_OF_TWO, sureness=0.0)
    return found
