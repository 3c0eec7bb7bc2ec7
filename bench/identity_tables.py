"""The tables of `make identity`, from cases and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import identity_rates as rates
from bench.identity_cases import NOBODY, Case, Trial, tried
from bench.identity_composed import SELF
from bench.identity_scores import Scores, among, fitted, folds
from ferrari.subject import judgements as j
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template

Cell = str | float | int | None


@dataclass(frozen=True)
class Table:
    """A table with what it shows: shares are given as such, 0 to 1."""

    name: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]] = field(default_factory=tuple)


# --- faces ----------------------------------------------------------------------------------------


def of_scores(name: str, note: str, groups: Mapping[str, Scores]) -> Table:
    """How far own scores and others' lie apart, a row a group."""
    columns = ("", "own", "others", "AUC", "EER", "own: least", "own: 1 %", "own: median",
               "others: 99 %", "others: most")  # fmt: skip
    rows = []
    for label, some in groups.items():
        own, others = some.score[some.own], some.score[~some.own]
        if not len(own) or not len(others):
            rows.append((label, len(own), len(others), *[None] * 7))
            continue
        spread = (own.min(), np.quantile(own, 0.01), np.median(own))
        tail = (np.quantile(others, 0.99), others.max())
        error = rates.equal_error(own, others)[0]
        figures = (rates.area(own, others), error, *spread, *tail)
        rows.append((label, len(own), len(others), *map(float, figures)))
    return Table(name, note, columns, rows)


def of_errors(name: str, faces: Scores, tracks: Scores, thresholds: Sequence[float]) -> Table:
    """Misses and false accepts as the threshold moves, of faces and of tracks."""
    curves = [
        rates.det(some.score[some.own], some.score[~some.own], thresholds)
        for some in (faces, tracks)
    ]
    rows = [(f"{one[0]:.2f}", *one[1:], *two[1:]) for one, two in zip(*curves, strict=True)]
    columns = ("threshold", "faces missed", "others' let in", "tracks missed", "others' let in")
    return Table(name, "The DET curve as a table.", columns, rows)


def by_size_and_turn(faces: Scores) -> dict[str, Scores]:
    """Faces by the px of their short side, and by how far they are turned."""
    yaw, side = np.abs(faces.yaw), faces.side_px
    return {
        "20 to 30 px": faces.of((side >= 20) & (side < 30)),
        "30 to 40 px": faces.of((side >= 30) & (side < 40)),
        "40 to 60 px": faces.of((side >= 40) & (side < 60)),
        "60 px and more": faces.of(side >= 60),
        "turned 0 to 15°": faces.of((side >= 40) & (yaw < 15)),
        "turned 15 to 30°": faces.of((side >= 40) & (yaw >= 15) & (yaw < 30)),
        "turned 30 to 55°": faces.of((side >= 40) & (yaw >= 30) & (yaw < 55)),
        "turned 55° and more": faces.of((side >= 40) & (yaw >= 55)),
    }


def of_folds(tracks: Scores, names: Sequence[str]) -> Table:
    """Thresholds fitted on some people, and what they do to the tracks of others."""
    columns = ("tested on", "above", "below", "own tracks", "subject", "unsure", "refused",
               "others' tracks", "let in", "unsure", "refused")  # fmt: skip
    rows = []
    for tested in folds():
        rest = [name for name in names if name not in tested]
        found = fitted(among(tracks, rest))
        strangers = set(tracks.who.tolist()) - set(rest)
        some = tracks.of(
            np.isin(tracks.subject, tested) & np.isin(tracks.who, [*strangers, *tested])
        )
        row: list[Cell] = [", ".join(tested), found.above, found.below]
        for chosen in (some.own, ~some.own):
            score = some.score[chosen]
            inside = int((score >= found.above).sum())
            refused = int((score < found.below).sum())
            row += [len(score), inside, len(score) - inside - refused, refused]
        rows.append(row)
    every = fitted(among(tracks, names))
    rows.append(["fitted on all, for comparison", every.above, every.below, *[None] * 8])
    return Table("Thresholds fitted on some people, tested on others", _FOLDS, columns, rows)


_FOLDS = (
    "Tracks of composed and real clips. Nobody who is tested, as the subject or as somebody else, "
    "was there when the thresholds were fitted."
)


# --- delivered images -----------------------------------------------------------------------------


