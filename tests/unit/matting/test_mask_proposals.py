"""A change to one mask, carried along its track: to neighbours that are alike, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import crop_item, detection_item, frame_item, video_id
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import ProposalError

VIDEO = video_id("walk.mp4")
CROPS = [crop_item(frame_item(VIDEO, n), 0) for n in range(5)]


def body(left: int, holder: bool = True) -> np.ndarray:
    """A 100x80 alpha: a body from column `left` on, with a stand beside it that is nobody."""
    alpha = np.zeros((100, 80), np.uint8)
    alpha[10:95, left : left + 30] = 255
    if holder:
        alpha[60:95, left + 30 : left + 36] = 255
    return alpha


@pytest.fixture
def dataset(tmp_path):
    """Five crops of one track, which move 2 px a frame; the last one is of another track."""
    rows = {"crop": [], "mask": []}
    for number, crop in enumerate(CROPS):
        window = {"crop_x1": 100, "crop_y1": 50, "crop_x2": 180, "crop_y2": 150}
        box = {"x1": 120 + 2 * number, "y1": 60, "x2": 156 + 2 * number, "y2": 145}
        known = {"outcome": "kept", "track": 7 if number < 4 else 8}
        parent = detection_item(frame_item(VIDEO, number), 0)
        rows["crop"].append(tables.row("crop", item=crop, parent=parent, **known, **window, **box))
        rgba = np.dstack([np.zeros((100, 80, 3), np.uint8), body(20 + 2 * number)])
        data = image_files.encode_png(rgba)
        path = f"03_masked_subjects/{VIDEO}/{crop}.png"
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
        file = {"path": path, "sha256": sha256_bytes(data), "outcome": "kept"}
        rows["mask"].append(tables.row("mask", item=crop, parent=crop, **file))
    for stage, lines in rows.items():
        tables.write_stage(tmp_path / stages.table(stage, VIDEO), stage, lines)
    return tmp_path


def replace_alpha(dataset, number, alpha):
    table = dataset / stages.table("mask", VIDEO)
    rows = tables.read_stage(table, "mask")
    data = image_files.encode_png(np.dstack([np.zeros((*alpha.shape, 3), np.uint8), alpha]))
    (dataset / rows[number]["path"]).write_bytes(data)
    rows[number]["sha256"] = sha256_bytes(data)
    tables.write_stage(table, "mask", rows)


def test_what_was_taken_out_of_one_is_taken_out_of_its_neighbours_on_the_track(dataset):
    mended = body(22, holder=False)
    found = mask_proposals.along_track(dataset, CROPS[1], mended)
    assert [one.crop for one in found] == [CROPS[2], CROPS[0], CROPS[3]], "the nearest first"
    for one in found:
        number = CROPS.index(one.crop)
        off = one.alpha_u8.astype(int) - body(20 + 2 * number, holder=False)
        assert (np.abs(off) > 64).mean() < 0.002, "the stand is gone, the body is as it was"
        assert one.changed_px == pytest.approx(35 * 6, abs=40)
        assert one.box_iou > 0.85 and one.alpha_iou > 0.95


def test_where_the_network_made_something_else_the_walk_ends(dataset):
    other = np.zeros((100, 80), np.uint8)
    other[10:40, 24:54] = 255
    replace_alpha(dataset, 2, other)
    found = mask_proposals.along_track(dataset, CROPS[1], body(22, holder=False))
    assert [one.crop for one in found] == [CROPS[0]]


def test_a_mask_that_changes_nothing_proposes_nothing(dataset):
    assert mask_proposals.along_track(dataset, CROPS[1], body(22)) == []


def test_a_neighbour_that_lacks_what_was_taken_out_ends_the_walk(dataset):
    replace_alpha(dataset, 0, body(20, holder=False))
    found = mask_proposals.along_track(dataset, CROPS[1], body(22, holder=False))
    assert CROPS[0] not in [one.crop for one in found]


def test_a_crop_without_a_cut_out_and_a_mask_of_another_size_are_told(dataset):
    with pytest.raises(ProposalError, match="no cut-out that is kept"):
        mask_proposals.along_track(dataset, f"{CROPS[0]}9", body(22))
    with pytest.raises(ProposalError, match="shape"):
        mask_proposals.along_track(dataset, CROPS[0], body(22)[:50])
