"""Packages as trainers read them: each trap that their loaders set has a test here."""

import itertools
import json
import os
import tomllib
from pathlib import Path

import pytest

from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.ledger import balance, tables
from ferrari.packaging import image_preparation
from ferrari.packaging.base import PackageError
from ferrari.reports import checks
from tests.stage.final_set import BACKGROUNDS, Clip, package, select

FORMATS = ("kohya", "imagefolder")
IMAGE_ENDINGS = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl"}


@pytest.fixture
def dataset(tmp_path):
    """Two clips with eight images, chosen."""
    select(tmp_path, [Clip(tmp_path, name) for name in ("Zoë's walk.mp4", "b.v2_x_y_z_w.mp4")])
    return tmp_path


def root(dataset: Path, form: str) -> Path:
    return dataset / "05_final_training" / form


def final(dataset: Path) -> list[dict[str, str]]:
    return tables.read_stage(dataset / "05_final_training/final.csv", "final")


@pytest.mark.parametrize("form", FORMATS)
def test_manifest_agrees_with_the_folder_and_the_final_table(dataset, form):
    rows = package(dataset, form)
    chosen = final(dataset)
    assert balance.balance("package", rows, chosen).balanced
    for line, given in zip(rows, chosen, strict=True):
        assert line["sha256"] == sha256_file(dataset / line["path"]) == given["sha256"]
        assert line["mask_sha256"] == sha256_file(dataset / line["mask_path"])
        assert (dataset / line["caption_path"]).is_file()
        assert line["caption"] == given["caption"]
        picture, mask = (
            image_files.read(dataset / line["path"]),
            image_files.read(dataset / line["mask_path"]),
        )
        assert picture.shape == (*mask.shape, 3)
    text = (dataset / f"05_final_training/{form}.csv").read_text()
    assert str(dataset) not in text


@pytest.mark.parametrize("form", FORMATS)
def test_names_and_captions_avoid_what_trainers_trip_over(dataset, form):
    package(dataset, form)
    files = [path for path in root(dataset, form).rglob("*") if path.is_file()]
    pictures = [path for path in files if path.suffix in IMAGE_ENDINGS]
    assert len(pictures) == 16  # eight images, eight masks, nothing else
    for path in pictures:
        assert path.suffix == ".png"
        assert "." not in path.stem
        assert "_" not in path.stem
        assert path.name.isascii()
    stems = [(path.parent, path.stem.lower()) for path in pictures]
    assert len(set(stems)) == len(stems)
    assert all(path.stat().st_size for path in files)
    assert not any(path.name.startswith(".") for path in files)


def test_kohya_folder(dataset):
    rows = package(dataset, "kohya")
    folder = root(dataset, "kohya")
    assert {path.name for path in folder.iterdir()} == {"img", "mask", "dataset.toml", "README.txt"}
    (image_dir,) = (folder / "img").iterdir()
    repeats, _, class_tokens = image_dir.name.partition("_")  # as kohya takes the name apart
    assert (int(repeats), class_tokens) == (4, "sks person")
    stems = {line["item"] for line in rows}
    assert {path.name for path in image_dir.iterdir()} == {
        f"{stem}{ending}" for stem in stems for ending in (".png", ".txt")
    }
    assert {path.name for path in (folder / "mask").iterdir()} == {f"{s}.png" for s in stems}
    for line in rows:
        assert (image_dir / f"{line['item']}.txt").read_bytes() == line["caption"].encode()


def test_kohya_toml_is_for_masked_loss(dataset):
    package(dataset, "kohya", repeats=7, resolution=1536)
    folder = root(dataset, "kohya")
    config = tomllib.loads((folder / "dataset.toml").read_text())
    (group,) = config["datasets"]
    (subset,) = group["subsets"]
    assert subset == {  # class_tokens, is_reg, alpha_mask would be refused beside a mask folder
        "image_dir": "img/7_sks person",
        "conditioning_data_dir": "mask",
        "caption_extension": ".txt",
        "num_repeats": 7,
    }
    assert (folder / subset["image_dir"]).is_dir()
    assert group["resolution"] == 1536 <= config["general"]["max_bucket_reso"]
    assert config["general"]["enable_bucket"] is True


