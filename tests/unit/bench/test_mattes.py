"""Mattes judged against truth, on cut-outs whose error is known beforehand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench import mattes
from bench.composed import Picture
from bench.mattes import Judged
from ferrari.images import image_files
from ferrari.matting import crop_rows

ITEM = "two-00000000aa-f000000-p0"


def truth(columns: slice) -> np.ndarray:
    alpha = np.zeros((40, 100), np.uint8)
    alpha[:, columns] = 255
    return alpha


def cut_out(folder: Path, columns: slice) -> None:
    rgba = np.dstack([np.zeros((40, 100, 3), np.uint8), truth(columns)])
    image_files.write_checked(folder / f"{ITEM}.png", image_files.encode_png(rgba), rgba.shape)


def test_what_a_cut_out_has_of_somebody_else_is_a_share_of_its_alpha(tmp_path):
    judged = Judged("two", [], {ITEM: truth(slice(0, 40))}, others={ITEM: truth(slice(40, 90))})
    cut_out(tmp_path, slice(0, 50))
    found = mattes.judge(judged, tmp_path)
    assert found["IoU"] == pytest.approx(0.8)
    assert (found["others %"], found["refused"]) == (pytest.approx(20), 0)


def test_a_refusal_is_no_error_where_somebody_else_is_and_all_scene_where_nobody_is(tmp_path):
    alone = Judged("one", [], {ITEM: truth(slice(0, 40))}, bounds=(0.5, 0.5))
    found = mattes.judge(alone, tmp_path)
    assert found["IoU"] == 0 and "refused" not in found
    assert "MISSED" in mattes.kept(alone, found)
    two = Judged("two", [], alone.truths, others={ITEM: truth(slice(40, 90))}, bounds=(0.5, 0.5))
    assert mattes.judge(two, tmp_path) == {"refused": 1}
    assert "MISSED" in mattes.kept(two, {"refused": 1}), "nothing was shown to be good"


def test_who_has_somebody_beside_them_is_cut_as_stage_2_cuts(tmp_path, monkeypatch):
    image = np.dstack([np.tile(np.arange(100, dtype=np.uint8), (40, 1))] * 3)
    picture = Picture(image, truth(slice(10, 40)), truth(slice(41, 90)))
    monkeypatch.setitem(mattes.composed.SETS, "two", (lambda number: picture, 0.9, 0.8))
    judged = mattes.composed_of(tmp_path, "two", 2)
    lines = crop_rows.with_others([*judged.rows, *judged.beside])
    assert len(lines) == len(judged.rows) == 2
    for line in lines:
        assert crop_rows.people_in(line) == ((3, 0, 33, 40), [(34, 0, 83, 40)])
        crop = image_files.read(tmp_path / line["path"])
        assert (crop[..., 0] == np.arange(7, 43)).all()
        assert (judged.truths[line["item"]] == truth(slice(3, 33))[:, :36]).all()
        assert (judged.others[line["item"]] == truth(slice(34, 36))[:, :36]).all()


def test_who_is_alone_fills_a_picture_that_is_a_crop_as_a_whole(tmp_path, monkeypatch):
    picture = Picture(np.zeros((40, 100, 3), np.uint8), truth(slice(10, 40)))
    monkeypatch.setitem(mattes.composed.SETS, "one", (lambda number: picture, 0.9, 0.8))
    judged = mattes.composed_of(tmp_path, "one", 1)
    assert judged.beside == [] and int(judged.rows[0]["crop_x2"]) == 100
    assert judged.truths[judged.rows[0]["item"]].shape == (40, 100)


def test_a_table_has_a_dash_where_nothing_was_measured():
    line = mattes.table("two", {"ours": {"refused": 3}}).splitlines()[-1]
    assert line.split("|")[2].strip() == "-" and "| 3 |" in line
