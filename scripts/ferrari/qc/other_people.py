"""Other people's pixels in the cut-outs, counted by the boxes of stage 2, and people beside a
flicker.

A cut-out's pixel belongs to somebody else if it lies in another's box, and farther outside the
subject's box than boxes are ever wrong. This counts what must not be there by another rule than
stage 3's. Where two boxes overlap it sees nothing; there the stage's own doubt (`others_unsure`) is
used.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ferrari.images import boxes
from ferrari.ledger import item_ids
from ferrari.reports import thumbnails
from ferrari.reports.checks import WARN, Check, none_of
from ferrari.reports.page import Gallery

MAX_SHARE = 0.005  # of a cut-out's pixels; of composed pairs that were kept, none has 0.0003
SHOWN = 12
_REACH = 0.03  # of a box's longer side: how far outside it whom it shows may reach
_CORNERS = ["x1", "y1", "x2", "y2"]
_EDGES = (("crop_x2", "frame_width"), ("crop_y2", "frame_height"))

#: The subject's box and the others', in the crop's pixels; () where the crop's row has no box.
Beside = tuple[boxes.Box, tuple[boxes.Box, ...]] | tuple[()]


def beside(kept: pd.DataFrame, crops: pd.DataFrame) -> list[Beside]:
    """For each mask row of `kept` whose box is whose, by the rows of all detections (`crops`)."""
    known = crops[crops[_CORNERS].notna().all(axis=1)].drop_duplicates("item")
    frames = known["item"].map(item_ids.frame_of)
    corners = known[_CORNERS].to_numpy(float)
    of_item = dict(zip(known["item"], range(len(known)), strict=True))
    of_frame = {frame: list(at) for frame, at in known.groupby(frames).indices.items()}
    starts = known[["crop_x1", "crop_y1"]].to_numpy(float)
    found: list[Beside] = []
    for item in kept["parent"]:
        at = of_item.get(item)
        if at is None or not np.isfinite(starts[at]).all():
            found.append(())
            continue
        frame = item_ids.frame_of(item)
        others = [one for one in of_frame[frame] if one != at] if frame else []
        left, top = starts[at].tolist()
        mine, *theirs = (boxes.moved(tuple(corners[n]), -left, -top) for n in (at, *others))
        found.append((mine, tuple(theirs)))
    return found


def pixels(alpha_u8: np.ndarray, whose: Beside) -> tuple[int, float]:
    """How many of a cut-out's pixels (alpha over half) are others', and their share of all."""
    solid = alpha_u8 > 127
    total = int(solid.sum())
    if not whose or not whose[1] or not total:
        return 0, 0.0
    subject, others = whose
    theirs = np.zeros(solid.shape, bool)
    for other in others:
        theirs[_window(other, 0)] = True
    theirs[_window(subject, _REACH * max(subject[2] - subject[0], subject[3] - subject[1]))] = False
    count = int((solid & theirs).sum())
    return count, count / total


def _window(box: boxes.Box, margin: float) -> tuple[slice, slice]:
    x1, y1, x2, y2 = (
        max(0, round(v))
        for v in (box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin)
    )
    return slice(y1, y2), slice(x1, x2)


def check(kept: pd.DataFrame, seen: pd.DataFrame) -> Check:
    """Cut-outs that hold pixels of somebody else, as `pixels` found them (`seen`)."""
    share = _column(seen, "other_share", kept)
    count = int(_column(seen, "other_px", kept).sum())
    near = int((kept["others"].fillna(0) > 0).sum())
    highest = f", highest share {share.max():.2%}" if near else ""
    return none_of(
        "no_pixels_of_other_people",
        kept["item"][(share > MAX_SHARE).to_numpy(bool)],
        len(kept),
        "Cut-outs with pixels where another person's box is and the subject's is not. Others are "
        f"in the crops of {near:,} of {len(kept):,} cut-outs; where the boxes overlap, this count "
        "sees nothing.",
        otherwise=WARN,
        bound=f"at most {MAX_SHARE:.1%} of a cut-out's pixels",
        figure=f"{count:,} px in {int((share > 0).sum()):,} cut-outs{highest}",
    )


def _column(seen: pd.DataFrame, name: str, kept: pd.DataFrame) -> pd.Series:
    return seen[name] if name in seen else pd.Series(0.0, index=kept.index)


def gallery(root: Path, kept: pd.DataFrame, seen: pd.DataFrame) -> Gallery:
    """The cut-outs out of which, or in which, most is somebody else's."""
    table = kept.assign(px=_column(seen, "other_px", kept), left=_column(seen, "other_share", kept))
    table = table[table["others"].fillna(0) > 0]
    order = ["left", "others_unsure", "others_taken"]
    worst = table.sort_values(order, ascending=False, kind="stable").head(SHOWN)
    shown = [
        thumbnails.Thumb(
            line["item"],
            f"{line['others']:.0f} beside",
            detail=f"{line['px']:,.0f} px are theirs ({line['left']:.2%}); "
            f"{line['others_unsure']:.2%} in doubt; {line['others_taken']:.1%} was taken out",
            uri=thumbnails.data_uri(root / line["path"]),
        )
        for line in worst.to_dict("records")
    ]
    note = f"{len(shown)} of {len(table):,} cut-outs of crops with other people, worst first."
    return Gallery("Other people", note if shown else "Nobody else is in a crop.", shown)


def circumstances(kept: pd.DataFrame, items: Sequence[str]) -> str:
    """What may explain why a cut-out flickers: a phrase about it (one of `items`) and its
    neighbours.
    """
    some = kept[kept["item"].isin(items)]
    found = []
    if (some["others"].fillna(0) > 0).any():
        found.append("another person is in the crop")
    begins = (some[["crop_x1", "crop_y1"]] == 0).to_numpy().any()
    if begins or any((some[name] == some[end]).any() for name, end in _EDGES):
        found.append("the crop ends at the frame's edge")
    if (some["refined"] == 0).any():
        found.append("not refined")
    return ", ".join(found)