@pytest.mark.parametrize("resolution", [192, 512, 1000, 2048])
def test_kohya_bucket_bounds_hold_the_resolution(dataset, resolution):
    package(dataset, "kohya", resolution=resolution)
    general = tomllib.loads((root(dataset, "kohya") / "dataset.toml").read_text())["general"]
    low, high = general["min_bucket_reso"], general["max_bucket_reso"]
    assert low <= resolution <= high
    assert low % 64 == high % 64 == 0


def test_imagefolder_metadata(dataset):
    rows = package(dataset, "imagefolder")
    train = root(dataset, "imagefolder") / "train"
    entries = [json.loads(text) for text in (train / "metadata.jsonl").read_text().splitlines()]
    videos = {line["item"]: line["video"] for line in final(dataset)}
    assert entries == [
        {
            "file_name": f"{line['item']}.png",
            "mask_file_name": f"masks/{line['item']}.png",
            "text": line["caption"],
            "video": videos[line["item"]],
            "kind": "flat",
            "framing": "full body",
        }
        for line in rows
    ]
    named = {entry["file_name"] for entry in entries}
    assert {path.name for path in train.glob("*.png")} == named  # the loader drops unnamed ones
    assert {entry["text"].partition("full body, ")[2] for entry in entries} == set(BACKGROUNDS)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("link", [True, False])
def test_images_are_linked_or_copied(dataset, form, link):
    line = package(dataset, form, link=link)[0]
    source = dataset / final(dataset)[0]["path"]
    assert (dataset / line["path"]).samefile(source) is link


@pytest.mark.parametrize("form", FORMATS)
def test_packaging_twice_gives_the_same_bytes(dataset, form):
    def digests():
        return {p: sha256_file(p) for p in sorted(root(dataset, form).rglob("*")) if p.is_file()}

    package(dataset, form)
    before, manifest = digests(), (dataset / f"05_final_training/{form}.csv").read_bytes()
    package(dataset, form)
    assert digests() == before
    assert (dataset / f"05_final_training/{form}.csv").read_bytes() == manifest


def damage_image(dataset, line):
    os.truncate(dataset / line["path"], 100)


def lose_image(dataset, line):
    (dataset / line["path"]).unlink()


def lose_mask(dataset, line):
    (dataset / line["mask_path"]).unlink()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage_image, "SHA_MISMATCH"),
        (lose_image, "UNREADABLE_IMAGE"),
        (lose_mask, "MASK_MISMATCH"),
    ],
)
def test_unsound_image_is_a_row_and_not_in_the_package(dataset, form, spoil, reason):
    victim = final(dataset)[2]
    spoil(dataset, victim)
    rows = package(dataset, form)
    assert [line["outcome"] for line in rows].count("quarantined") == 1
    assert (rows[2]["reason"], rows[2]["path"]) == (reason, "")
    folder = root(dataset, form)
    assert not [path for path in folder.rglob("*") if victim["item"] in path.name]
    if form == "imagefolder":
        assert victim["item"] not in (folder / "train/metadata.jsonl").read_text()


@pytest.mark.parametrize("form", [*FORMATS, "webdataset"])
@pytest.mark.parametrize("spoil", [damage_image, lose_image])
def test_an_image_beside_a_changed_mask_is_looked_at_in_the_package(
    dataset, form, spoil, monkeypatch
):
    """Between the look at both files and its copy in the package, an image was taken on trust."""
    victim, places = final(dataset)[2], itertools.count()
    aligned = image_preparation.aligned

    def spoilt_meanwhile(mask, cell):
        if next(places) == 2:
            spoil(dataset, victim)
        return aligned(mask, cell)

    monkeypatch.setattr(image_preparation, "aligned", spoilt_meanwhile)
    rows = package(dataset, form, mask_grid=8)
    assert [line["outcome"] for line in rows].count("quarantined") == 1
    assert (rows[2]["reason"], rows[2]["path"]) == ("SHA_MISMATCH", "")
    folder = root(dataset, form)
    assert not [path for path in folder.rglob("*") if victim["item"] in path.name]


def test_an_image_of_which_the_grid_leaves_no_subject_is_refused(dataset, monkeypatch):
    """It would be trained on without a loss."""
    monkeypatch.setattr(image_preparation, "aligned", lambda mask, cell: mask * 0)
    with pytest.raises(PackageError, match="no image that could be packaged"):
        package(dataset, "kohya", mask_grid=8)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("caption", ["", "sks person\nin two lines"])
