"""How much of the body a picture shows, judged from the detector's box and the frame alone.

The rule rests on two facts: a standing adult with the arms at the side is about 3.5 times as
tall as broad (waist up about 1.5, head and shoulders about 1), and a body that goes on beyond the
frame ends at the frame's lower edge. Limits: a box says nothing of the pose, so one who crouches
or sits in full view reads as half body when the box is broader than 1:1.6, a slim waist-up
profile cut by the frame may read as full body, and legs hidden behind a table read as half body.
Which way the subject faces is not in a box at all and is left out unless a detector says it.
"""

from __future__ import annotations

from collections.abc import Mapping

CLOSE_UP, HALF_BODY, FULL_BODY = "close-up", "half body", "full body"
FRAMINGS = (CLOSE_UP, HALF_BODY, FULL_BODY)
FACINGS = ("facing the viewer", "facing left", "facing right", "seen from behind")

EDGE = 0.025  # share of the frame's side within which a box counts as cut by that side
STANDS_FREE = 1.6  # height to width from which a box that ends inside the frame is a whole body
STANDS_CUT = 2.5  # the same where the box ends at the lower edge (feet there, or legs cut)
SHOULDERS = 1.15  # height to width below which a box cut at the lower edge is a close-up
SHOULDERS_CUT = 1.5  # the same where the left and right edges cut the shoulders too


def framing(box_xyxy: tuple[float, float, float, float], frame_wh: tuple[float, float]) -> str:
    """'close-up', 'half body' or 'full body' from a box and its frame, both in pixels.

    Raises ValueError for a box or a frame without area.
    """
    x1, y1, x2, y2 = box_xyxy
    width, height = frame_wh
    if x2 <= x1 or y2 <= y1 or width <= 0 or height <= 0:
        raise ValueError(f"box {box_xyxy} in a frame of {frame_wh} has no area")
    slimness = (y2 - y1) / (x2 - x1)
    cut_left, cut_right = x1 <= EDGE * width, x2 >= (1 - EDGE) * width
    if y2 < (1 - EDGE) * height:  # the lower end of the body is in the frame
        return FULL_BODY if slimness >= STANDS_FREE else HALF_BODY
    if slimness < (SHOULDERS_CUT if cut_left and cut_right else SHOULDERS):
        return CLOSE_UP
    # A box cut at a side is slimmer than the body: its shape cannot speak for legs.
    return FULL_BODY if slimness >= STANDS_CUT and not (cut_left or cut_right) else HALF_BODY


def framing_of(crop: Mapping[str, str]) -> str:
    """`framing` of a row of the crop table."""
    x1, y1, x2, y2 = (float(crop[key]) for key in ("x1", "y1", "x2", "y2"))
    return framing((x1, y1, x2, y2), (float(crop["frame_width"]), float(crop["frame_height"])))


def facing_of(crop: Mapping[str, str]) -> str:
    """Which way the subject faces, or '' where that is not known, as with a box alone.

    The seam for detectors that know more (keypoints): a column `facing` of the crop table that
    holds one of FACINGS. Any other word raises ValueError.
    """
    said = crop.get("facing", "")
    if said and said not in FACINGS:
        raise ValueError(f"{crop['item']}: facing {said!r} is none of {FACINGS}")
    return said
