"""What becomes of the subject's images, as tables: by scene and by view, beside simpler ways, and
how many show somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from bench import identity_rates as rates
from bench import identity_tables as tables
from bench.identity_cases import Trial
from bench.identity_tables import Counted, Table, counts_row
from ferrari.subject.face_weights import USABLE
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template


def counts(trials: Sequence[Trial]) -> list[Table]:
    """Images delivered on composed clips that the subject is in, by kind of scene."""
    scenes = tables.delivered(trials, lambda t: t.case.group)
    return [
        Table("Composed clips in which the subject is", _COMPOSED, tables.COUNTS, scenes),
        Table("The same, in three kinds", _KINDS, tables.COUNTS, tables.delivered(trials, kind)),
    ]


def against(trials: Sequence[Trial], made: Mapping[str, Template], rules: Rules) -> Table:
    """Ours beside baselines, on the composed clips in which the subject is."""
    ways = {
        "ours": lambda t: t.delivered,
        "largest (policy of the mode single)": tables.by_largest,
        "images that show the subject's face": lambda t: tables.by_own_face(
            t, made[t.subject], "sface", rules
        ),
        "everybody (chance)": lambda t: t.case.looked.delivered(),
    }
    rows = []
    for name, way in ways.items():
        counted = Counted()
        shown = [(way(t), t) for t in trials]
        for delivered, trial in shown:
            counted.add(trial, delivered)
        clips = [t.case.name for _, t in shown]
        own = np.array([int((d & t.own).sum()) for d, t in shown])
        there = np.array([len(t.there) for _, t in shown])
        reached = np.array([t.reached(d) for d, t in shown])
        images = np.array([int(d.sum()) for d, _ in shown])
        pictures = np.array([int((d & (t.case.who == t.subject) & ~t.own).sum()) for d, t in shown])
        recall = rates.by_clip(clips, lambda i, o=reached, n=there: o[i].sum() / n[i].sum())
        purity = rates.by_clip(
            clips, lambda i, o=own + pictures, n=images: o[i].sum() / max(n[i].sum(), 1)
        )
        row = counts_row(name, counted)
        rows.append((name, *row[3:9], _span(recall), _span(purity)))
    columns = ("", *tables.COUNTS[3:9], "recall, 95 %", "purity, 95 %")
    return Table("Beside simpler ways", _BASELINES, columns, rows)


def _span(pair: tuple[float, float]) -> str | None:
    return f"{pair[0]:.1%} to {pair[1]:.1%}" if pair[0] == pair[0] else None


def curve(trials: Sequence[Trial]) -> Table:
    """Purity at a recall, and recall at a purity, as the threshold is moved."""
    score, own, there, clips = tables.ranked(trials)
    by_clip = {name: 0 for name in clips}
    for trial in trials:
        by_clip[trial.case.name] = by_clip.get(trial.case.name, 0) + len(trial.there)
    each = np.array([by_clip[name] / clips.count(name) for name in clips])

    def expected(places: np.ndarray) -> float:
        return float(each[places].sum())

    asked = (
        ("purity at {:.0%} recall", rates.purity_at_recall, (0.5, 0.8, 0.9, 0.95)),
        ("recall at {:.1%} purity", rates.recall_at_purity, (0.995, 1.0)),
    )
    rows = []
    for text, measured, levels in asked:
        for level in levels:
            value = measured(score, own, there, level)
            span = rates.by_clip(
                clips,
                lambda i, of=measured, at=level: of(score[i], own[i], expected(i), at),
                draws=200,
            )
            rows.append((text.format(level), value, _span(span)))
    return Table("As the threshold moves", _MOVED, ("", "figure", "95 % by clip"), rows)


_VIEW_COLUMNS = ("", "images that could be", "delivered", "unsure", "refused", "recall")


def views(trials: Sequence[Trial]) -> Table:
    """The subject's own detections by view, size of the face, and people in the clip."""
    found: dict[str, list[int]] = {}
    for trial in trials:
        looked = trial.case.looked
        side, yaw = np.full(len(looked.view), np.nan), np.full(len(looked.view), np.nan)
        side[looked.face_of], yaw[looked.face_of] = looked.side_px, np.abs(looked.yaw)
        for at in np.flatnonzero(looked.delivered() & trial.own).tolist():
            said = trial.decision.detections[at].who
            hidden = _never_seen(trial)
            labels = [_view(bool(trial.case.back[at]), side[at], yaw[at], hidden)]
            labels.append(f"{trial.case.people} people in the clip")
            for label in labels:
                found.setdefault(label, [0, 0, 0])[
                    ("subject", "unsure", "not_subject").index(said)
                ] += 1
    rows = [
        (name, sum(counts), *counts, counts[0] / sum(counts))
        for name, counts in sorted(found.items())
    ]
    return Table("Composed clips: by what is seen of the subject", _VIEWS, _VIEW_COLUMNS, rows)


