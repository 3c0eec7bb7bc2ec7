"""The subject without references: the person who is in most of the voting clips.

Tracks are grouped by average link: two groups are as similar as the mean over all pairs, so that
single likenesses cannot chain two people together. A track stands for its faces by their weighted
mean (`similarity.pooled`): dot products of means are means of dot products, on the scale of the
backend's threshold. Pure arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ferrari.subject.sightings import Sightings, at_once
from ferrari.subject.similarity import pooled, similarities

#: The subject leads by one clip in so many of its own: one clip must not decide between two people.
LEAD = 5

#: Share of the clips that show anybody in which the subject's face is seen, or more, for `alone`.
NEARLY_ALL = 0.8
#: Moments that two tracks share, or more: fewer are a detector that gives one person two boxes.
TOGETHER = 3

#: Why the vote named nobody.
NO_FACES, NO_MAJORITY, NO_LEAD = "no_faces", "no_majority", "no_lead"


def average_link(means: np.ndarray, apart: np.ndarray, threshold: float) -> np.ndarray:
    """(T,) labels, 0 to K - 1 by first appearance, of (T, D) tracks.

    The two most similar groups are joined for as long as their similarity reaches `threshold`; two
    that hold tracks which are `apart` ((T, T) bool) never are. Ties go to those that come first.
    Time and memory grow with T^2: 0.3 s and 32 MB for 2,000 tracks.
    """
    count = len(means)
    labels = np.arange(count)
    if not count:
        return labels
    alike = similarities(means, means)
    alike[apart] = -np.inf
    np.fill_diagonal(alike, -np.inf)
    sizes = np.ones(count)
    best, where = alike.max(axis=1), alike.argmax(axis=1)
    while True:
        one = int(best.argmax())
        if best[one] < threshold:
            break
        one, other = sorted((one, int(where[one])))
        _join(alike, sizes, one, other)
        labels[labels == other] = one
        # A mean is never above the larger of the two: only rows that pointed here need a new best.
        stale = np.flatnonzero((where == one) | (where == other))
        stale = np.union1d(stale, [one, other])
        best[stale], where[stale] = alike[stale].max(axis=1), alike[stale].argmax(axis=1)
    return np.unique(labels, return_inverse=True)[1]


def _join(alike: np.ndarray, sizes: np.ndarray, one: int, other: int) -> None:
    """Make row and column `one` those of both groups, and `other` nobody's (Lance-Williams)."""
    total = sizes[one] + sizes[other]
    joined = (sizes[one] * alike[one] + sizes[other] * alike[other]) / total
    joined[[one, other]] = -np.inf
    alike[one] = alike[:, one] = joined
    alike[other] = alike[:, other] = -np.inf
    sizes[one] = total


@dataclass(frozen=True)
class VotingTrack:
    """A track with a face that can be judged: its clip's id, its number there, the times (s) at
    which it shows a face, and the mean of those that can be judged (`similarity.pooled`, (D,)).

    Two faces at one time are two people; two boxes may be one person's, given twice.
    """

    clip: str
    number: int
    times_s: frozenset[float]
    mean: np.ndarray


def voting_tracks(clip: str, seen: Sightings) -> list[VotingTrack]:
    """The tracks of a clip that show a face which can be judged, by number."""
    deciding = seen.deciding()
    track_of = seen.track[seen.faces.detection]
    found = []
    for number in range(seen.tracks):
        own = deciding & (track_of == number)
        if own.any():
            mean = pooled(seen.faces.embeddings[own], seen.faces.weights[own])
            faces = seen.faces.detection[track_of == number]
            times = frozenset(seen.time_s[faces].tolist())
            found.append(VotingTrack(clip, number, times, mean))
    return found


