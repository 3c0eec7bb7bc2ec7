"""Sets of one person without references, and controls that must refuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench import identity_people as people
from bench.identity_cases import Case, Trial, tried
from bench.identity_look import Looked
from bench.identity_tables import Table, by_largest
from ferrari.subject import judgements as j
from ferrari.subject import mixed_tracks, templates
from ferrari.subject.clusters import alone, vote, voting_tracks
from ferrari.subject.judgements import Rules
from ferrari.subject.sightings import Faces, Sightings
from ferrari.subject.templates import Template, Thresholds


def voted(cases: Sequence[Case], rules: Rules, embedding: str, says_alone: bool = True):
    """The template that a vote over the clips makes, and what the vote says."""
    below = rules.thresholds.below
    seen = [mixed_tracks.separated(c.looked.sightings(embedding), below) for c in cases]
    names = [case.name for case in cases]
    tracks = [t for name, one in zip(names, seen, strict=True) for t in voting_tracks(name, one)]
    found = vote(tracks, rules.thresholds.above)
    size = tracks[0].mean.shape[0] if tracks else 0
    is_alone = says_alone and alone(seen, found)
    return templates.of_vote(tracks, found, np.zeros((0, size)), is_alone), found


def one_person_sets(
    sets: Mapping[str, Sequence[Case]], strangers: Case, rules: Rules, embedding: str
) -> Table:
    """Each person's clips as a set of its own, beside the mode `single`."""
    rows = []
    for who, cases in sets.items():
        template, _ = voted(cases, rules, embedding)
        trials = [tried(case, who, template, rules, embedding) for case in cases]
        single = sum(int((by_largest(t) & t.own).sum()) for t in trials)
        extra = sum(int((by_largest(t) & ~t.own).sum()) for t in trials)
        ours = sum(int((t.delivered & t.own).sum()) for t in trials)
        other = sum(int((t.delivered & ~t.own).sum()) for t in trials)
        unsure = sum(int((t.case.looked.delivered() & t.own & _said(t, j.UNSURE)).sum())
                     for t in trials)  # fmt: skip
        refused = sum(int((t.case.looked.delivered() & t.own & _said(t, j.NOT_SUBJECT)).sum())
                      for t in trials)  # fmt: skip
        stranger = tried(strangers, who, template, rules, embedding)
        is_alone = "yes" if template is not None and template.alone else "no"
        rows.append(
            (who, len(cases), single, extra, ours, other, ours / max(single, 1), unsure, refused,
             is_alone, int(stranger.delivered.sum()))
        )  # fmt: skip
    sums = [sum(int(row[i] or 0) for row in rows) for i in range(1, 6)]
    share = sums[3] / max(sums[1], 1)
    tail = [sum(int(row[i]) for row in rows) for i in (7, 8)]
    rows.append(("all", *sums, share, *tail, "", sum(int(row[10]) for row in rows)))
    columns = ("set of", "clips", "single: own", "single: others", "own", "others", "share",
               "own unsure", "own refused", "alone", "strangers' clip")  # fmt: skip
    return Table("Sets of one person, no references", _ONE, columns, rows)


_ONE = (
    "Default settings: the clips vote. `share` is of what `single` delivers of the person. The "
    "last column: images delivered of a clip of strangers that came later and did not vote."
)


def turned_away(
    sets: Mapping[str, Sequence[Case]], composed: Sequence[Case], rules: Rules, embedding: str
) -> Table:
    """Clips that come later to sets of one person: they come back with their back turned, or a
    stranger passes by who shows no face; with the rule of the only person and without."""
    rows = []
    for says_alone in (True, False):
        counts = dict.fromkeys(("solo", "passer"), 0) | {"back": 0, "own": 0, "stranger": 0}
        for who, cases in sets.items():
            template, _ = voted(cases, rules, embedding, says_alone)
            for case in composed:
                if case.group not in ("solo", "passer") or case.name.split("-")[1] != who:
                    continue
                trial = tried(case, who, template, rules, embedding)
                counts[case.group] += 1
                back = trial.own & case.back & case.looked.delivered()
                counts["back"] += int(back.sum())
                counts["own"] += int((back & trial.delivered).sum())
                counts["stranger"] += int((trial.delivered & (case.who != who)).sum())
        name = "with the rule of the only person" if says_alone else "without it"
        rows.append((name, *counts.values()))
    columns = ("", "clips: back turned", "clips: a stranger passes", "backs that could be",
               "delivered", "images of the stranger")  # fmt: skip
    return Table("Backs in sets of one person", _BACKS, columns, rows)


_BACKS = "The real clips of each person vote; composed clips come later and do not."


def _said(trial: Trial, who: str) -> np.ndarray:
    return np.array([one.who == who for one in trial.decision.detections], bool)


