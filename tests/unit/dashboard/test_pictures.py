"""Pictures are found by id in the tables; nothing else of the disk can be asked for."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.dashboard import pictures
from ferrari.images import image_files
from ferrari.ledger import stages, tables
from ferrari.ledger.item_ids import crop_item, frame_item


@pytest.fixture
def crop(clip):
    """A crop of the clip with files of its frame and of itself, as stages 1 and 2 leave them."""
    frame = frame_item(clip.video, 0)
    name = crop_item(frame, 0)
    picture = np.full((40, 24, 3), 77, np.uint8)
    webp = f"01_extracted_frames/{clip.video}/{frame}.webp"
    (clip.dataset / webp).parent.mkdir(parents=True)
    (clip.dataset / webp).write_bytes(image_files.encode_webp(picture, 90))
    rows = [tables.row("extract", item=frame, parent=clip.video, outcome="kept", path=webp)]
    tables.write_stage(clip.dataset / stages.table("extract", clip.video), "extract", rows)
    clip.rows["crop"][0] |= clip._save("02_yolo_crops", f"{name}.png", picture)
    clip.write()
    return name


def test_each_kind_is_the_file_that_its_row_names(client, clip, crop):
    mask, image = clip.rows["mask"][0], clip.rows["augment"][0]
    frame = crop.removesuffix("-p0")
    for kind, name, path in (
        ("frame", frame, f"01_extracted_frames/{clip.video}/{frame}.webp"),
        ("crop", crop, clip.rows["crop"][0]["path"]),
        ("cutout", crop, mask["path"]),
        ("image", image["item"], image["path"]),
        ("mask", image["item"], image["mask_path"]),
    ):
        answer = client.get(f"/picture/{kind}/{name}")
        assert answer.content == (clip.dataset / path).read_bytes(), kind
        assert answer.headers["content-type"] in ("image/png", "image/webp")
        assert answer.headers["cache-control"] == "no-store"


def test_the_mask_of_a_crop_is_the_alpha_of_its_cut_out_in_grey(client, clip, crop):
    answer = client.get(f"/picture/mask/{crop}")
    alpha = image_files.decode(answer.content)
    cutout = image_files.read(clip.dataset / clip.rows["mask"][0]["path"])
    assert alpha.ndim == 2 and (alpha == cutout[..., 3]).all()


def test_a_picture_may_be_asked_for_with_the_token_in_its_address(stranger, clip):
    path = f"/picture/image/{clip.rows['augment'][0]['item']}"
    assert stranger.get(path).status_code == 403
    assert stranger.get(path, params={"t": "t" * 43}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "image/../../my.yaml",
        "image/..%2f..%2fmy.yaml",
        "image/%2e%2e%2f%2e%2e%2fmy.yaml",
        "frame/....//....//my.yaml",
        "image//etc/passwd",
        "image/%2fetc%2fpasswd",
        "image/{image}%00.png",
        "image/{image}.png",
        "image/{image}/..",
        "image/{crop}",
        "cutout/{image}",
        "crop/{image}",
        "frame/{crop}",
        "secret/{image}",
        "mask/{video}",
        "image/{video}",
        "image/{video}-f000000-p0-v9",
        "image/other-0123456789-f000000-p0-v0",
        "image/.*",
    ],
)
def test_tricks_with_paths_find_nothing(client, clip, path):
    image, crop = clip.rows["augment"][0]["item"], clip.rows["mask"][0]["item"]
    asked = path.format(image=image, crop=crop, video=clip.video)
    assert client.get(f"/picture/{asked}").status_code == 404


@pytest.mark.parametrize(
    "path", ["../my.yaml", "../secret.png", "/etc/passwd", "videos.csv", "x.png"]
)
def test_a_table_of_somebody_else_leads_nowhere_else(client, clip, tmp_path, path):
    (tmp_path / "secret.png").write_bytes(b"PNG")
    clip.rows["augment"][0]["path"] = path
    clip.write()
    assert client.get(f"/picture/image/{clip.rows['augment'][0]['item']}").status_code == 404


def test_a_link_out_of_the_dataset_is_not_followed(client, clip, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"PNG")
    (clip.dataset / "link.png").symlink_to(tmp_path / "secret.png")
    clip.rows["augment"][0]["path"] = "link.png"
    clip.write()
    assert client.get(f"/picture/image/{clip.rows['augment'][0]['item']}").status_code == 404


def test_a_table_that_is_made_again_is_read_again(clip):
    image = clip.rows["augment"][0]
    first = pictures.find(clip.dataset, "image", image["item"])
    clip.rows["augment"][0]["path"] = clip.rows["augment"][1]["path"]
    clip.write()
    assert pictures.find(clip.dataset, "image", image["item"]) != first
    clip.table("augment").unlink()
    assert pictures.find(clip.dataset, "image", image["item"]) is None
