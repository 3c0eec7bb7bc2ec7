"""Each format: its layout as its trainer reads it, captions, masks, repeats; and no traps in it."""

import io
import json
import re
import tarfile
import tomllib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from ferrari.common import settings
from ferrari.common.atomic_files import sha256_file
from ferrari.images import image_files
from ferrari.ledger import balance, tables
from ferrari.packaging.base import PackageError
from ferrari.provenance.croissant import describe, described_package
from tests.stage.final_set import Clip, package, select
from tools.lint_package import lint

FOLDERS = {  # images, masks, how a mask is named
    "kohya": ("img/4_sks person", "mask", "{}.png"),
    "musubi": ("images", "masks", "{}.png"),
    "onetrainer": ("images", "images", "{}-masklabel.png"),
    "aitoolkit": ("images", "masks", "{}.png"),
    "simpletuner": ("images", "masks", "{}.png"),
    "diffusionpipe": ("images", "masks", "{}.png"),
    "dreambooth": ("instance", "masks", "{}.png"),
    "textualinversion": ("images", "masks", "{}.png"),
    "imagefolder": ("train", "train/masks", "{}.png"),
    "llava": ("images", "masks", "{}.png"),
    "llamafactory": ("images", "masks", "{}.png"),
    "trl": ("images", "masks", "{}.png"),
}
SHARDS = ("parquet", "webdataset")
FORMATS = (*FOLDERS, *SHARDS)
WITH_TEXTS = ("kohya", "musubi", "onetrainer", "aitoolkit", "simpletuner", "diffusionpipe")
LINTED_AS = {
    "aitoolkit": "ai-toolkit",
    "diffusionpipe": "diffusion-pipe",
    "textualinversion": "diffusers",
    **dict.fromkeys(("llava", "llamafactory", "trl"), "sft"),
}


@pytest.fixture
def dataset(tmp_path):
    """Two clips with four images."""
    select(tmp_path, [Clip(tmp_path, name, frames=1, size=(60, 48)) for name in ("a.mp4", "b.mp4")])
    return tmp_path


def root(dataset: Path, form: str) -> Path:
    return dataset / "05_final_training" / form


def final(dataset: Path) -> list[dict[str, str]]:
    return tables.read_stage(dataset / "05_final_training/final.csv", "final")


def split_off(dataset: Path) -> str:
    """Makes the last image of the final set one for validation; its item."""
    rows = final(dataset)
    for line in rows:
        line["split"] = "train"
    rows[-1]["split"] = "val"
    tables.write_stage(dataset / "05_final_training/final.csv", "final", rows)
    return rows[-1]["item"]


def read_shards(folder: Path, form: str, split="train") -> list[dict]:
    """Samples {item, image, mask, text} as a reader of the format has them."""
    found = []
    for path in sorted((folder / "data").glob(f"{split}-*")):
        if form == "parquet":
            for row in pq.read_table(path).to_pylist():
                pictures = {name: row[name]["bytes"] for name in ("image", "mask")}
                found.append({"item": row["item"], "text": row["text"], **pictures})
            continue
        samples: dict[str, dict] = {}
        with tarfile.open(path) as tar:
            for member in tar:
                key, _, ending = member.name.partition(".")
                samples.setdefault(key, {})[ending] = tar.extractfile(member).read()
        for key, parts in samples.items():
            assert set(parts) == {"png", "mask.png", "txt", "json"}
            pictures = {"image": parts["png"], "mask": parts["mask.png"]}
            found.append({"item": key, "text": parts["txt"].decode(), **pictures})
    return found


def findings(folder: Path, form: str) -> list:
    flat = {"dreambooth": "instance", "textualinversion": "images"}.get(form, "")
    return lint(folder / flat, [LINTED_AS.get(form, form)])[1]


