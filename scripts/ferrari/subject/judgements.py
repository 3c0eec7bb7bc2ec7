"""A judgement of who a track or a detection is, its evidence and reasons, and the rules for it."""

from __future__ import annotations

from dataclasses import dataclass

from ferrari.subject.templates import Thresholds

#: Who it is. UNSURE is quarantined, for somebody to look at.
SUBJECT, NOT_SUBJECT, UNSURE = "subject", "not_subject", "unsure"

#: On what evidence: its own face, a face elsewhere in its track, clothes, the whole set (where it
#: shows one person alone), a person's word, nothing.
FACE, TRACK, BODY, SET, REVIEW, NOTHING = "face", "track", "body", "set", "review", ""

#: Why.
LIKE_SUBJECT = "like_subject"
UNLIKE = "unlike"
UNLIKE_BUT_POOR = "unlike_but_poor"
BETWEEN = "between"
LIKE_NEGATIVE = "like_negative"
LIKE_BOTH = "like_both"
FACES_DISAGREE = "faces_disagree"
FACE_DIFFERS = "face_differs"
TWO_FACES = "two_faces"
TWO_AT_ONCE = "two_at_once"
REFLECTION = "reflection"
BESIDE_SUBJECT = "beside_subject"
NO_FACE = "no_face"
FACES_TOO_SMALL = "faces_too_small"
CLOTHES_MATCH = "clothes_match"
SAME_PLACE = "same_place"
CLOTHES_OF_TWO = "clothes_of_two"
ONLY_PERSON = "only_person"
OTHER_CLOTHES = "other_clothes"
NOBODY_NAMED = "nobody_named"
REVIEWED = "reviewed"

#: What each means, for pages.
WORDS = {
    LIKE_SUBJECT: "the face is the subject's",
    UNLIKE: "the face is not the subject's",
    UNLIKE_BUT_POOR: "not like the subject's face, but too small, turned or unclear to rule it out",
    BETWEEN: "the face is neither clearly the subject's nor clearly another's",
    LIKE_NEGATIVE: "the face is that of somebody in subject.not",
    LIKE_BOTH: "the face is like the subject's and like one in subject.not",
    FACES_DISAGREE: "some of the track's faces are the subject's and others are not",
    FACE_DIFFERS: "the track is the subject, but the face here is not the subject's",
    TWO_FACES: "two faces in one body's box, or a box around two bodies",
    TWO_AT_ONCE: "two tracks in one frame are both like the subject: a mirror or a picture?",
    REFLECTION: "the subject's face, smaller, beside the subject, and it moves along: a reflection",
    BESIDE_SUBJECT: "shows no face to judge, and another track is the subject at the same time",
    NO_FACE: "no face is seen, and no clothes of anybody known",
    FACES_TOO_SMALL: "the faces are too small, too turned or too unclear to be judged",
    CLOTHES_MATCH: "the clothes are those of a track whose face was judged",
    SAME_PLACE: "at the place of a track whose face was judged, alone, in clothes like those, "
    "or like them but for the head",
    CLOTHES_OF_TWO: "the clothes fit the subject and somebody else",
    ONLY_PERSON: "shows no face to judge, and the clips that voted show nobody but the subject",
    OTHER_CLOTHES: "shows no face to judge, and other clothes than the subject's in the clip",
    NOBODY_NAMED: "it is not known who the subject is",
    REVIEWED: "a person said so",
}


@dataclass(frozen=True)
class Judgement:
    """Who it is (`who`), on what evidence (`by`), and `why`.

    `score` is the figure that was held against `threshold`, a similarity of faces or of clothes;
    both are None where there was nothing to measure. `sureness` is 0 for what is unsure, 1 at a
    face that says so and where a person does, and less with the seconds to the face and with the
    likeness of the clothes; 0.5 where the whole set is the evidence.
    """

    who: str
    by: str
    why: str
    score: float | None = None
    threshold: float | None = None
    sureness: float = 0.0


@dataclass(frozen=True)
class Rules:
    """What decides. `body_similarity` and `body_gap_s` bound the handing over by clothes; `decay`
    is what a second's distance from a face leaves of sureness."""

    thresholds: Thresholds
    body_similarity: float = 0.70
    body_gap_s: float = 30.0
    decay: float = 0.95
