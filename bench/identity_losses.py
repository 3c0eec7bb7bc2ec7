"""What the subject's pictures are lost by: each that could have been an image and is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from bench.identity_cases import Trial
from bench.identity_tables import Table

NO_BOX, SMALL = "no box of their own, face to be seen", "the box is too small to be cut out"
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
            yield SMALL
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
    return Table("What the subject's pictures were lost by", _NOTE, ("", *kinds, "all"), rows)


_NOTE = (
    "Composed clips, kept frames in which a quarter of the subject or more is to be seen. No box "
    "of their own: the detector finds nobody there, or gives one box to two."
)
