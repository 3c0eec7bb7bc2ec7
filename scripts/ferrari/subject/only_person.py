"""People without a face, if the set shows one person only: the subject, unless something objects.

A set of one person's clips has pictures from behind, in profile and from afar. Whoever films one
person alone expects them, and the vote saw that nobody else is there. So clothes need not be as
like as elsewhere, nor near in time. What objects: somebody else in the frame, a face in the clip
that is not clearly the subject's, be it blurred, other clothes than the subject's in the clip. A
clip in which the subject's face is nowhere seen stays unsure: it may show a stranger, a statue or a
chair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ferrari.subject.face_weights import USABLE
from ferrari.subject.judgements import (
    FACE,
    FACES_TOO_SMALL,
    NO_FACE,
    ONLY_PERSON,
    OTHER_CLOTHES,
    SET,
    SUBJECT,
    Judgement,
)
from ferrari.subject.sightings import Sightings

#: Likeness to the clothes of the subject's tracks in the clip, or more, to be the subject too. On a
#: street, 91 % of pairs of tracks of one person reach it, and 28 % of those of two; 0.70, which
#: clothes alone ask for, 45 and 0.9 %.
LEAST_LIKE = 0.50
#: How sure that is: nothing of the track itself speaks for it.
SURENESS = 0.5


def only_person(
    tracks: Sequence[Judgement], seen: Sightings, body_similarity: np.ndarray, unlike: np.ndarray
) -> list[Judgement]:
    """The judgements, with those filled in that nothing decided.

    `body_similarity`: (T, T), 0 to 1. `unlike`: (T,) the weight, were it clear, of a track's best
    face, if it is less like the subject's than anybody's; else 0.
    """
    by_face = [judged for judged in tracks if judged.by == FACE]
    unclear = [unlike[place] for place, one in enumerate(tracks) if one.why == FACES_TOO_SMALL]
    if any(judged.who != SUBJECT for judged in by_face) or max(unclear, default=0.0) >= USABLE:
        return list(tracks)
    known = [place for place, judged in enumerate(tracks) if judged.who == SUBJECT]
    if not known:
        return list(tracks)
    at_once = seen.at_once()
    found = list(tracks)
    for track, judged in enumerate(tracks):
        if judged.why not in (NO_FACE, FACES_TOO_SMALL) or unlike[track] or at_once[track].any():
            continue
        if body_similarity[track, known].max() < LEAST_LIKE:
            found[track] = replace(judged, why=OTHER_CLOTHES)
        else:
            found[track] = Judgement(SUBJECT, SET, ONLY_PERSON, sureness=SURENESS)
    return found