def test_caption_that_is_not_one_line_is_refused(dataset, form, caption):
    rows = final(dataset)
    rows[0]["caption"] = caption
    tables.write_stage(dataset / "05_final_training/final.csv", "final", rows)
    assert package(dataset, form)[0]["reason"] == "CAPTION_INVALID"


def test_dropped_rows_are_not_packaged(dataset):
    rows = final(dataset)
    rows[0].update(outcome="dropped", reason="DUPLICATE_IMAGE")
    tables.write_stage(dataset / "05_final_training/final.csv", "final", rows)
    assert len(package(dataset, "kohya")) == 7


@pytest.mark.parametrize(
    ("subject", "setting"),
    [
        ({"token": "a/b", "class": "person"}, "subject.token"),
        ({"token": "2b", "class": "person"}, "subject.token"),
        ({"token": "sks_x", "class": "person"}, "subject.token"),
        ({"token": "sks.", "class": "person"}, "subject.token"),
        ({"token": "..", "class": "person"}, "subject.token"),
        ({"token": "sks", "class": "young_man"}, "subject.class"),
        ({"token": "sks", "class": "man/woman"}, "subject.class"),
        ({"token": "sks", "class": "man "}, "subject.class"),
        ({"token": "sks", "class": ""}, "subject.class"),
    ],
)
def test_subject_that_cannot_name_a_folder_is_an_error(dataset, subject, setting):
    with pytest.raises(PackageError, match=setting):
        package(dataset, "kohya", subject=subject)
    assert not root(dataset, "kohya").exists()


def test_class_of_two_words_names_a_folder(dataset):
    package(dataset, "kohya", subject={"token": "ohwx", "class": "young man"})
    assert (root(dataset, "kohya") / "img/4_ohwx young man").is_dir()


def test_unknown_format_lists_the_known(dataset):
    with pytest.raises(PackageError, match="kohya, imagefolder"):
        package(dataset, "lora")


def test_nothing_to_package_is_said_and_leaves_nothing(dataset):
    package(dataset, "kohya")
    before = sorted(root(dataset, "kohya").rglob("*"))
    for line in final(dataset):
        (dataset / line["path"]).unlink()
    with pytest.raises(PackageError, match="no image"):
        package(dataset, "kohya")
    assert sorted(root(dataset, "kohya").rglob("*")) == before  # the old package is whole still
    assert not [path for path in root(dataset, "kohya").parent.iterdir() if "part" in path.name]


def gate_with(dataset: Path, status: str) -> Path:
    gate = dataset / "qc7_final_summary.csv"
    checks.write(gate, [checks.Check("token_exactly_once", status, "3 of 8", "0", "...", ("x",))])
    return gate


def test_failed_check_stops_packaging_unless_it_is_not_enforced(dataset):
    gate = [str(gate_with(dataset, checks.FAIL))]
    with pytest.raises(checks.QualityGateError, match="token_exactly_once"):
        package(dataset, "kohya", gate=gate, enforce=True)
    assert not root(dataset, "kohya").exists()
    assert len(package(dataset, "kohya", gate=gate, enforce=False)) == 8


def test_passed_check_lets_packaging_go_on(dataset):
    gate = [str(gate_with(dataset, checks.WARN))]
    assert len(package(dataset, "imagefolder", gate=gate, enforce=True)) == 8


def test_trainers_caches_stay_only_while_they_are_true(dataset):
    rows = package(dataset, "kohya")
    folder = dataset / Path(rows[0]["path"]).parent
    for line in rows[:2]:
        (folder / f"{line['item']}_0512x0512_sdxl.npz").write_bytes(b"latents")
    (folder / "left-over.json").write_text("{}")
    chosen = final(dataset)
    chosen[1]["caption"] = "sks person, another caption"
    tables.write_stage(dataset / "05_final_training/final.csv", "final", chosen)
    package(dataset, "kohya")
    assert [path.name for path in folder.glob("*.npz")] == [f"{rows[0]['item']}_0512x0512_sdxl.npz"]
    assert not (folder / "left-over.json").exists()
