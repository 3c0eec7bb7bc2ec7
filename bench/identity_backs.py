"""Real people from behind: are they found, and does one face carry over to their backs?

One clip shows one person after the other, all filmed from behind; no face of theirs is known. So
each is given one: a made-up face in one frame, as if they had looked round there. What is then
delivered of them, and of the five others, is what tracks and clothes make of real backs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bench.identity_cases import Case, tried
from bench.identity_composed import SELF
from bench.identity_look import EMBEDDINGS, Eyes, Looked
from bench.identity_people import BACKS
from bench.identity_tables import Table
from ferrari.subject.judgements import Rules
from ferrari.subject.templates import Template

#: By eye: frames of it in which a head from behind is whole, and no body is in the picture yet. The
#: detector gives them no box.
MISSED = (230, 505, 925)
#: By eye: from when to when each of the six is there, seconds. In between nobody is.
VISITS = ((0, 21), (22, 48), (50, 72), (74, 90), (92, 121), (123, 140))
#: px, of the made-up face: large enough to decide.
_FACE_PX = 60.0


def found(looked: Looked) -> Table:
    """Of the kept frames in which somebody is: how many have a box."""
    with_box = set(looked.view[looked.kept[looked.view]].tolist())
    told = set(np.flatnonzero(looked.kept & np.isin(looked.frame, MISSED)).tolist())
    large = set(looked.view[looked.delivered()].tolist())
    there = with_box | told
    row = (BACKS, len(there), len(with_box), len(large), len(with_box) / max(len(there), 1))
    columns = ("", "frames with somebody from behind", "with a box", "large enough", "found")
    return Table("Real backs", _FOUND, columns, [row])


def carried(looked: Looked, rules: Rules) -> Table:
    """What one face makes of each person's backs; the last row is of all."""
    who = _whose(looked)
    rows, sums = [], np.zeros(5)
    for number in range(len(VISITS)):
        name = str(number)
        mine = np.flatnonzero(looked.delivered() & (who == name))
        if not len(mine):
            continue
        own, others = np.array(list(_delivered(looked, who, name, rules)), int).T
        rows.append((f"person {number + 1}", len(mine), float(own.mean()) / len(mine),
                     int(own.min()), int(own.max()), int(others.max())))  # fmt: skip
        sums += len(mine), own.mean(), own.min(), own.max(), others.max()
    rows.append(
        ("all", int(sums[0]), float(sums[1] / max(sums[0], 1)), *sums[2:].astype(int).tolist())
    )
    columns = ("", "images there", "delivered", "least", "most", "of others, at most")
    return Table("Real backs, with a face in one frame", _CARRIED, columns, rows)


def _whose(looked: Looked) -> np.ndarray:
    """(N,) str: the number of the person in each detection."""
    at_s = looked.time_s[looked.view]
    starts = np.array([begin for begin, _ in VISITS])
    return (np.searchsorted(starts, at_s, side="right") - 1).astype(str)


def _delivered(
    looked: Looked, who: np.ndarray, name: str, rules: Rules
) -> Iterator[tuple[int, int]]:
    """How many images are delivered of a person, and of others, with the face in each in turn."""
    face = np.zeros((1, Eyes.dimensions["sface"]), np.float32)
    face[0, 0] = 1.0
    template = Template(np.repeat(face, 3, axis=0), face[:0])
    for at in np.flatnonzero(looked.delivered() & (who == name)).tolist():
        seen = _with_face(looked, at, face)
        case = Case(BACKS, "real", seen, who, np.full(len(who), SELF, object),
                    np.ones(len(who), bool), np.array([name]), {}, 1)  # fmt: skip
        images = tried(case, name, template, rules, "sface").delivered
        yield int((images & (who == name)).sum()), int((images & (who != name)).sum())


def _with_face(looked: Looked, at: int, face: np.ndarray) -> Looked:
    """The clip with no face but one, from the front, in a detection."""
    return replace(
        looked,
        face_of=np.array([at]),
        score=np.ones(1),
        yaw=np.zeros(1),
        clarity=np.ones(1),
        side_px=np.array([_FACE_PX]),
        face_box=np.zeros((1, 4)),
        **dict.fromkeys(EMBEDDINGS, face),
    )


_FOUND = (
    "A real clip of one person after the other from behind, each frame looked at. What is left of "
    "somebody at the picture's edge (hair, a foot) does not count. No face is known of any of them."
)
_CARRIED = (
    "The same clip. A made-up face is put into one frame of a person, in each of theirs in turn: "
    "what is delivered on average, at the least and most, and of the five others."
)