def kind(trial: Trial) -> str:
    """Which of three kinds of scene a clip is of."""
    if trial.case.group == "mirror":
        return "a mirror"
    if trial.case.group in ("turns", "twinbacks", "away", "solo", "passer"):
        return "somebody from behind"
    return "faces to be seen"


def _never_seen(trial: Trial) -> bool:
    """Whether no face of the subject that decides was found in the clip."""
    case = trial.case
    return not ((case.face_who == trial.subject) & (case.looked.weights >= USABLE)).any()


def _view(back: bool, side: float, yaw: float, hidden: bool) -> str:
    if hidden:
        return "no face of theirs in the whole clip"
    if back:
        return "from behind (face hidden), a face elsewhere in the clip"
    if np.isnan(side):
        return "no face found"
    if yaw >= 55:
        return "face in profile (55° and more)"
    if side < 40:
        return "face of less than 40 px"
    return "face of 40 px and more"


def bounds(trials: Sequence[Trial]) -> Table:
    """Images and tracks of somebody else, with the upper bound of their rate."""
    kinds = {
        "composed clips": [t for t in trials if t.case.group != "real"],
        "real clips": [t for t in trials if t.case.group == "real"],
    }
    kinds["all"] = trials
    rows = []
    for name, some in kinds.items():
        images = sum(int(t.delivered.sum()) for t in some)
        wrong = sum(int((t.delivered & (t.case.who != t.subject)).sum()) for t in some)
        accepted, bad, clips, bad_clips = 0, 0, set(), set()
        for trial in some:
            for track in np.unique(trial.tracks[trial.delivered]).tolist():
                inside = trial.delivered & (trial.tracks == track)
                accepted += 1
                bad += bool((trial.case.who[inside] != trial.subject).any())
            if trial.delivered.any():
                key = (trial.case.name, trial.subject)
                clips.add(key)
                if (trial.delivered & (trial.case.who != trial.subject)).any():
                    bad_clips.add(key)
        rows.append(
            (name, len(some), images, wrong, accepted, bad, rates.upper_bound(bad, accepted),
             len(clips), len(bad_clips), rates.upper_bound(len(bad_clips), len(clips)))
        )  # fmt: skip
    columns = ("", "subject and clip", "images", "of others", "tracks let in", "of others",
               "upper bound", "clips that gave images", "of others", "upper bound")  # fmt: skip
    return Table("Somebody else: how many, of how many", _BOUNDS, columns, rows)


def why(trials: Sequence[Trial]) -> Table:
    """What the subject's own images were refused or quarantined for."""
    found: dict[tuple[str, str], int] = {}
    for trial in trials:
        for at in np.flatnonzero(trial.case.looked.delivered() & trial.own).tolist():
            judged = trial.decision.detections[at]
            key = (judged.who, f"{judged.by or 'nothing'}: {judged.why}")
            found[key] = found.get(key, 0) + 1
    rows = [(who, why, count) for (who, why), count in sorted(found.items(), key=lambda i: -i[1])]
    return Table("On what evidence the subject's own images were judged", "Composed clips.",
                 ("judged", "by: why", "images"), rows)  # fmt: skip


_COMPOSED = (
    "By kind of scene. There: kept frames in which a quarter of the subject or more is seen, large "
    "enough to be cut out; what the detector misses counts. Pictures of them: the subject in a "
    "mirror or on a poster."
)
_KINDS = (
    "From behind: their own back where it was filmed; else a real head from behind, of somebody "
    "else, is put before the face."
)
_BASELINES = "The same clips. Intervals: clips drawn again, 1000 times."
_MOVED = "Images ranked by their track's likeness; those by clothes alone come last."
_VIEWS = "Detections of the subject, large enough to be cut out."
_BOUNDS = (
    "Upper bounds with 95 % confidence (Clopper and Pearson). Tracks of one clip, and one clip "
    "with several subjects, are not independent: read the bound by clip."
)
