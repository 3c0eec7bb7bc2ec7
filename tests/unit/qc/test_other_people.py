"""Other people's pixels in cut-outs: what is counted, and what is said beside a flicker."""

import numpy as np
import pandas as pd
import pytest

from ferrari.qc import other_people
from ferrari.reports.checks import PASS, WARN

FRAME = "clip-0123456789-f000003"


def crops(*boxes):
    """Rows of a frame's detections, the first one's crop 10 px around it."""
    rows = []
    for number, box in enumerate(boxes):
        row = {"item": f"{FRAME}-p{number}"}
        row |= dict(zip(("x1", "y1", "x2", "y2"), box, strict=True))
        row |= {"crop_x1": box[0] - 10, "crop_y1": box[1] - 10}
        rows.append(row)
    return pd.DataFrame(rows)


def kept(**more):
    about = {"item": f"{FRAME}-p0", "parent": f"{FRAME}-p0", "others": 1, "refined": 1}
    about |= {"others_taken": 0.2, "others_unsure": 0.001, "path": "none.png"}
    edges = {"crop_x1": 90, "crop_y1": 40, "crop_x2": 160, "crop_y2": 150}
    return pd.DataFrame([{**about, **edges, "frame_width": 320, "frame_height": 240, **more}])


def test_pixels_in_anothers_box_alone_are_theirs():
    known = crops((100, 50, 150, 140), (140, 50, 190, 140), (10, 10, 20, 20))
    (whose,) = other_people.beside(kept(), known)
    assert whose[0] == (10, 10, 60, 100) and len(whose[1]) == 2
    alpha = np.zeros((110, 70), np.uint8)
    alpha[10:100, 10:60] = 255  # the subject's own box, half of it in the other's too
    assert other_people.pixels(alpha, whose) == (0, 0.0)
    alpha[20:40, 60:70] = 255  # 2.7 px (3 %) of it are within a box's error
    assert other_people.pixels(alpha, whose) == (20 * 7, pytest.approx(140 / (90 * 50 + 200)))
    assert other_people.pixels(alpha, ()) == (0, 0.0)


def test_a_row_without_a_box_or_a_frame_has_nobody_beside():
    known = crops((100, 50, 150, 140), (140, 50, 190, 140))
    assert other_people.beside(kept(parent="other"), known) == [()]
    known.loc[1, "x1"] = np.nan
    assert other_people.beside(kept(), known)[0][1] == ()


@pytest.mark.parametrize(("share", "status"), [(0.0051, WARN), (0.0049, PASS)])
def test_the_bound_of_the_check(share, status):
    seen = pd.DataFrame([{"other_share": share, "other_px": 12}])
    check = other_people.check(kept(), seen)
    assert check.status == status and check.figure.startswith("12 px in 1 cut-outs")
    assert other_people.check(kept().iloc[:0], pd.DataFrame({"fault": []})).status == PASS


def test_what_is_beside_a_flicker_is_told():
    table = pd.concat([kept(), kept(item="b", others=0, crop_x2=320, refined=0)])
    assert other_people.circumstances(table, [f"{FRAME}-p0"]) == "another person is in the crop"
    assert other_people.circumstances(table, ["b"]) == (
        "the crop ends at the frame's edge, not refined"
    )
