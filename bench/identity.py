"""How surely it is told who somebody is: `python -m bench.identity` (`make identity`).

Real people, each as the subject against all others, and clips composed of them. Everything that
networks see is cached in the work folder, so that a second run takes seconds. Writes identity.json
and identity.html, into bench/ after a run in full, else into the work folder, and prints the tables
in Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench import (
    identity_backs,
    identity_drawn,
    identity_losses,
    identity_page,
    identity_tracks,
    peers,
)
from bench import identity_cast as cast
from bench import identity_controls as checks
from bench import identity_people as people
from bench import identity_rates as rates
from bench import identity_scores as scoring
from bench import identity_tables as tables
from bench.identity_cases import Case, Trial, composed_case, real_case
from bench.identity_composed import Composed
from bench.identity_look import Eyes, Looked, looked_at
from bench.identity_tables import Counted, Table, counts_row, trials_of
from bench.measure import PeerMissingError
from ferrari.images import image_files
from ferrari.networks import weight_files
from ferrari.subject.face_weights import USABLE
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template, Thresholds

_HERE = Path(__file__).parent


@dataclass
class Study:
    """All that is measured: clips as they were looked at, cases, and templates by embedding."""

    looked: Mapping[str, Looked]
    real: Sequence[Case]
    composed: Sequence[Case]
    filmed: Sequence[Composed]
    made: Mapping[str, Mapping[str, Template]]
    work: Path
    drawn: int

    @property
    def cases(self) -> list[Case]:
        return [*self.real, *self.composed]


def gathered(work: Path, quick: bool, log=print) -> Study:
    """Look at all clips, or take them from the cache; PeerMissingError where they are not here."""
    work.mkdir(parents=True, exist_ok=True)
    eyes, files, told = Eyes(work), people.clips(), people.told()
    log("real clips")
    looked = looked_at(eyes, work, files, log)
    log("composed clips")
    clips = cast.filmed_together(eyes, work, files, cast.trios(quick), log)
    seen = looked_at(eyes, work, {clip.path.name: clip.path for clip in clips}, log)
    real = [
        real_case(share.clip, looked[share.clip], who, share, told)
        for who in people.PEOPLE
        for share in people.for_tests(who)
    ]
    real += [real_case(clip, looked[clip], "strangers", None, told) for clip in people.OTHERS]
    composed = [composed_case(clip, seen[clip.path.name]) for clip in clips]
    made = {name: scoring.templates(looked, name) for name in ("sface", "faceres")}
    for name, templates in made.items():
        templates |= _pictured(eyes, name)
    return Study(looked, real, composed, clips, made, work, 1 if quick else len(_SEEDS))


def _pictured(eyes: Eyes, embedding: str) -> dict[str, Template]:
    """Templates of one picture each."""
    folder = peers.shared()
    assert folder is not None
    found = {}
    for who, file in people.PICTURED.items():
        picture = image_files.read(folder / "media" / file)[..., :3]
        model = eyes.models[embedding]
        faces = sorted(model.find(picture), key=lambda face: -face.short_side)[:1]
        members = model.embed(picture, faces)
        found[who] = Template(members, members[:0])
    return found


def rules_of(embedding: str) -> Rules:
    """With the thresholds that models.yaml has for an embedding."""
    entry = weight_files.table()["models"][embedding]
    return Rules(Thresholds(float(entry["above"]), float(entry["below"])))


def measured(study: Study, log=print) -> list[Table]:
    """All tables, in their order on the page."""
    rules, made = rules_of("sface"), study.made["sface"]
    found = [*_score_tables(study)]
    log("decisions")
    trials = trials_of(study.cases, made, rules, "sface")
    several = [t for t in trials if t.case.group != "real" and _there(t)]
    found += [
        Table("Composed clips in which the subject is", _COMPOSED, tables.COUNTS,
              tables.delivered(several, lambda t: t.case.group)),
        Table("The same, in three kinds", _KINDS, tables.COUNTS,
              tables.delivered(several, _kind)),
        _frozen(study),
        _against(several, made, rules),
        _curve(several),
        Table("Composed clips: by what is seen of the subject", _VIEWS, _VIEW_COLUMNS,
              _views(several, made, rules)),
        Table("Composed clips without the subject", _ABSENT, tables.COUNTS,
              tables.delivered([t for t in trials if t.case.group != "real" and not _there(t)],
                               lambda t: "any other of the thirteen")),
        Table("Real clips", _REAL, tables.COUNTS,
              tables.delivered([t for t in trials if t.case.group == "real"], _real_label)),
        _bounds(trials),
        _why(several),
        identity_losses.table(several, _kind),
        identity_backs.found(study.looked[people.BACKS]),
        identity_backs.carried(study.looked[people.BACKS], rules),
        identity_tracks.table(study.filmed, {case.name: case for case in study.composed}),
    ]  # fmt: skip
    sets = _whole_sets(study)
    strangers = next(case for case in study.real if "one-by-one" in case.name)
    found.append(checks.one_person_sets(sets, strangers, rules, "sface"))
    found.append(checks.turned_away(sets, study.composed, rules, "sface"))
    found.append(checks.controls(study.looked, sets, _of_eleven(made), rules, "sface"))
    log("the generator's people")
    found.append(identity_drawn.table(study.work / "generator", _SEEDS[: study.drawn], log))
    return found


def _score_tables(study: Study) -> list[Table]:
    found = []
    for name, made in study.made.items():
        faces = scoring.of_faces(study.cases, made, name, least=0.0)
        usable = scoring.of_faces(study.cases, made, name)
        tracks = scoring.of_tracks(study.cases, made, name)
        groups = {"faces that decide": usable, "tracks": tracks, **tables.by_size_and_turn(faces)}
        found.append(tables.of_scores(f"Likeness by {name}", _SCORES, groups))
        low, high = _MOVES[name]
        found.append(
            tables.of_errors(f"Errors by {name}", usable, tracks, np.linspace(low, high, 13))
        )
        folds = tables.of_folds(tracks, people.PEOPLE)
        found.append(Table(f"{folds.name}: {name}", folds.note, folds.columns, folds.rows))
    return found


def _frozen(study: Study) -> Table:
    """Composed clips, each subject under thresholds that were fitted without them."""
    made = study.made["sface"]
    tracks = scoring.of_tracks(study.cases, made, "sface")
    rows, every = [], Counted()
    for tested in scoring.folds():
        rest = [name for name in people.PEOPLE if name not in tested]
        found = scoring.fitted(scoring.among(tracks, rest))
        some = {who: made[who] for who in tested}
        counted = Counted()
        for trial in trials_of(study.composed, some, Rules(found), "sface"):
            for each in (counted, every):
                each.add(trial, trial.delivered)
        label = f"{', '.join(tested)}: {found.above:g} and {found.below:g}"
        rows.append(counts_row(label, counted))
    rows.append(counts_row("all", every))
    return Table("Thresholds fitted without the subject", _FROZEN, tables.COUNTS, rows)


def _of_eleven(made: Mapping[str, Template]) -> dict[str, Template]:
    return {who: made[who] for who in people.PEOPLE}


def _there(trial: Trial) -> bool:
    return bool(trial.there)


def _real_label(trial: Trial) -> str:
    if trial.subject in people.PICTURED:
        inside = "hamilton" in trial.case.name
        return f"{trial.subject}, one picture: " + ("his clip" if inside else "other clips")
    if _there(trial):
        return "own clips, tests apart from references"
    return "others' clips" if trial.case.name not in people.OTHERS else "clips of strangers"


def _whole_sets(study: Study) -> dict[str, list[Case]]:
    told = people.told()
    whole = people.Share
    return {
        who: [real_case(clip, study.looked[clip], who, whole(clip), told)
              for clip in people.clips_of(who)]
        for who in people.PEOPLE
    }  # fmt: skip


def _against(trials: Sequence[Trial], made: Mapping[str, Template], rules: Rules) -> Table:
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


def _curve(trials: Sequence[Trial]) -> Table:
    """Purity at a recall, and recall at a purity, as the threshold is moved."""
    score, own, there, clips = tables.ranked(trials)
    by_clip = {name: 0 for name in clips}
    for trial in trials:
        by_clip[trial.case.name] = by_clip.get(trial.case.name, 0) + len(trial.there)
    each = np.array([by_clip[name] / clips.count(name) for name in clips])

    def expected(places: np.ndarray) -> float:
        return float(each[places].sum())

    rows = []
    for recall in (0.5, 0.8, 0.9, 0.95):
        value = rates.purity_at_recall(score, own, there, recall)
        span = rates.by_clip(
            clips,
            lambda i, r=recall: rates.purity_at_recall(score[i], own[i], expected(i), r),
            draws=200,
        )
        rows.append((f"purity at {recall:.0%} recall", value, _span(span)))
    for purity in (0.995, 1.0):
        value = rates.recall_at_purity(score, own, there, purity)
        span = rates.by_clip(
            clips,
            lambda i, p=purity: rates.recall_at_purity(score[i], own[i], expected(i), p),
            draws=200,
        )
        rows.append((f"recall at {purity:.1%} purity", value, _span(span)))
    return Table("As the threshold moves", _MOVED, ("", "figure", "95 % by clip"), rows)


_VIEW_COLUMNS = ("", "images that could be", "delivered", "unsure", "refused", "recall")


def _views(trials: Sequence[Trial], made: Mapping[str, Template], rules: Rules) -> list[tuple]:
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
    return [
        (name, sum(counts), *counts, counts[0] / sum(counts))
        for name, counts in sorted(found.items())
    ]


def _kind(trial: Trial) -> str:
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


def _bounds(trials: Sequence[Trial]) -> Table:
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


def _why(trials: Sequence[Trial]) -> Table:
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


#: Of the generator's people: none is of the demo, whose seed is 0.
_SEEDS = (31, 32, 33, 34)
#: Between which the threshold of an embedding is moved.
_MOVES = {"sface": (0.20, 0.68), "faceres": (0.48, 0.72)}
_SCORES = (
    "Test faces and tracks of real and composed clips, each against each person's template of up "
    "to six faces from elsewhere. Own: of the subject; others: of anybody else."
)
_KINDS = "From behind: a real head from behind, of somebody else, is put before the face."
_FROZEN = (
    "All composed clips, with the subject and without, under `above` and `below` that were fitted "
    "on tracks of the other people."
)
_COMPOSED = (
    "By kind of scene. There: kept frames in which a quarter of the subject or more is seen, large "
    "enough to be cut out; what the detector misses counts. Pictures of them: the subject in a "
    "mirror or on a poster."
)
_BASELINES = "The same clips. Intervals: clips drawn again, 1000 times."
_MOVED = "Images ranked by their track's likeness; those by clothes alone come last."
_VIEWS = "Detections of the subject, large enough to be cut out."
_ABSENT = "Each of the others as the subject: nothing of these clips may be delivered."
_REAL = "Each of the eleven as the subject of all clips, and two men with one picture each."
_BOUNDS = (
    "Upper bounds with 95 % confidence (Clopper and Pearson). Tracks of one clip, and one clip "
    "with several subjects, are not independent: read the bound by clip."
)


def main(given: Sequence[str] | None = None) -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.identity", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few composed clips")
    parser.add_argument("--work", type=Path, default=_HERE / "work/identity")
    parser.add_argument("--out", type=Path, help="where identity.json and .html go")
    options = parser.parse_args(given)
    out = options.out or (options.work if options.quick else _HERE)
    try:
        study = gathered(options.work.resolve(), options.quick)
    except PeerMissingError as missing:
        print(f"nothing measured: {missing}")
        return 1
    found = measured(study)
    identity_page.write(out, found, options.quick)
    print(identity_page.markdown(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
