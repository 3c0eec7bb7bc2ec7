"""Cut-outs are described again, each once while nothing about it changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.curation.embeddings import described
from ferrari.images import boxes, image_files
from ferrari.qc import seen_before, selection_checks
from ferrari.qc.similarity import CutOuts, Pairs


@pytest.fixture
def cutouts(tmp_path):
    """Three cut-outs on the disk, with the rows that describe them."""
    rows = []
    for n in range(3):
        rgba = np.zeros((64, 48, 4), np.uint8)
        rgba[8:56, 10 + n : 40] = (200, 40 * n, 30, 255)
        data = image_files.encode_png(rgba)
        (tmp_path / f"{n}.png").write_bytes(data)
        row = {"item": f"c{n}", "path": f"{n}.png", "sha256": sha256_bytes(data)}
        rows.append(row | described(rgba, boxes.subject_box(rgba[..., 3])))
    frame = pd.DataFrame(rows)
    yield tmp_path, CutOuts(frame, np.zeros((3, 128), np.int8), np.zeros(3, int), [])
    seen_before.forget()


def checked(cutouts, caplog):
    """The check that holds rows to pixels, and how many cut-outs were opened for it."""
    root, some = cutouts
    seen_before.remember_in(root / "stamps", "qc8", "code")
    caplog.clear()
    with caplog.at_level("INFO"):
        kept = pd.DataFrame({"crop": some.rows["item"]})
        _, check = selection_checks.embedding_checks(root, some, kept)
    (said,) = (line for line in caplog.messages if "images opened" in line)
    return check, int(said.partition(": ")[2].partition(" ")[0])


def test_a_cutout_that_is_as_its_row_says_is_opened_once(cutouts, caplog):
    check, opened = checked(cutouts, caplog)
    assert (check.status, opened) == ("PASS", 3)
    check, opened = checked(cutouts, caplog)
    assert (check.status, opened) == ("PASS", 0)


def test_one_that_is_not_is_opened_each_time(cutouts, caplog):
    _, some = cutouts
    some.rows.loc[1, "lightness"] += 1
    for others in (3, 1):
        check, opened = checked(cutouts, caplog)
        assert check.status == "FAIL" and opened == others


@pytest.mark.parametrize(
    ("splits", "asked", "status"),
    [
        *(("train train", 0.0, "PASS"), ("train train", 0.1, "WARN"), ("train val", 0.1, "PASS")),
        *(("val val", 0.1, "WARN"), ("val val", 1.0, "PASS")),
    ],
)
def test_a_side_on_which_nothing_is_gets_a_look(splits, asked, status):
    """That all images are for validation was no reason to warn."""
    sides = splits.split()
    names = [f"c{number}" for number in range(len(sides))]
    kept = pd.DataFrame({"item": names, "crop": names, "video": names, "group": names})
    nothing = Pairs(pd.DataFrame(), 0, [], [])
    found = selection_checks.split_checks(kept.assign(split=sides), nothing, {"validation": asked})
    (check,) = (check for check in found if check.name == "validation_share")
    assert check.status == status
