"""How much a person should look at something: 0 (nothing speaks against it) to 1 (nobody knows).

It orders what the page shows, and decides nothing. A doubt is the largest of those below:

- a track of which nothing says clearly who it is: 0.9; where its evidence contradicts itself, 1;
- another track: how close its score lies to the threshold, 0.8 at it and 0 from 0.25 away on; what
  is not told by a face also 0.8 times what its sureness lacks to 1;
- a cut-out: 0.8 times the largest of these shares of a figure that is taken for bad: half of its
  pixels soft, a fiftieth of it in doubt as another person's, half of it outside the person that the
  gate saw;
- an image: 0.9 times that of its cut-out or its track, whichever is larger;
- what a rule refused and a person may take back: how close the value lies to the threshold, 0.8 at
  it and 0 at twice or at half of it; other refusals: 0;
- what a report remarks on: 0.9 at least. What a person decided already: 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ferrari.review.applying import TAKEN_BACK
from ferrari.subject import judgements

#: Of what a report remarks on.
FLAGGED = 0.9
_MOST = 0.8  # of what was decided by a figure
_CLEAR_BY = 0.25  # of similarities
_CONTRADICTED = frozenset(
    {
        *(judgements.FACES_DISAGREE, judgements.FACE_DIFFERS, judgements.TWO_FACES),
        *(judgements.TWO_AT_ONCE, judgements.LIKE_BOTH, judgements.CLOTHES_OF_TWO),
    }
)
#: What is taken for bad, of the figures of a cut-out.
_SOFT, _OTHERS, _OUTSIDE = 0.5, 0.02, 0.5
Row = Mapping[str, str]


def of_track(row: Row) -> float:
    """Of a row of the table of who is who."""
    if row["by"] == judgements.REVIEW:
        return 0.0
    if row["who"] == judgements.UNSURE:
        return 1.0 if row["why"] in _CONTRADICTED else FLAGGED
    score, threshold = number(row["score"]), number(row["threshold"])
    near = 1 - abs(score - threshold) / _CLEAR_BY  # NaN where there was nothing to measure
    told = 0.0 if row["by"] == judgements.FACE else 1 - number(row["sureness"])
    return _MOST * max(_share(near), _share(told))


def of_cutout(row: Row) -> float:
    """Of a row of cut-outs that is kept."""
    shares = (
        number(row["edge_fraction"]) / _SOFT,
        number(row["others_unsure"]) / _OTHERS,
        (1 - number(row["gate_iou"])) / _OUTSIDE,
    )
    return _MOST * max(map(_share, shares))


def of_image(cutout: float, track: float) -> float:
    """Of an image, by those of its cut-out and of its track."""
    return 0.9 * max(cutout, track)


def of_refusal(row: Row) -> float:
    """Of a row that is not kept."""
    value, threshold = number(row["value"]), number(row["threshold"])
    if row["reason"] not in TAKEN_BACK or not (value > 0 and threshold > 0):
        return 0.0
    return _MOST * _share(1 - abs(math.log2(value / threshold)))


def number(cell: str) -> float:
    """A cell's number; NaN for an empty one, or for text."""
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _share(value: float) -> float:
    """`value` within 0 to 1; 0 for NaN."""
    return min(1.0, max(0.0, value)) if value == value else 0.0