@dataclass
class Counted:
    """Sums over trials: images delivered by what they show, and what became of the subject."""

    clips: set = field(default_factory=set)
    there: int = 0
    reached: int = 0
    own: int = 0
    picture: int = 0
    other: int = 0
    unsure: int = 0
    refused: int = 0
    detections: int = 0
    quarantined: int = 0
    other_clips: set = field(default_factory=set)

    def add(self, trial: Trial, delivered: np.ndarray) -> None:
        case = trial.case
        can, own = case.looked.delivered(), trial.own
        picture = (case.who == trial.subject) & ~own
        who = np.array([one.who for one in trial.decision.detections], object)
        self.clips.add(case.name)
        self.there += len(trial.there)
        self.reached += trial.reached(delivered)
        self.own += int((delivered & own).sum())
        self.picture += int((delivered & picture).sum())
        other = delivered & ~own & ~picture
        self.other += int(other.sum())
        if other.any():
            self.other_clips.add(case.name)
        self.unsure += int((can & own & (who == j.UNSURE)).sum())
        self.refused += int((can & own & (who == j.NOT_SUBJECT)).sum())
        self.detections += int(can.sum())
        self.quarantined += int((can & (who == j.UNSURE)).sum())

    @property
    def images(self) -> int:
        return self.own + self.picture + self.other

    @property
    def recall(self) -> float | None:
        return self.reached / self.there if self.there else None

    @property
    def purity(self) -> float | None:
        return (self.own + self.picture) / self.images if self.images else None


COUNTS = ("", "clips", "there", "delivered", "own", "pictures of them", "somebody else", "recall",
          "purity", "own unsure", "own refused", "quarantined")  # fmt: skip


def counts_row(label: str, counted: Counted) -> list[Cell]:
    """A row of COUNTS."""
    share = counted.quarantined / counted.detections if counted.detections else None
    return [
        label, len(counted.clips), counted.there, counted.images, counted.own, counted.picture,
        counted.other, counted.recall, counted.purity, counted.unsure, counted.refused, share,
    ]  # fmt: skip


def delivered(trials: Iterable[Trial], label: Callable[[Trial], str]) -> list[list[Cell]]:
    """Rows of COUNTS by label, and of all."""
    groups: dict[str, Counted] = {}
    for trial in trials:
        for name in (label(trial), "all"):
            groups.setdefault(name, Counted()).add(trial, trial.delivered)
    order = sorted(name for name in groups if name != "all")
    return [counts_row(name, groups[name]) for name in (*order, "all") if name in groups]


def by_largest(trial: Trial) -> np.ndarray:
    """What the policy `largest` delivers: in each frame whose track is largest on average."""
    looked = trial.case.looked
    sides = looked.box[:, 2:] - looked.box[:, :2]
    sizes = sides.prod(axis=1)
    tracks = int(looked.track.max()) + 1 if len(looked.track) else 0
    mean = np.array([sizes[looked.track == t].mean() for t in range(tracks)])
    found = np.zeros(len(sizes), bool)
    for view in np.flatnonzero(looked.kept):
        inside = np.flatnonzero(looked.view == view)
        if len(inside):
            found[inside[mean[looked.track[inside]].argmax()]] = True
    return found & looked.delivered()


def by_own_face(trial: Trial, template: Template, embedding: str, rules: Rules) -> np.ndarray:
    """What a filter delivers that wants the subject's face in each image."""
    looked = trial.case.looked
    like = template.scores(getattr(looked, embedding)) >= rules.thresholds.above
    found = np.zeros(len(looked.view), bool)
    found[looked.face_of[like]] = True
    return found & looked.delivered()


def ranked(trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray, int, list[str]]:
    """Score, whether it is the subject, appearances, and clip of all that could be delivered.

    The score is the track's by its faces; an image by clothes alone is accepted last of all.
    """
    scores, own, clips = [], [], []
    for trial in trials:
        for at in np.flatnonzero(trial.case.looked.delivered()).tolist():
            if trial.case.who[at] == NOBODY or trial.case.kind[at] != SELF:
                continue
            judged = trial.decision.tracks[int(trial.tracks[at])]
            said = trial.decision.detections[at].who == j.SUBJECT
            of_face = judged.by == j.FACE and judged.why != j.TWO_AT_ONCE
            scores.append(judged.score if of_face else -0.99 if said else -np.inf)
            own.append(trial.case.who[at] == trial.subject)
            clips.append(trial.case.name)
    there = sum(len(trial.there) for trial in trials)
    return np.array(scores, float), np.array(own, bool), there, clips


def trials_of(
    cases: Sequence[Case], made: Mapping[str, Template], rules: Rules, embedding: str,
    wanted: Callable[[Case, str], bool] = lambda case, subject: True,
) -> list[Trial]:  # fmt: skip
    """Each person as the subject of each clip."""
    return [
        tried(case, subject, template, rules, embedding)
        for case in cases
        for subject, template in made.items()
        if wanted(case, subject)
    ]