@pytest.mark.parametrize("form", FORMATS)
def test_a_package_holds_the_final_set_and_no_traps(dataset, form):
    rows = package(dataset, form)
    chosen = final(dataset)
    assert balance.balance("package", rows, chosen).balanced
    assert [line["caption"] for line in rows] == [line["caption"] for line in chosen]
    assert findings(root(dataset, form), form) == []
    for line in rows:
        assert line["sha256"] == sha256_file(dataset / line["path"])
        assert line["mask_sha256"] == sha256_file(dataset / line["mask_path"])
    text = (root(dataset, form) / "README.txt").read_text()
    assert text.isascii() and str(dataset) not in text
    assert "epeat" in text or form in (*WITH_TEXTS, "dreambooth")


@pytest.mark.parametrize("form", [form for form in FOLDERS if form != "textualinversion"])
def test_images_and_masks_are_those_of_the_final_set(dataset, form):
    package(dataset, form)
    pictures, masks, mask_name = FOLDERS[form]
    for line in final(dataset):
        for name, path in (("path", f"{pictures}/{line['item']}.png"), ("mask_path", None)):
            path = path or f"{masks}/{mask_name.format(line['item'])}"
            assert (root(dataset, form) / path).samefile(dataset / line[name])


@pytest.mark.parametrize("form", WITH_TEXTS)
def test_captions_lie_beside_their_images(dataset, form):
    package(dataset, form)
    folder = root(dataset, form) / FOLDERS[form][0]
    for line in final(dataset):
        text = (folder / f"{line['item']}.txt").read_bytes().decode()
        if form == "aitoolkit":  # which parts at commas and joins as here
            assert ", " in line["caption"]
            text = ", ".join(text.split(","))
        assert text == line["caption"]


def test_simpletuner_cuts_image_and_mask_alike(dataset):
    package(dataset, "simpletuner")
    listed = json.loads((root(dataset, "simpletuner") / "multidatabackend.json").read_text())
    cut = [backend["crop_style"] for backend in listed if "instance_data_dir" in backend]
    assert cut == ["center", "center"]  # at random places where it is not said, even uncropped


@pytest.mark.parametrize("form", SHARDS)
def test_shards_hold_the_same_bytes_and_are_made_of_equal_parts(dataset, form):
    rows = package(dataset, form, shard_images=3)
    samples = read_shards(root(dataset, form), form)
    for sample, line in zip(samples, final(dataset), strict=True):
        assert (sample["item"], sample["text"]) == (line["item"], line["caption"])
        assert sample["image"] == (dataset / line["path"]).read_bytes()
        assert sample["mask"] == (dataset / line["mask_path"]).read_bytes()
    ending = {"parquet": "parquet", "webdataset": "tar"}[form]
    names = [Path(line["path"]).name for line in rows]
    assert names == [f"train-00000.{ending}"] * 3 + [f"train-00001.{ending}"]


def test_parquet_says_which_columns_are_images(dataset):
    package(dataset, "parquet")
    (path,) = (root(dataset, "parquet") / "data").iterdir()
    told = json.loads(pq.read_schema(path).metadata[b"huggingface"])["info"]["features"]
    assert told["image"] == told["mask"] == {"_type": "Image"}


