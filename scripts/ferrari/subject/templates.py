"""The subject as a template of reference faces, and whether the references agree. Pure arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ferrari.common.counts import first_of
from ferrari.common.errors import FerrariError
from ferrari.subject.clusters import Vote, VotingTrack, average_link
from ferrari.subject.similarity import similarities

#: Two pictures at least as similar are one picture, sent twice: they do not confirm each other.
SAME_PICTURE = 0.98

#: What the check of the references against each other says of one.
AGREES, UNSURE, STRANGER = "agrees", "unsure", "stranger"
DUPLICATE, UNCHECKED = "duplicate", "unchecked"
_NAMED = 5  # pictures, in a message
_Verdict = TypeVar("_Verdict")


class ReferencesError(FerrariError, ValueError):
    """The references do not say who the subject is; names the pictures and what to do."""


@dataclass(frozen=True)
class Thresholds:
    """Similarities: at least `above` is the subject, less than `below` somebody else."""

    above: float
    below: float

    def __post_init__(self) -> None:
        if not -1 <= self.below <= self.above <= 1:
            raise ValueError(f"thresholds {self} are not -1 <= below <= above <= 1")

    def grade(self, score: float, subject: _Verdict, unsure: _Verdict, other: _Verdict) -> _Verdict:
        """What a score means: one of the three."""
        if score >= self.above:
            return subject
        return other if score < self.below else unsure


@dataclass(frozen=True)
class Template:
    """Faces of the subject (N, D), and of people who are not (M, D; M may be 0).

    A row is an embedding, or the plain mean of several: its dot product with a face is then the
    mean of their similarities. `alone`: the vote saw one person, in nearly all clips, and never two
    at once.
    """

    members: np.ndarray
    negatives: np.ndarray
    alone: bool = False

    def scores(self, faces: np.ndarray) -> np.ndarray:
        """(F,) float64: the (1 + N // 3)th highest of a face's similarities to the N members.

        Members of other views are passed over as long as a third are of this one; a third of wrong
        members can let nobody in.
        """
        found = np.sort(similarities(faces, self.members), axis=1)[:, ::-1]
        return found[:, len(self.members) // 3]

    def negative_scores(self, faces: np.ndarray) -> np.ndarray:
        """(F,) float64: the highest similarity to a negative, each of which may be another person.

        -1, the least there is, without negatives.
        """
        if not len(self.negatives):
            return np.full(len(faces), -1.0)
        return similarities(faces, self.negatives).max(axis=1)


@dataclass(frozen=True)
class SelfCheck:
    """What each reference is to the others.

    `kinds`: AGREES, UNSURE (between the thresholds), STRANGER, DUPLICATE (of an earlier one), or
    UNCHECKED where there is no other. `scores`: the median similarity to the others, which only a
    majority can raise; NaN for duplicates and unchecked ones. `groups`: who looks like whom, places
    in order, largest first, duplicates left out. `settled` is False where no majority agrees: then
    nobody can say which of the groups is the subject, and no reference is called a stranger.
    """

    kinds: tuple[str, ...]
    scores: np.ndarray
    groups: tuple[tuple[int, ...], ...]
    settled: bool

    def usable(self) -> list[int]:
        """Places of the references that a template is made of."""
        return [i for i, kind in enumerate(self.kinds) if kind in (AGREES, UNSURE, UNCHECKED)]


def self_check(references: np.ndarray, thresholds: Thresholds) -> SelfCheck:
    """Hold each of (N, D) references against all others (leave one out)."""
    alike = similarities(references, references)
    distinct = _distinct(alike)
    kinds = [DUPLICATE] * len(references)
    scores = np.full(len(references), np.nan)
    if len(distinct) == 1:
        kinds[distinct[0]] = UNCHECKED
        return SelfCheck(tuple(kinds), scores, ((distinct[0],),), settled=True)
    among = alike[np.ix_(distinct, distinct)]
    for place, row in zip(distinct, among, strict=True):
        # Of the n - 1 others the (n // 2)th: with the reference itself, more than half agree.
        own = distinct.index(place)
        others = np.sort(np.delete(row, own))[::-1]
        scores[place] = others[len(distinct) // 2 - 1]
        kinds[place] = thresholds.grade(scores[place], AGREES, UNSURE, STRANGER)
    agreeing = sum(kinds[i] in (AGREES, UNSURE) for i in distinct)
    settled = 2 * agreeing > len(distinct)
    if not settled:
        kinds = [UNSURE if kind == STRANGER else kind for kind in kinds]
    return SelfCheck(tuple(kinds), scores, _groups(references, distinct, thresholds), settled)


def _distinct(alike: np.ndarray) -> list[int]:
    """Places of the references that are not the picture of an earlier one."""
    kept: list[int] = []
    for place in range(len(alike)):
        if not any(alike[place, earlier] >= SAME_PICTURE for earlier in kept):
            kept.append(place)
    return kept


def _groups(
    references: np.ndarray, distinct: list[int], thresholds: Thresholds
) -> tuple[tuple[int, ...], ...]:
    apart = np.zeros((len(distinct), len(distinct)), bool)
    labels = average_link(references[distinct], apart, thresholds.above)
    found: dict[int, list[int]] = {}
    for place, label in zip(distinct, labels, strict=True):
        found.setdefault(int(label), []).append(place)
    return tuple(sorted(map(tuple, found.values()), key=lambda group: (-len(group), group)))


def build(
    references: np.ndarray,
    names: Sequence[str],
    negatives: np.ndarray,
    negative_names: Sequence[str],
    thresholds: Thresholds,
) -> tuple[Template, SelfCheck]:
    """The template of (N, D) references less the strangers, and what the check said of each.

    `negatives` is (M, D), M may be 0. Raises ReferencesError where there is no reference, where no
    majority of them agrees, and where a negative is the subject.
    """
    if not len(references):
        raise ReferencesError("there is no reference face; put pictures of the subject there")
    check = self_check(references, thresholds)
    if not check.settled:
        raise ReferencesError(_who_is_who(check, names, thresholds))
    template = Template(references[check.usable()], negatives)
    if len(negatives):
        scores = template.scores(negatives)
        _refuse_own_negatives(scores, negative_names, thresholds)
    return template, check


def _who_is_who(check: SelfCheck, names: Sequence[str], thresholds: Thresholds) -> str:
    shown = "; ".join(first_of([names[i] for i in group], _NAMED) for group in check.groups[:4])
    return (
        f"subject.references: no majority of the pictures shows one person (similarity below "
        f"{thresholds.below:g}), so it cannot be known who the subject is. They look like "
        f"{len(check.groups)} people: {shown}. Leave only pictures of the subject there"
    )


def _refuse_own_negatives(scores: np.ndarray, names: Sequence[str], thresholds: Thresholds) -> None:
    own = [
        f"{names[i]} ({scores[i]:.3f})" for i in np.flatnonzero(scores >= thresholds.above).tolist()
    ]
    if own:
        raise ReferencesError(
            f"subject.not holds pictures that the references take for the subject (similarity "
            f"{thresholds.above:g} and more): {first_of(own, _NAMED)}. Take them out if they show "
            "the subject; somebody who looks so much like the subject cannot be told apart by a "
            "face"
        )


def of_vote(
    tracks: Sequence[VotingTrack], found: Vote, negatives: np.ndarray, alone: bool = False
) -> Template | None:
    """The template of whom a vote on `tracks` named, a member a track; None if it named nobody.

    `alone` is what `clusters.alone` says of the voting clips.
    """
    if found.subject is None:
        return None
    members = np.stack([tracks[place].mean for place in found.members()])
    return Template(members, negatives, alone)
