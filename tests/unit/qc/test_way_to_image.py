"""From frame to image: what QC7's strips show, and which subjects they are of."""

from __future__ import annotations

import base64
import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ferrari.images import image_files
from ferrari.ledger import item_ids, stages, tables
from ferrari.qc import way_to_image

VIDEO = "walk-0123456789"
FRAME = item_ids.frame_item(VIDEO, 3)
CROP = item_ids.crop_item(FRAME, 0)


def put(dataset, name, pixels):
    path = dataset / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image_files.encode_png(pixels))
    return name


@pytest.fixture
def dataset(tmp_path):
    """A red frame of 200x100 px, its cut-out of blue with a transparent half, one green image."""
    frame = np.full((100, 200, 3), (200, 0, 0), np.uint8)
    cutout = np.full((100, 50, 4), (0, 0, 200, 255), np.uint8)
    cutout[:50, :, 3] = 0
    rows = {
        "extract": (FRAME, VIDEO, {"path": put(tmp_path, "frames/f.png", frame)}),
        "crop": (CROP, FRAME, {"path": "c.png", "x1": 20, "y1": 10, "x2": 70, "y2": 90}),
        "mask": (CROP, CROP, {"path": put(tmp_path, "masks/m.png", cutout)}),
    }
    for stage, (item, parent, cells) in rows.items():
        row = tables.row(stage, item=item, parent=parent, outcome="kept", **cells)
        tables.write_stage(tmp_path / stages.table(stage, VIDEO), stage, [row])
    put(tmp_path, "images/i.png", np.full((80, 40, 3), (0, 200, 0), np.uint8))
    return tmp_path


def kept(*crops, path="images/i.png", variants=1):
    return pd.DataFrame(
        {"item": item_ids.variant_item(crop, number), "path": path}
        for crop in crops
        for number in range(variants)
    )


def strip(thumb):
    data = base64.b64decode(thumb.uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).astype(int)


def test_a_strip_has_the_frame_with_the_box_the_cut_out_and_the_image(dataset):
    (gallery,) = way_to_image.gallery(dataset, kept(CROP))
    (thumb,) = gallery.thumbs
    shown = strip(thumb)
    assert gallery.wide and thumb.item == CROP and thumb.detail == ""
    assert shown.shape[:2] == (160, 320 + 6 + 80 + 6 + 80)
    red, blue, green = shown[80, 300], shown[140, 366], shown[80, 450]
    assert red[:3].argmax() == 0 and blue[:3].argmax() == 2 and green[:3].argmax() == 1
    assert shown[80, 323, 3] == 0  # nothing lies between
    assert abs(shown[20, 366, :3] - 220).max() < 25  # checkers where the cut-out is transparent
    left_side = shown[40:120, 31:35, 1].max()  # the box begins at 20 px of 200
    assert left_side > 120 and shown[40:120, 60:100, 1].max() < 60


def test_more_variants_than_fit_are_counted(dataset):
    (gallery,) = way_to_image.gallery(dataset, kept(CROP, variants=5))
    assert gallery.thumbs[0].detail == "and 2 more"


def test_what_cannot_be_read_leaves_its_place_and_nothing_else_fails(dataset):
    (dataset / "frames/f.png").unlink()
    (gallery,) = way_to_image.gallery(dataset, kept(CROP, path="images/none.png"))
    assert strip(gallery.thumbs[0]).shape[1] == 80  # the cut-out alone
    (dataset / "masks/m.png").unlink()
    (gallery,) = way_to_image.gallery(dataset, kept(CROP, path="images/none.png"))
    assert gallery.thumbs[0].uri == ""


def test_no_images_no_gallery(dataset):
    assert way_to_image.gallery(dataset, kept()) == []


def test_which_are_shown_does_not_hang_on_the_order_of_rows(dataset):
    crops = [item_ids.crop_item(item_ids.frame_item(VIDEO, number), 0) for number in range(30)]
    (one,) = way_to_image.gallery(dataset, kept(*crops))
    (other,) = way_to_image.gallery(dataset, kept(*reversed(crops)))
    names = [thumb.item for thumb in one.thumbs]
    assert names == [thumb.item for thumb in other.thumbs]
    assert len(names) == way_to_image.SUBJECTS and names != crops[: way_to_image.SUBJECTS]