def controls(
    looked: Mapping[str, Looked],
    sets: Mapping[str, Sequence[Case]],
    made: Mapping[str, Template],
    rules: Rules,
    embedding: str,
) -> Table:
    """What must be refused, or said."""
    rows = [
        _wrong_person(sets, made, rules, embedding),
        *_planted(looked, rules.thresholds, embedding),
        _half_and_half(made, rules.thresholds),
        *_mixed(sets, rules.thresholds, embedding),
    ]
    return Table("Controls", "Each must come out as the last column says.",
                 ("control", "tried", "as it must be", "what must be"), rows)  # fmt: skip


def _wrong_person(sets, made, rules, embedding):
    """References of somebody else: nothing of the set may be delivered."""
    tries, good, images = 0, 0, 0
    for who, cases in sets.items():
        for subject, template in made.items():
            if subject == who:
                continue
            found = [tried(case, subject, template, rules, embedding) for case in cases]
            some = sum(int(trial.delivered.sum()) for trial in found)
            tries, good, images = tries + 1, good + (some == 0), images + some
    wanted = f"no image of any set; {images} were delivered"
    return ("references of somebody who is not in the set", tries, good, wanted)


def _planted(looked, thresholds, embedding) -> Iterator[tuple]:
    for own, strangers in ((4, 1), (6, 1), (6, 2), (3, 1)):
        tries = good = 0
        for who in people.PEOPLE:
            mine = people.references(looked[_clip(who)], people.for_references(who), embedding, own)
            for other in people.PEOPLE:
                share = people.for_references(other)
                theirs = people.references(looked[share.clip], share, embedding, strangers)
                if other == who or len(mine) < own or len(theirs) < strangers:
                    continue
                check = templates.self_check(np.concatenate([mine, theirs]), thresholds)
                tries += 1
                good += check.kinds[own:] == (templates.STRANGER,) * strangers and all(
                    kind in (templates.AGREES, templates.UNSURE, templates.DUPLICATE)
                    for kind in check.kinds[:own]
                )
        yield (
            f"{strangers} stranger's picture among {own} references" if strangers == 1
            else f"{strangers} pictures of one stranger among {own} references",
            tries, good, "the stranger's are named, no other",
        )  # fmt: skip


def _clip(who: str) -> str:
    return people.for_references(who).clip


def _half_and_half(made: Mapping[str, Template], thresholds: Thresholds):
    tries = good = 0
    three = {who: t for who, t in made.items() if _distinct(t.members[:3], thresholds) == 3}
    for one, first in three.items():
        for other, second in three.items():
            if one >= other:
                continue
            both = np.concatenate([first.members[:3], second.members[:3]])
            tries += 1
            good += not templates.self_check(both, thresholds).settled
    return ("three pictures of one and three of another", tries, good, "nobody is named")


def _distinct(faces: np.ndarray, thresholds: Thresholds) -> int:
    """How many there are that are no copies of each other."""
    kinds = templates.self_check(faces, thresholds).kinds
    return sum(kind != templates.DUPLICATE for kind in kinds)


def _mixed(sets, thresholds, embedding) -> Iterator[tuple]:
    """Tracks put together of two people's: cut where the one becomes the other."""
    tracks = {who: _longest(cases, embedding) for who, cases in sets.items()}
    tries = good = pure = 0
    for one, first in tracks.items():
        for other, second in tracks.items():
            if one == other or min(len(first), len(second)) < 4:
                continue
            half = min(6, len(first), len(second))
            both = np.concatenate([first[:half], second[:half]])
            cut = mixed_tracks.separated(_as_track(both), thresholds.below).track
            tries += 1
            good += bool((cut[:half] == cut[0]).all() and (cut[half:] != cut[0]).all())
    yield ("a track made of two people's", tries, good, "cut at that place")
    for faces in tracks.values():
        cut = mixed_tracks.separated(_as_track(faces), thresholds.below).track
        pure += int(cut.max()) == 0
    yield ("a track of one person", len(tracks), pure, "not cut")


def _longest(cases: Sequence[Case], embedding: str) -> np.ndarray:
    """The faces of the longest track of a person, in order of time."""
    best = np.zeros((0, 0))
    for case in cases:
        looked = case.looked
        good = (looked.weights >= 0.5) & (looked.track[looked.face_of] == 0)
        faces = getattr(looked, embedding)[good]
        best = faces if len(faces) > len(best) else best
    return best


def _as_track(faces: np.ndarray) -> Sightings:
    count = len(faces)
    of_faces = Faces(faces, np.arange(count), np.ones(count))
    return Sightings(np.zeros(count, int), np.arange(count) / 2.0, of_faces)
