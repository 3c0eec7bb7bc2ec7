"""How alike faces and tracks are to each person as the subject, and thresholds fitted on that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench import identity_people as people
from bench.identity_cases import NOBODY, Case
from bench.identity_look import Looked
from ferrari.subject.similarity import upper_third
from ferrari.subject.templates import Template, Thresholds

#: `above` lies this share of the way from the likest stranger to the least like track of a person.
ABOVE_AT = 0.5
#: Share of the tracks of strangers that `below` leaves to quarantine, where it costs no own track.
LEFT_UNSURE = 0.01


@dataclass(frozen=True)
class Scores:
    """Faces or tracks against templates: `score` (N), the `subject` and the `who` in it (N) str,
    whether that is one (`own`), the `clip`, and of faces `side_px` and `yaw`."""

    score: np.ndarray
    subject: np.ndarray
    who: np.ndarray
    clip: np.ndarray
    side_px: np.ndarray
    yaw: np.ndarray

    @property
    def own(self) -> np.ndarray:
        return self.subject == self.who

    def of(self, chosen: np.ndarray) -> Scores:
        """Some of them."""
        return Scores(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def templates(looked: Mapping[str, Looked], embedding: str) -> dict[str, Template]:
    """The template of each person from their part for references."""
    made = {}
    for who in people.PEOPLE:
        share = people.for_references(who)
        faces = people.references(looked[share.clip], share, embedding)
        made[who] = Template(faces, faces[:0])
    return made


def of_faces(
    cases: Iterable[Case], made: Mapping[str, Template], embedding: str, least: float = 0.5
) -> Scores:
    """Every face of a weight of `least` or more against every template."""
    rows = []
    for case in cases:
        looked = case.looked
        chosen = np.flatnonzero((looked.weights >= least) & (case.face_who != NOBODY))
        for subject, template in made.items():
            found = template.scores(getattr(looked, embedding)[chosen])
            rows += [
                (score, subject, case.face_who[i], case.name, looked.side_px[i], looked.yaw[i])
                for score, i in zip(found, chosen.tolist(), strict=True)
            ]
    return _scores(rows)


def of_tracks(cases: Iterable[Case], made: Mapping[str, Template], embedding: str) -> Scores:
    """Every track all of whose deciding faces are one person's against every template."""
    rows = []
    for case in cases:
        seen = case.looked.sightings(embedding)
        deciding, track_of = seen.deciding(), seen.track[seen.faces.detection]
        for track in range(seen.tracks):
            own = np.flatnonzero(deciding & (track_of == track))
            names = {str(name) for name in case.face_who[own]}
            if len(names) != 1 or NOBODY in names:
                continue
            side = float(np.median(case.looked.side_px[own]))
            yaw = float(np.median(np.abs(case.looked.yaw[own])))
            for subject, template in made.items():
                found = template.scores(seen.faces.embeddings[own])
                score = upper_third(found, seen.faces.weights[own])
                rows.append((score, subject, *names, case.name, side, yaw))
    return _scores(rows)


def _scores(rows: Sequence[tuple]) -> Scores:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    numbers = [np.array(columns[i], float) for i in (0, 4, 5)]
    words = [np.array(columns[i], dtype=object).astype(str) for i in (1, 2, 3)]
    return Scores(numbers[0], words[0], words[1], words[2], numbers[1], numbers[2])


def fitted(tracks: Scores) -> Thresholds:
    """Thresholds for tracks of some people.

    `above`: between the likest track of a stranger and the least like of a person's own. `below`:
    all but LEFT_UNSURE of strangers are less like; and it lies a tenth and more under `above`.
    """
    own, others = tracks.score[tracks.own], tracks.score[~tracks.own]
    likest, least = float(others.max()), float(np.quantile(own, 0.01))
    above = likest + ABOVE_AT * max(least - likest, 0.0)
    below = min(float(np.quantile(others, 1 - LEFT_UNSURE)), above - 0.02)
    return Thresholds(round(above, 3), round(below, 3))


def among(tracks: Scores, names: Iterable[str]) -> Scores:
    """Those in which both the subject and who is seen are of `names`."""
    some = list(names)
    return tracks.of(np.isin(tracks.subject, some) & np.isin(tracks.who, some))


def folds(count: int = 3) -> list[tuple[str, ...]]:
    """The people in groups, one of which is tested while the others fit."""
    names = people.PEOPLE
    edges = [round(i * len(names) / count) for i in range(count + 1)]
    return [names[a:b] for a, b in pairwise(edges)]
