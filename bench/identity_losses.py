"""What the subject's pictures are lost by: each that could have been an image and is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bench.identity_cases import Trial
from bench.identity_tables import Table

NO_BOX, SMALL = "no box of their own, face to be seen", "the box is too small to be cut out"
SMALL_FILM = "the box is too small, as what was filmed is: the body is painted"
NO_BOX_BACK = "no box of their own, from behind"
_ORDER = ("subject", "unsure", "not_subject")


def lost(trial: Trial) -> Iterator[str]:
    """Of each picture that shows the subject and gives no image of them: why."""
    looked = trial.case.looked
    reached = set(looked.view[trial.delivered & trial.own].tolist())
    backs = trial.case.backs.get(trial.subject, frozenset())
    for view in sorted(trial.there - reached):
        own = np.flatnonzero(trial.own & (looked.view == view))
        large = [at for at in own.tolist() if looked.delivered()[at]]
        if not len(own):
            yield NO_BOX_BACK if view in backs else NO_BOX
        elif not large:
            short = trial.case.cut_short.get(trial.subject, frozenset())
            yield SMALL_FILM if view in short else SMALL
        else:
            best = min(large, key=lambda at: _ORDER.index(trial.decision.detections[at].who))
            judged = trial.decision.detections[best]
            yield f"{judged.who}: {judged.why}"


def table(trials: Sequence[Trial], kind: Callable[[Trial], str]) -> Table:
    """Pictures lost by cause, in columns by kind of clip."""
    kinds = sorted({kind(trial) for trial in trials})
    counts: dict[str, Counter[str]] = {}
    there: Counter[str] = Counter()
    for trial in trials:
        there[kind(trial)] += len(trial.there)
        for why in lost(trial):
            counts.setdefault(why, Counter())[kind(trial)] += 1
    causes = sorted(counts, key=lambda why: (-counts[why].total(), why))
    rows = [(why, *[counts[why][one] for one in kinds], counts[why].total()) for why in causes]
    total = [sum(counts[why][one] for why in causes) for one in kinds]
    rows.append(("lost", *total, sum(total)))
    rows.append(("there", *[there[one] for one in kinds], there.total()))
    filmed = [trial_counts(trials, kind, one) for one in (*kinds, None)]
    rows.append((_FILMED, *[reached for _, reached in filmed]))
    rows.append((f"{_FILMED}: there", *[views for views, _ in filmed]))
    return Table("What the subject's pictures were lost by", _NOTE, ("", *kinds, "all"), rows)


def trial_counts(
    trials: Sequence[Trial], kind: Callable[[Trial], str], wanted: str | None
) -> tuple[int, int]:
    """Of pictures from the front in which nothing that matters is painted: how many there are, and
    in how many the subject is delivered.
    """
    there = reached = 0
    for trial in trials:
        if wanted is None or kind(trial) == wanted:
            case, looked = trial.case, trial.case.looked
            painted = case.backs.get(trial.subject, frozenset())
            painted |= case.cut_short.get(trial.subject, frozenset())
            views = trial.there - painted
            there += len(views)
            reached += len(views & set(looked.view[trial.delivered & trial.own].tolist()))
    return there, reached


_FILMED = "delivered, of pictures from the front, with no painted body that is wanted"


_NOTE = (
    "Composed clips, kept frames in which a quarter of the subject or more is to be seen. No box "
    "of their own: the detector finds nobody there, or gives one box to two."
)
