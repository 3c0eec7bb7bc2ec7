"""`python -m bench.tracks`: tracks of drawn crossings against the truth, beside overlap alone.

A switch is two detections in a row of one track that show two people: what must not be. HOTA and
IDF1 also count against it that a person is in several tracks, which is what a cut costs.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from bench import crossings
from bench.crossings import Clip, Scene
from bench.track_metrics import Labelled, hota, idf1, switches
from ferrari.subject import linking
from ferrari.subject.tracks import Moment, link

_BASELINE_OVERLAP, _BASELINE_GAP_S = 0.3, 1.0
Places = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Figures:
    """Of one way to link, over some clips."""

    tracks: int
    people: int
    mixed: int
    switches: int
    hota: float
    association: float
    idf1: float


def by_overlap(moments: Sequence[Moment]) -> list[Places]:
    """The baseline: the largest sum of overlaps with the last boxes, tracks live for a second."""
    tracks: list[list[tuple[int, int]]] = []
    for number, moment in enumerate(moments):
        alive = [
            one for one in tracks if moment.time_s - moments[one[-1][0]].time_s <= _BASELINE_GAP_S
        ]
        last = np.array([moments[m].boxes_xyxy[d] for m, d in (one[-1] for one in alive)])
        near = linking.overlaps(last.reshape(-1, 4), moment.boxes_xyxy)
        taken = set()
        for row, column in zip(*linear_sum_assignment(near, maximize=True), strict=True):
            if near[row, column] >= _BASELINE_OVERLAP:
                alive[row].append((number, int(column)))
                taken.add(column)
        tracks += [[(number, at)] for at in range(len(moment.confidences)) if at not in taken]
    return tracks


def ours(moments: Sequence[Moment]) -> list[Places]:
    """What the pipeline does."""
    return [track.places for track in link(moments)]


def judge(clips: Sequence[Clip], way) -> Figures:
    """Sums over clips of tracks, people and faults; means of the measures."""
    rows = []
    for clip in clips:
        tracks = way(clip.moments)
        shown = [[clip.shows[m][d] for m, d in places] for places in tracks]
        found = _labelled(clip.moments, tracks)
        score = hota(clip.truth, found)
        mixed = sum(len(set(one)) > 1 for one in shown)
        faults = sum(switches(one) for one in shown)
        people = len({number for one in clip.truth for number in one.numbers})
        one = (len(tracks), people, mixed, faults)
        rows.append((*one, score.hota, score.association, idf1(clip.truth, found)))
    table = np.array(rows, float)
    sums, means = table[:, :4].sum(axis=0).astype(int).tolist(), table[:, 4:].mean(axis=0).tolist()
    return Figures(*sums, *means)


def _labelled(moments: Sequence[Moment], tracks: Sequence[Places]) -> list[Labelled]:
    at = [{d: n for n, places in enumerate(tracks) for m, d in places if m == number}
          for number in range(len(moments))]  # fmt: skip
    return [
        Labelled([of[d] for d in range(len(moment.confidences))], moment.boxes_xyxy)
        for of, moment in zip(at, moments, strict=True)
    ]


def scenes(seeds: range) -> dict[str, list[Scene]]:
    """By group: pairs in different clothes, twins, crowds."""
    found = defaultdict(list)
    for seed in seeds:
        found["two people"] += crossings.pairs(seed, twins=False)
        found["twins"] += crossings.pairs(seed, twins=True)
        found["crowds of six"].append(crossings.crowd(seed))
    return found


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=10, help="how many times each scene is drawn")
    asked.add_argument("--first", type=int, default=0, help="the first seed")
    args = asked.parse_args()
    print("| clips | way | clips | people | tracks | mixed | switches | HOTA | AssA | IDF1 |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for group, some in scenes(range(args.first, args.first + args.seeds)).items():
        clips = [crossings.film(scene) for scene in some]
        for name, way in (("overlap", by_overlap), ("ours", ours)):
            of = judge(clips, way)
            cells = (group, name, len(clips), of.people, of.tracks, of.mixed, of.switches)
            rates = (of.hota, of.association, of.idf1)
            print("|", " | ".join([*map(str, cells), *(f"{rate:.3f}" for rate in rates)]), "|")


if __name__ == "__main__":
    main()