def test_tars_hold_no_time_and_no_owner(dataset):
    package(dataset, "webdataset")
    (path,) = (root(dataset, "webdataset") / "data").iterdir()
    with tarfile.open(path) as tar:
        members = [(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in tar]
    assert set(members) == {(0, 0, 0, "", 0o644)}


@pytest.mark.parametrize("form", FORMATS)
def test_packaging_twice_gives_the_same_bytes(dataset, form):
    def digests():
        return {p: sha256_file(p) for p in sorted(root(dataset, form).rglob("*")) if p.is_file()}

    settings = {"fit": "square", "resolution": 64, "mask_grid": 8, "checksums": True}
    package(dataset, form, **settings)
    before = digests()
    package(dataset, form, **settings)
    assert digests() == before


def test_repeats_mean_how_often_an_epoch_sees_an_image(dataset):
    for form in ("musubi", "onetrainer", "aitoolkit", "simpletuner", "diffusionpipe"):
        package(dataset, form, repeats=7)
    toml = {
        form: tomllib.loads((root(dataset, form) / "dataset.toml").read_text())
        for form in ("musubi", "diffusionpipe")
    }
    (folder,) = yaml.safe_load((root(dataset, "aitoolkit") / "datasets.yaml").read_text())[
        "datasets"
    ]
    backends = json.loads((root(dataset, "simpletuner") / "multidatabackend.json").read_text())
    (concept,) = json.loads((root(dataset, "onetrainer") / "concepts.json").read_text())
    assert toml["musubi"]["datasets"][0]["num_repeats"] == 7
    assert toml["diffusionpipe"]["directory"][0]["num_repeats"] == 7
    assert folder["num_repeats"] == 7
    assert (concept["balancing"], concept["balancing_strategy"]) == (7.0, "REPEATS")
    assert [b.get("repeats") for b in backends] == [6, 6, None]


def test_masks_are_named_where_the_trainer_knows_them(dataset):
    for form in ("musubi", "aitoolkit", "simpletuner", "diffusionpipe"):
        package(dataset, form)
    assert "mask" not in (root(dataset, "musubi") / "dataset.toml").read_text()
    assert 'mask_path: "masks"' in (root(dataset, "aitoolkit") / "datasets.yaml").read_text()
    assert 'mask_path = "masks"' in (root(dataset, "diffusionpipe") / "dataset.toml").read_text()
    listed = json.loads((root(dataset, "simpletuner") / "multidatabackend.json").read_text())
    shown, masks, texts = listed
    assert shown["conditioning_data"] == masks["id"]
    assert masks["source_dataset_id"] == shown["id"]
    assert (masks["conditioning_type"], texts["default"]) == ("mask", True)
    assert shown["disable_multiline_split"] is True


def test_flat_folders_hold_images_alone(dataset):
    package(dataset, "dreambooth")
    package(dataset, "textualinversion", alpha_colour=[1, 2, 3])
    instance = root(dataset, "dreambooth")
    assert {path.suffix for path in (instance / "instance").iterdir()} == {".png"}
    assert (instance / "prompt.txt").read_text() == "a photo of sks person\n"
    for path in (root(dataset, "textualinversion") / "images").iterdir():
        padded = image_files.read(path)
        assert padded.shape == (60, 60, 3)
        assert (padded[:, :6] == (1, 2, 3)).all()
    line = tables.read_stage(dataset / "05_final_training/textualinversion.csv", "package")[0]
    given = image_files.read(dataset / final(dataset)[0]["path"])
    assert (image_files.read(dataset / line["path"])[:, 6:54] == given).all()
    assert not image_files.read(dataset / line["mask_path"])[:, :6].any()


def test_conversations_ask_once_and_answer_with_the_caption(dataset):
    for form in ("llava", "llamafactory", "trl"):
        package(dataset, form, question="Who is it?")
    said = [line["caption"] for line in final(dataset)]
    llava = json.loads((root(dataset, "llava") / "train.json").read_text())
    assert [sample["conversations"][1]["value"] for sample in llava] == said
    assert {sample["conversations"][0]["value"] for sample in llava} == {"<image>\nWho is it?"}
    factory = json.loads((root(dataset, "llamafactory") / "train.json").read_text())
    assert [sample["messages"][1]["content"] for sample in factory] == said
    assert {sample["messages"][0]["content"] for sample in factory} == {"<image>Who is it?"}
    info = json.loads((root(dataset, "llamafactory") / "dataset_info.json").read_text())
    assert info["subject_train"]["file_name"] == "train.json"
    lines = (root(dataset, "trl") / "train.jsonl").read_text().splitlines()
    trl = [json.loads(text) for text in lines]
    assert [sample["messages"][1]["content"] for sample in trl] == said
    assert {sample["messages"][0]["content"] for sample in trl} == {"Who is it?"}
    for form, samples in (("llamafactory", factory), ("trl", trl)):
        assert all((root(dataset, form) / s["images"][0]).is_file() for s in samples)


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_for_validation_is_not_trained_on(dataset, form):
    item = split_off(dataset)
    rows = package(dataset, form)
    assert [line["split"] for line in rows] == ["train", "train", "train", "val"]
    folder = root(dataset, form)
    assert findings(folder, form) == []
    if form in SHARDS:
        assert len(read_shards(folder, form)) == 3
        assert [s["item"] for s in read_shards(folder, form, "validation")] == [item]
        return
    trained = folder / FOLDERS[form][0]
    assert not [path for path in trained.rglob("*") if item in path.name]
    (picture,) = (
        folder.rglob(f"{item}.png")
        if form == "onetrainer"
        else (path for path in folder.rglob(f"{item}.png") if "mask" not in path.parent.name)
    )
    assert picture.relative_to(folder).parts[0] in ("val", "validation")
    named = [
        path.read_text() for path in folder.iterdir() if path.suffix in (".toml", ".yaml", ".json")
    ]
    if form == "onetrainer":
        kinds = [(c["path"], c["type"]) for c in json.loads(named[0])]
        assert kinds == [("images", "STANDARD"), ("val", "VALIDATION")]
    elif form not in ("llava", "llamafactory"):
        assert not any(re.search(r'"val\b', text) for text in named)


@pytest.mark.parametrize("form", ["kohya", "aitoolkit", "imagefolder", "parquet", "webdataset"])
def test_alpha_is_the_mask_and_hides_one_colour(dataset, form):
    line = package(dataset, form, image="rgba", alpha_colour=[9, 8, 7])[0]
    folder = root(dataset, form)
    assert findings(folder, form) == []
    if form in SHARDS:
        rgba = image_files.decode(read_shards(folder, form)[0]["image"])
    else:
        rgba = image_files.read(dataset / line["path"])
    given = final(dataset)[0]
    mask, rgb = (
        image_files.read(dataset / given["mask_path"]),
        image_files.read(dataset / given["path"]),
    )
    assert (rgba[..., 3] == mask).all()
    assert (rgba[mask == 0][:, :3] == (9, 8, 7)).all()
    assert (rgba[mask == 255][:, :3] == rgb[mask == 255]).all()
    assert (line["source_sha256"], line["upscaled"]) == (given["sha256"], "0")
    if form == "kohya":
        subset = tomllib.loads((folder / "dataset.toml").read_text())["datasets"][0]["subsets"][0]
        assert subset["alpha_mask"] is True and "conditioning_data_dir" not in subset
    if form == "aitoolkit":
        told = yaml.safe_load((folder / "datasets.yaml").read_text())["datasets"][0]
        assert told["alpha_mask"] is True and "mask_path" not in told


@pytest.mark.parametrize("form", ["onetrainer", "diffusionpipe", "dreambooth", "llava"])
def test_alpha_is_refused_where_the_trainer_drops_it(dataset, form):
    with pytest.raises(PackageError, match=r"package\.image: rgba"):
        package(dataset, form, image="rgba")


def test_an_image_enlarged_to_a_fixed_size_is_said_to_be(dataset, caplog):
    caplog.set_level("WARNING")
    rows = package(dataset, "aitoolkit", fit="square", resolution=64)
    assert {(line["width"], line["height"], line["upscaled"]) for line in rows} == {
        ("64", "64", "1")
    }
    assert "4 of 4 images" in caplog.text and "enlarged" in caplog.text
    assert float(rows[0]["scale"]) == pytest.approx(64 / 48, abs=1e-5)
    for line in rows:
        assert image_files.read(dataset / line["path"]).shape == (64, 64, 3)
        assert image_files.read(dataset / line["mask_path"]).shape == (64, 64)


def test_a_changed_mask_leaves_the_image_as_it_is(dataset):
    line, given = package(dataset, "kohya", mask_grid=8)[0], final(dataset)[0]
    assert line["sha256"] == given["sha256"] and line["mask_sha256"] != given["mask_sha256"]
    assert (dataset / line["path"]).samefile(dataset / given["path"])
    mask = image_files.read(dataset / line["mask_path"])
    assert set(np.unique(mask)) == {0, 255}


def test_digests_and_card(dataset):
    about = {"name": "A set", "description": "Of images.", "version": "1.0.0"}
    about["licence"] = "https://spdx.org/licenses/CC0-1.0"
    for form in ("imagefolder", "kohya"):
        package(dataset, form, checksums=True, card=True, about=about)
    folder = root(dataset, "imagefolder")
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    told = {text[66:]: text[:64] for text in lines}
    assert told == {
        path.relative_to(folder).as_posix(): sha256_file(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != "SHA256SUMS"
    }
    _, header, text = (folder / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(header)["license"] == "cc0-1.0"
    assert "4 images of 2 clips" in text and "| split | train | 4 |" in text
    assert "that a person wrote" not in text
    assert not (root(dataset, "kohya") / "README.md").exists()
    rows = final(dataset)
    rows[0]["caption_source"] = "override"
    tables.write_stage(dataset / "05_final_training/final.csv", "final", rows)
    package(dataset, "imagefolder", card=True, about=about)
    assert "Captions here that a person wrote: 1." in (folder / "README.md").read_text()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("settings", [{}, {"fit": "bucket", "resolution": 64, "mask_grid": 8}])
def test_an_unsound_image_is_a_row_and_not_in_the_package(dataset, form, settings):
    victim = final(dataset)[1]
    (dataset / victim["mask_path"]).unlink()
    rows = package(dataset, form, **settings)
    assert [line["outcome"] for line in rows].count("quarantined") == 1
    assert (rows[1]["reason"], rows[1]["path"]) == ("MASK_MISMATCH", "")
    folder = root(dataset, form)
    if form in SHARDS:
        assert len(read_shards(folder, form)) == 3
    assert not [path for path in folder.rglob("*") if victim["item"] in path.name]
    told = (path for path in folder.rglob("*.json*"))
    assert not any(victim["item"] in path.read_text() for path in told)


def test_a_shard_that_does_not_read_back_is_an_error(dataset, monkeypatch):
    given = tarfile.TarFile.addfile

    def spoilt(self, info, stream):
        data = stream.read()
        given(self, info, io.BytesIO(data[:-1] + b"?" if info.name.endswith("txt") else data))

    monkeypatch.setattr(tarfile.TarFile, "addfile", spoilt)
    with pytest.raises(PackageError, match="does not read back"):
        package(dataset, "webdataset")
    assert not root(dataset, "webdataset").exists()


@pytest.mark.parametrize("form", ["aitoolkit", "dreambooth", "parquet"])
def test_croissant_describes_packages_with_and_without_files_of_their_own(dataset, form):
    mlcroissant = pytest.importorskip("mlcroissant")
    split_off(dataset)
    package(dataset, form)
    table = dataset / "05_final_training/final.csv"
    facts = {"path": "05_final_training/final.csv", "bytes": table.stat().st_size}
    about = settings.load()["about"]
    described = describe(about, described_package([form]), {**facts, "sha256": sha256_file(table)})
    (dataset / "croissant.json").write_text(json.dumps(described))
    loaded = mlcroissant.Dataset(dataset / "croissant.json")
    items = [record["images/item"] for record in loaded.records("images")]
    items = [item.decode() if isinstance(item, bytes) else item for item in items]
    assert sorted(items) == [line["item"] for line in final(dataset)]
