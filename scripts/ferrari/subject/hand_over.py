"""Identity passed on by clothes, from a track with a face to one without, within a clip.

Clothes are what a body is known by, so this holds for one outfit and for a while only. Identity is
handed over once: a track that got it so does not pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class _Claim:
    """What the clothes of one track say of another: the judgement, both likenesses, and which of
    the two (a field of Likeness) the judgement rests on.
    """

    judged: Judgement
    whole: float
    without_head: float
    rests_on: str

    def leads(self, other: _Claim) -> bool:
        """Whether it is clearly the more alike by what either of the two rests on.

        Trunk and legs alone are more alike than with the head, whoever they are: held against
        another's likeness with the head they would win too often.
        """
        return all(
            getattr(self, one) - getattr(other, one) >= CLOTHES_MARGIN
            for one in {self.rests_on, other.rests_on}
        )


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
    subjects: dict[int, _Claim] = {}
    for track, judged in enumerate(tracks):
        if judged.why not in (NO_FACE, FACES_TOO_SMALL) or not times[track].size:
            continue
        apart = [i for i in sources if not at_once[track, i]]
        seconds = [(i, float(gaps(times[track], times[i]).min())) for i in apart]
        within = [(i, gap) for i, gap in seconds if gap <= rules.body_gap_s]
        beside = _beside_subject(at_once[track], tracks)
        at_place = partial(goes_on, seen, track)
        likeness = Likeness(alike.whole[track], alike.without_head[track])
        claims = _claims(tracks, likeness, within, at_place, rules)
        if beside:
            claims.pop(SUBJECT, None)
        found[track] = _told(judged, list(claims.values()), beside)
        if found[track].who == SUBJECT:
            subjects[track] = claims[SUBJECT]
    return _one_of_a_kind(found, subjects, at_once)


def _beside_subject(at_once: np.ndarray, tracks: Sequence[Judgement]) -> bool:
    return any(tracks[other].who == SUBJECT for other in np.flatnonzero(at_once).tolist())


def _told(judged: Judgement, claims: Sequence[_Claim], beside: bool) -> Judgement:
    """Who a track is by its claims, one for each who it may be; as it was `judged` without any."""
    if not claims:
        return replace(judged, why=BESIDE_SUBJECT) if beside else judged
    for claim in claims:
        if all(claim.leads(other) for other in claims if other is not claim):
            return claim.judged
    return _of_two(max(claims, key=_strength).judged)


def _claims(
    tracks: Sequence[Judgement],
    likeness: Likeness,
    within: Iterable[tuple[int, float]],
    at_place: Callable[[int], bool],
    rules: Rules,
) -> dict[str, _Claim]:
    """By who a track may be (SUBJECT, NOT_SUBJECT), the strongest that its clothes say. `likeness`:
    (T,) each, to all tracks; `within`: tracks that may hand over, and seconds to them; `at_place`:
    whether the track goes on at the place of one.
    """
    best: dict[str, _Claim] = {}
    for other, gap in within:
        whole, bare = (
            round(float(one[other]), 6) for one in (likeness.whole, likeness.without_head)
        )
        alike, least, why, rests_on = whole, rules.body_similarity, CLOTHES_MATCH, "whole"
        if whole < least:
            enough = whole >= LIKE_AT_PLACE or bare >= WITHOUT_HEAD_AT_PLACE
            if not (enough and at_place(other)):
                continue
            least, why = LIKE_AT_PLACE, SAME_PLACE
            if whole < least:
                alike, least, rests_on = bare, WITHOUT_HEAD_AT_PLACE, "without_head"
        sureness = round(alike * rules.decay**gap, 4)
        judged = Judgement(tracks[other].who, BODY, why, alike, least, sureness)
        claim = _Claim(judged, whole, bare, rests_on)
        if judged.who not in best or _strength(claim) > _strength(best[judged.who]):
            best[judged.who] = claim
    return best


def _strength(claim: _Claim) -> tuple[float, float]:
    """The likeness with the head, which all claims have, then how near in time it is."""
    return claim.whole, claim.judged.sureness


def _of_two(judged: Judgement) -> Judgement:
    return replace(judged, who=UNSURE, why=CLOTHES_OF_TWO, sureness=0.0)


def _one_of_a_kind(
    tracks: Sequence[Judgement], subjects: Mapping[int, _Claim], at_once: np.ndarray
) -> list[Judgement]:
    """Of tracks in one frame that clothes made the subject, the clearly best alone stays so."""
    found = list(tracks)
    for one, claim in subjects.items():
        rivals = [other for i, other in subjects.items() if at_once[one, i]]
        if not all(claim.leads(rival) for rival in rivals):
            found[one] = _of_two(tracks[one])
    return found
