"""A change to one mask, carried along its track: to neighbours that are alike, and no further."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.matting import mask_proposals
from ferrari.matting.mask_proposals import ProposalError
from tests.unit.matting import one_track
from tests.unit.matting.one_track import CROPS, VIDEO, body


@pytest.fixture
def dataset(tmp_path):
    """Five crops of one track, which move 2 px a frame; the last one is of another track."""
    one_track.write(tmp_path)
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
