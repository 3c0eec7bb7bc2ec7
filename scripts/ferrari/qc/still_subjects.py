"""A clip whose subject never moves while somebody else does: a picture, a mirror or a mannequin?

`detect.policy` takes the largest or most central person of a clip. A poster is a person to a
detector. What gives it away is that its box stands still to about a pixel, which
nobody manages who breathes, while the box of another person in the clip moves.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from ferrari.images.boxes import Box, overlap
from ferrari.ledger.columns import KEPT
from ferrari.ledger.reasons import DUPLICATE_SUBJECT, NOT_THE_SUBJECTS
from ferrari.reports.checks import WARN, Check, none_of

MIN_FRAMES, MIN_SPAN_S = 4, 1.5  # fewer or shorter, and a person may well stand still
#: How far a corner of a box that stands still may wander, as a share of the box's longer side.
#: Measured: a poster 0.007, behind a detector of 8 bits; people who sit or stand 0.023 and more.
STILL = 0.01
MOVES = 0.03  # the same of a box that moves
FREE_SIDES = 3  # of its box, within the frame: one who fills the frame cannot be told by the box
_EDGE = 0.01  # shares of the frame
_SAME = 0.3  # overlap of the boxes of one person in two frames, at least
_CORNERS = ["x1", "y1", "x2", "y2"]


def check(rows: pd.DataFrame, frames: pd.DataFrame) -> Check:
    """The check, from all rows of crops (with `frame`) and all rows of frames (for their times)."""
    times = frames.set_index("item")["time_s"]
    subjects = rows[(rows["outcome"] == KEPT) | (rows["reason"] == DUPLICATE_SUBJECT)]
    others = rows[rows["reason"].isin(NOT_THE_SUBJECTS)]
    subjects = subjects[subjects["video"].isin(others["video"])]
    moving = dict(iter(others.groupby("video")))
    suspects = [
        str(video)
        for video, boxes in subjects.groupby("video")
        if _stands_still(boxes, times) and _moves(moving[video])
    ]
    return none_of(
        "subject_moves_if_others_do",
        suspects,
        int(rows["video"].nunique()),
        "Clips whose subject's box stands still to about a pixel while another person's moves: the "
        "subject is probably a picture, a mirror or a mannequin. Look at its crops; try another "
        "detect.policy, or leave the clip out.",
        otherwise=WARN,
    )


def _stands_still(boxes: pd.DataFrame, times: pd.Series) -> bool:
    """True if a clip's subject keeps its box, in enough frames and for long enough."""
    if boxes["frame"].nunique() < max(MIN_FRAMES, len(boxes)):  # several subjects: no one's place
        return False
    seen = times.reindex(boxes["frame"])
    if not seen.max() - seen.min() >= MIN_SPAN_S:
        return False
    return _free_sides(boxes) >= FREE_SIDES and _wander(boxes[_CORNERS].to_numpy()) <= STILL


def _free_sides(boxes: pd.DataFrame) -> int:
    """How many of a box's sides do not lie on the frame's edge, where a side cannot move."""
    x1, y1, x2, y2, width, height = boxes[[*_CORNERS, "frame_width", "frame_height"]].median()
    gaps = (x1 / width, y1 / height, 1 - x2 / width, 1 - y2 / height)
    return sum(gap > _EDGE for gap in gaps)


def _moves(boxes: pd.DataFrame) -> bool:
    """True if one of a clip's other persons moves, as far as boxes of one person can be linked."""
    tracks: list[list[Box]] = []
    for _, found in boxes.groupby("frame", sort=False):
        for box in map(tuple, found[_CORNERS].to_numpy()):
            nearest = max(tracks, key=lambda track: overlap(track[-1], box), default=[])
            if nearest and overlap(nearest[-1], box) >= _SAME:
                nearest.append(box)
            else:
                tracks.append([box])
    long = [np.array(track) for track in tracks if len(track) >= MIN_FRAMES]
    return any(_wander(track) >= MOVES for track in long)


def _wander(corners: np.ndarray) -> float:
    """How far a corner (n x 4: x1, y1, x2, y2) goes at most, in longer sides of the box."""
    x1, y1, x2, y2 = np.median(corners, axis=0)
    return float(np.ptp(corners, axis=0).max() / max(x2 - x1, y2 - y1, 1.0))