@dataclass(frozen=True)
class Vote:
    """Which person most clips show.

    `labels`: the person of each track, as they were given; people are numbered from 0 by the number
    of clips they are in (`clips`), most first. `subject` is the person's number, or None, and then
    `why` says why nobody was named; else it is empty. `voters`: clips that show a face.
    """

    labels: tuple[int, ...]
    clips: tuple[int, ...]
    voters: int
    subject: int | None
    why: str

    def members(self) -> list[int]:
        """Places of the subject's tracks."""
        return [i for i, label in enumerate(self.labels) if label == self.subject]

    def said(self) -> str:
        """The result in a sentence."""
        most = self.clips[0] if self.clips else 0
        second = self.clips[1] if len(self.clips) > 1 else 0
        if self.why == NO_FACES:
            return "no voting clip shows a face that can be judged, so nobody can be named"
        shown = f"{most} of {self.voters} voting clips with a face"
        if self.why == NO_MAJORITY:
            return (
                f"nobody is in more than half of the clips: the most frequent of "
                f"{len(self.clips)} people is in {shown}"
            )
        if self.why == NO_LEAD:
            return (
                f"no clear majority: one person is in {shown}, another in {second}, which is too "
                "close to tell which of them is the subject"
            )
        next_best = f"; the next of {len(self.clips)} people is in {second}" if second else ""
        return f"the subject is the person in {shown}{next_best}"


def vote(tracks: Sequence[VotingTrack], threshold: float) -> Vote:
    """Group the tracks of the voting clips into people, and name the one whom most clips show.

    Tracks that are seen in one frame are two people. Nobody is guessed: without a clear majority
    `subject` is None. The order of the tracks changes nothing.
    """
    if not tracks:
        return Vote((), (), 0, None, NO_FACES)
    order = sorted(range(len(tracks)), key=lambda i: (tracks[i].clip, tracks[i].number))
    ordered = [tracks[i] for i in order]
    seen = [(place, (t.clip, at)) for place, t in enumerate(ordered) for at in t.times_s]
    apart = at_once([place for place, _ in seen], [moment for _, moment in seen], len(ordered))
    found = average_link(np.stack([t.mean for t in ordered]), apart, threshold)
    people: dict[int, set[str]] = {}
    for track, label in zip(ordered, found, strict=True):
        people.setdefault(int(label), set()).add(track.clip)
    ranked = sorted(people, key=lambda label: (-len(people[label]), label))
    numbers = {label: number for number, label in enumerate(ranked)}
    labels = [0] * len(tracks)
    for place, label in zip(order, found, strict=True):
        labels[place] = numbers[int(label)]
    clips = tuple(len(people[label]) for label in ranked)
    voters = len({track.clip for track in tracks})
    why = _why_nobody(clips, voters)
    return Vote(tuple(labels), clips, voters, None if why else 0, why)


def _why_nobody(clips: tuple[int, ...], voters: int) -> str:
    most, second = clips[0], clips[1] if len(clips) > 1 else 0
    if 2 * most <= voters:
        return NO_MAJORITY
    return NO_LEAD if LEAD * (most - second) < most else ""


def alone(clips: Sequence[Sightings], found: Vote) -> bool:
    """Whether the voting clips show the subject in nearly all of them, and nobody else in any.

    `clips` are all that voted, those without a face too. Nobody else: no other face was grouped,
    and no two tracks are seen together for a while.
    """
    showing = [seen for seen in clips if seen.tracks]
    if found.subject is None or len(found.clips) > 1:
        return False
    if found.clips[0] < NEARLY_ALL * len(showing):
        return False
    return not any((seen.moments_together() >= TOGETHER).any() for seen in showing)


def without_negatives(
    tracks: Sequence[VotingTrack], negatives: np.ndarray, threshold: float
) -> list[VotingTrack]:
    """The tracks that may vote: those less like each of (M, D) negatives than `threshold`.

    M may be 0. Two people who are in every clip together are told apart by naming one of them.
    """
    if not len(negatives):
        return list(tracks)
    return [
        track for track in tracks if similarities(track.mean[None], negatives).max() < threshold
    ]
