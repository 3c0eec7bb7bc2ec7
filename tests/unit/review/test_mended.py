"""Mended masks: what is taken, where it lies, and what ends a run before its first job."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_bytes
from ferrari.images import image_files, mask_files
from ferrari.ledger import stages, tables
from ferrari.review import decision_table, decisions, mended, writing
from ferrari.review.mended import MendedMaskError
from tests.unit.review.rows import CROP, HEADER, WALK, decided, undone

MASK = np.zeros((9, 7), np.uint8)
MASK[2:6, 1:5] = 255
PNG = image_files.encode_png(MASK)
SHA = "ab" * 32


@pytest.fixture
def dataset(tmp_path):
    """A kept crop of 7x9 px, and one that was refused."""
    window = {"crop_x1": 10, "crop_y1": 20, "crop_x2": 17, "crop_y2": 29}
    kept = tables.row("crop", item=CROP, parent=CROP, outcome="kept", sha256=SHA, **window)
    gone = tables.row("crop", item=f"{CROP}1", parent="p", outcome="dropped", reason="TOO_SMALL")
    tables.write_stage(tmp_path / stages.table("crop", WALK), "crop", [kept, gone])
    return tmp_path


def decide(dataset, mask=None, **cells):
    mask = mask or mended.save(dataset, CROP, PNG)
    row = decided("mask", CROP, "cutout", value=mask.path, target_sha256=mask.target_sha256)
    row = row._replace(**cells)
    writing.append(dataset, [row])
    return row


def test_a_mask_lies_under_its_crop_and_its_digest(dataset):
    saved = mended.save(dataset, CROP, PNG)
    assert saved.path == f"review/masks/{CROP}-{sha256_bytes(PNG)[:12]}.png"
    assert (saved.sha256, saved.target_sha256) == (sha256_bytes(PNG), SHA)
    assert (dataset / saved.path).read_bytes() == PNG
    assert mended.save(dataset, CROP, PNG) == saved
    assert len(list((dataset / "review/masks").iterdir())) == 1
    row = decide(dataset, saved)
    assert decisions.load_for_run(dataset).rows == (row,)


REFUSED = {
    "no PNG": (b"GIF89a" + bytes(40), "is no PNG"),
    "RGB": (
        image_files.encode_png(np.zeros((9, 7, 3), np.uint8)),
        "another kind of PNG: a mask is grey",
    ),
    "size": (image_files.encode_png(np.zeros((7, 9), np.uint8)), "is 9x7 px, and the crop 7x9"),
    "cut off": (PNG[:-8], "cut off"),
    "damaged": (PNG[:45] + bytes([PNG[45] ^ 1]) + PNG[46:], "the CRC of its part b'IDAT' differs"),
    "empty": (b"", "is no PNG"),
    "bomb": (PNG[:16] + b"\x00\x0f\x00\x00" * 2 + PNG[24:], "is 983040x983040 px"),
    "16 bits": (PNG[:24] + b"\x10" + PNG[25:], "of its part b'IHDR' differs"),
}


@pytest.mark.parametrize(("png", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_mask_of_the_crop_is_not_saved(dataset, png, said):
    with pytest.raises(MendedMaskError, match=said):
        mended.save(dataset, CROP, png)
    assert not (dataset / "review").exists()


def test_a_crop_that_is_not_kept_has_no_mask(dataset):
    for crop, said in ((f"{CROP}1", "TOO_SMALL"), (f"{CROP}2", "none of this id")):
        with pytest.raises(MendedMaskError, match=said):
            mended.save(dataset, crop, PNG)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "cannot be read"),
        (PNG[:-1] + b"x", "is another now"),
        (b"", "is another now"),
    ],
)
def test_a_file_that_is_gone_or_another_ends_the_run_with_its_line(dataset, data, said):
    row = decide(dataset)
    path = dataset / row.value
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(decision_table.DecisionsError, match=rf"line 2: .*{said}.*UNDO={row.id}"):
        decisions.load_for_run(dataset)
    assert decisions.load(dataset).rows == (row,), "whoever only looks may look"
    writing.append(dataset, [undone(row)])
    assert decisions.load_for_run(dataset).rows == ()


def test_a_mask_of_another_size_is_told_where_it_is_meant_for_the_crop_as_it_is(dataset):
    png = image_files.encode_png(np.zeros((4, 4), np.uint8))
    place = mended.name_of(CROP, sha256_bytes(png))
    (dataset / "review/masks").mkdir(parents=True)
    (dataset / place).write_bytes(png)
    said = "is 4x4 px, and the crop 7x9"
    with pytest.raises(decision_table.DecisionsError, match=said):
        decide(dataset, mended.MendedMask(place, sha256_bytes(png), SHA))
    row = decided("mask", CROP, "cutout", value=place, target_sha256=SHA)  # by another program
    decision_table.place(dataset).write_text(HEADER + ",".join(row) + "\n")
    with pytest.raises(decision_table.DecisionsError, match=said):
        decisions.load_for_run(dataset)
    writing.append(dataset, [undone(row)])
    stale = decide(dataset, mended.MendedMask(place, sha256_bytes(png), "cd" * 32))
    assert decisions.load_for_run(dataset).rows == (stale,), "it is stale, and changes nothing"


def test_what_brushes_write_becomes_a_grey_png(dataset):
    for channels in (3, 4):
        seen = np.repeat(MASK[..., None], channels, axis=2)
        seen[..., 3:] = 255
        assert mask_files.grey_png(image_files.encode_png(seen)) == PNG
    coloured = np.repeat(MASK[..., None], 3, axis=2)
    coloured[3, 3, 1] = 9
    see_through = np.repeat(MASK[..., None], 4, axis=2)
    for image, said in ((coloured, "has colours"), (see_through, "transparent")):
        with pytest.raises(image_files.ImageReadError, match=said):
            mask_files.grey_png(image_files.encode_png(image))
    for data in (b"", b"no", PNG[:30]):
        with pytest.raises(image_files.ImageReadError):
            mask_files.grey_png(data)
