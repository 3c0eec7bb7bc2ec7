"""Tracks of composed clips against the people who are there: HOTA, IDF1, and what is mixed.

The boxes are those of the pipeline's detector, so what it misses counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench import tracks
from bench.identity_cases import NOBODY, Case
from bench.identity_composed import SELF, Composed
from bench.identity_look import Looked
from bench.identity_tables import Table
from bench.track_metrics import Labelled, hota, idf1, switches
from bench.tracks import Places
from ferrari.subject.tracks import Moment

#: Least share of a person that is to be seen to be counted as there.
_VISIBLE = 0.25
_COLUMNS = ("", "clips", "people", "tracks", "mixed", "switches", "HOTA", "AssA", "IDF1")
_NOTE = (
    "All pictures, six a second, those between the kept frames too. Mirrors and posters are "
    "neither people nor mistakes. Overlap alone: the same boxes by the largest overlap."
)


def table(clips: Sequence[Composed], cases: Mapping[str, Case]) -> Table:
    """A row for each kind of scene and way to link, and of all."""
    groups: dict[str, list[tuple[Composed, Case]]] = {}
    for clip in clips:
        case = cases[clip.path.stem]
        for name in (case.group, "all"):
            groups.setdefault(name, []).append((clip, case))
    order = [*sorted(name for name in groups if name != "all"), "all"]
    ways = {"overlap alone": by_overlap, "ours": ours}
    rows = [
        (f"{name}: {said}", *_figures(groups[name], way))
        for name in order
        for said, way in ways.items()
    ]
    return Table("Tracks on composed clips", _NOTE, _COLUMNS, rows)


def ours(looked: Looked) -> list[Places]:
    """The tracks as they were linked: (picture, place of the detection) each."""
    return [
        [(int(looked.view[at]), at) for at in np.flatnonzero(looked.track == track).tolist()]
        for track in range(int(looked.track.max(initial=-1)) + 1)
    ]


def by_overlap(looked: Looked) -> list[Places]:
    """The baseline's tracks of the same boxes."""
    inside = [np.flatnonzero(looked.view == view) for view in range(len(looked.time_s))]
    moments = [
        Moment(float(time_s), looked.box[at], looked.confidence[at], looked.box[at], False)
        for time_s, at in zip(looked.time_s, inside, strict=True)
    ]
    return [
        [(view, int(inside[view][at])) for view, at in one] for one in tracks.by_overlap(moments)
    ]


def _figures(some: Sequence[tuple[Composed, Case]], way) -> tuple:
    sums, rates = np.zeros(4, int), []
    for clip, case in some:
        truth = _truth(clip, case.looked)
        counted = (case.kind == SELF) & (case.who != NOBODY)
        found = [[at for _, at in one if counted[at]] for one in way(case.looked)]
        found = [one for one in found if one]
        shown = [case.who[one].tolist() for one in found]
        people = len({number for one in truth for number in one.numbers})
        mixed = sum(len(set(one)) > 1 for one in shown)
        sums += [people, len(found), mixed, sum(map(switches, shown))]
        labelled = _labelled(case.looked, found)
        score = hota(truth, labelled)
        rates.append((score.hota, score.association, idf1(truth, labelled)))
    return (len(some), *sums.tolist(), *(round(float(r), 3) for r in np.mean(rates, axis=0)))


def _truth(clip: Composed, looked: Looked) -> list[Labelled]:
    """Who is there in each picture, by number; boxes in shares of the frame."""
    names = sorted({one.who for frame in clip.truth for one in frame})
    found = []
    for frame in looked.frame.tolist():
        there = [s for s in clip.truth[frame] if s.kind == SELF and s.visible >= _VISIBLE]
        boxes = np.array([one.box for one in there], float).reshape(-1, 4)
        found.append(Labelled([names.index(one.who) for one in there], boxes))
    return found


def _labelled(looked: Looked, found: Sequence[Sequence[int]]) -> list[Labelled]:
    by_view: dict[int, list[tuple[int, int]]] = {}
    for number, one in enumerate(found):
        for at in one:
            by_view.setdefault(int(looked.view[at]), []).append((number, at))
    return [
        Labelled(
            [number for number, _ in by_view.get(view, ())],
            looked.box[[at for _, at in by_view.get(view, ())]].reshape(-1, 4),
        )
        for view in range(len(looked.time_s))
    ]
