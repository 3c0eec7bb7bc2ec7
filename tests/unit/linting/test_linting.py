"""Each trap is planted in a sound folder, and found by its name there and nowhere else."""

import importlib
import io
import json
import pkgutil
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ferrari import linting
from ferrari.linting.findings import Trap
from tools.lint_package import LINTERS, NothingToLintError, lint

ROOT = Path(__file__).parents[3]


def image(path: Path, size=(48, 64), mode="RGB", value=90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value if mode == "L" else (value,) * len(mode)).save(path)
    return path


def mask(path: Path, size=(48, 64)) -> Path:
    image(path, size, "L", 0)
    with Image.open(path) as opened:
        changed = opened.copy()
    changed.paste(255, (8, 8, 24, 32))
    changed.save(path)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


TOML = """
[general]
caption_extension = ".txt"
[[datasets]]
resolution = 512
  [[datasets.subsets]]
  image_dir = "img/4_sks person"
  conditioning_data_dir = "mask"
"""


def kohya(folder: Path) -> Path:
    images = folder / "img/4_sks person"
    for name in ("a", "b"):
        image(images / f"{name}.png")
        write(images / f"{name}.txt", "sks person")
        mask(folder / f"mask/{name}.png")
    write(folder / "dataset.toml", TOML)
    return images


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def clear_under_alpha(images: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 48, 4), np.uint8)
    pixels[:30, :, 3] = 0
    Image.fromarray(pixels).save(images / "a.png")


def borrow(images: Path) -> None:
    image(images / "clip_f0010_p0_aug_noise.png")
    write(images / "clip.txt", "of another")
    mask(images.parents[1] / "mask/clip_f0010_p0_aug_noise.png")


KOHYA = {
    "caption-extension": lambda f, i: replace(f / "dataset.toml", '".txt"', '".caption"'),
    "caption-second-line": lambda f, i: write(i / "a.txt", "sks person\nin a red coat"),
    "caption-blank": lambda f, i: write(i / "a.txt", "\nsks person"),
    "caption-not-utf8": lambda f, i: (i / "a.txt").write_bytes("sks für".encode("latin-1")),
    "caption-missing": lambda f, i: (i / "a.txt").unlink(),
    "caption-borrowed": lambda f, i: borrow(i),
    "mask-missing": lambda f, i: (f / "mask/a.png").unlink(),
    "mask-extra": lambda f, i: mask(f / "mask/c.png"),
    "mask-twins": lambda f, i: mask(f / "mask/a.webp"),
    "mask-size": lambda f, i: mask(f / "mask/a.png", (24, 32)),
    "mask-black": lambda f, i: image(f / "mask/a.png", mode="L", value=0),
    "mask-subset-keys": lambda f, i: replace(
        f / "dataset.toml", "conditioning", 'class_tokens = "x"\n  conditioning'
    ),
    "mask-mixed-subsets": lambda f, i: write(
        f / "dataset.toml", TOML + '  [[datasets.subsets]]\n  image_dir = "mask"\n'
    ),
    "colours-under-alpha": lambda f, i: clear_under_alpha(i),
}


def checks(folder: Path, *trainers: str) -> set[str]:
    return {finding.check for finding in lint(folder, trainers)[1]}


def test_a_sound_kohya_folder_has_no_traps(tmp_path):
    kohya(tmp_path)
    assert lint(tmp_path) == (["kohya"], [])


@pytest.mark.parametrize("trap", KOHYA)
def test_each_trap_of_kohya_is_found(tmp_path, trap):
    KOHYA[trap](tmp_path, kohya(tmp_path))
    found = checks(tmp_path, "kohya")
    also = {"kohya/caption-missing"} if trap == "mask-mixed-subsets" else set()
    assert found - also == {f"kohya/{trap}"}


def test_kohya_folders_by_name_alone(tmp_path):
    images = tmp_path / "img/3_sks man"
    image(images / "a.png")
    write(images / "a.txt", "sks man")
    assert lint(tmp_path) == (["kohya"], [])
    image(images / "a.webp")
    image(images / "a-masklabel.png")
    image(tmp_path / "img/sks man/b.png")
    image(tmp_path / "img/0_sks man/b.png")
    found = lint(tmp_path, ["kohya"])[1]
    assert {(f.check, f.path) for f in found} == {
        ("kohya/twin-stems", "img/3_sks man/a.png"),
        ("kohya/mask-as-image", "img/3_sks man/a-masklabel.png"),
        ("kohya/caption-missing", "img/3_sks man/a-masklabel.png"),
        ("kohya/folder-without-repeats", "img/sks man"),
        ("kohya/folder-without-repeats", "img/0_sks man"),
    }
    assert 'trained on "sks man"' in str(next(f for f in found if "caption-missing" in f.check))


def test_an_alpha_mask_or_one_colour_under_alpha_is_no_trap(tmp_path):
    images = kohya(tmp_path)
    clear_under_alpha(images)
    write(tmp_path / "dataset.toml", TOML.replace('conditioning_data_dir = "mask"', ""))
    assert checks(tmp_path) == {"kohya/colours-under-alpha"}
    replace(tmp_path / "dataset.toml", "[general]", "[general]\nalpha_mask = true")
    assert checks(tmp_path) == set()


def test_onetrainer(tmp_path):
    for name in "ab":
        image(tmp_path / f"{name}.png")
        mask(tmp_path / f"{name}-masklabel.png")
        write(tmp_path / f"{name}.txt", "sks person")
    concept = {"path": ".", "text": {}, "balancing": 1.0, "name": "x"}
    write(tmp_path / "concepts.json", json.dumps([concept]))
    assert lint(tmp_path) == (["onetrainer"], [])
    (tmp_path / "a-masklabel.png").unlink()
    mask(tmp_path / "b-masklabel.webp")
    mask(tmp_path / "b-masklabel.png", (10, 10))
    write(tmp_path / "a.txt", "one\n\ntwo\n")
    changed = {**concept, "repeats": 3, "path": "nowhere"}
    write(tmp_path / "concepts.json", json.dumps([changed]))
    assert checks(tmp_path) == {
        *("onetrainer/mask-missing", "onetrainer/mask-not-png", "onetrainer/mask-size"),
        *("onetrainer/caption-lines", "onetrainer/unknown-key"),
        "onetrainer/concept-without-folder",
    }


def test_ai_toolkit(tmp_path):
    for name in "ab":
        image(tmp_path / f"images/{name}.png")
        write(tmp_path / f"images/{name}.txt", "sks person")
        mask(tmp_path / f"masks/{name}.png")
    job = "config:\n process:\n - datasets:\n   - folder_path: images\n     mask_path: masks\n"
    write(tmp_path / "train.yaml", job)
    assert lint(tmp_path) == (["ai-toolkit"], [])
    mask(tmp_path / "masks/a.webp")
    assert checks(tmp_path) == {"ai-toolkit/mask-twins"}
    for name in ("a.png", "a.webp"):
        (tmp_path / "masks" / name).unlink()
    (tmp_path / "images/b.txt").unlink()
    mask(tmp_path / "images/masks/a.png")
    assert checks(tmp_path) == {
        *("ai-toolkit/mask-missing", "ai-toolkit/caption-missing", "ai-toolkit/masks-below"),
    }
    write(tmp_path / "train.yaml", job + "     caption_ext: caption\n")
    assert "ai-toolkit/caption-extension" in checks(tmp_path)


def test_diffusion_pipe(tmp_path):
    image(tmp_path / "images/a.png")
    mask(tmp_path / "masks/a.png")
    toml = '[[directory]]\npath = "images"\nmask_path = "masks"\n'
    write(tmp_path / "dataset.toml", toml)
    assert lint(tmp_path) == (["diffusion-pipe"], [])
    image(tmp_path / "images/b.png")
    write(tmp_path / "dataset.toml", toml + '[[directory]]\npath = "gone"\n')
    assert checks(tmp_path) == {"diffusion-pipe/mask-missing", "diffusion-pipe/no-folder"}


def test_folders_that_lie_elsewhere_are_linted_too(tmp_path):
    """Trainers' files mostly name their folders in full, wherever these lie."""
    data, asked = tmp_path / "data", tmp_path / "asked"
    image(data / "images/a.png")
    write(data / "images/b.txt", "one\ntwo")
    images, masks = json.dumps(str(data / "images")), json.dumps(str(data / "masks"))
    subset = f"image_dir = {images}\nconditioning_data_dir = {masks}\n"
    write(asked / "kohya.toml", f"[[datasets]]\n[[datasets.subsets]]\n{subset}")
    write(asked / "musubi.toml", f"[[datasets]]\nimage_directory = {images}\n")
    write(asked / "pipe.toml", f"[[directory]]\npath = {images}\nmask_path = {masks}\n")
    job = f"config:\n process:\n - datasets:\n   - folder_path: {images}\n"
    write(asked / "train.yaml", job)
    backend = {"id": "images", "instance_data_dir": str(data / "images")}
    write(asked / "multidatabackend.json", json.dumps([backend]))
    trainers = ("kohya", "musubi", "diffusion-pipe", "ai-toolkit", "simpletuner")
    found = lint(asked, trainers)[1]
    outside = {f.check.split("/")[0] for f in found if f.path.startswith("../data/images/")}
    assert outside == set(trainers)


def test_simpletuner(tmp_path):
    cache = {"id": "text", "dataset_type": "text_embeds", "default": True}
    images = {"id": "images", "instance_data_dir": "images", "repeats": 0}
    masks = {"id": "masks", "instance_data_dir": "masks", "dataset_type": "conditioning"}
    images["conditioning_data"] = "masks"
    place = tmp_path / "multidatabackend.json"
    write(place, json.dumps([images, masks, cache]))
    assert lint(tmp_path) == (["simpletuner"], [])
    images |= {"repeats": 4, "conditioning_data": None}
    write(place, json.dumps([images, masks]))
    found = lint(tmp_path)[1]
    assert {f.check for f in found} == {
        *("simpletuner/repeats", "simpletuner/mask-not-joined", "simpletuner/no-text-embeds"),
    }
    assert any("seen 5 times" in f.effect and "write 3 " in f.cure for f in found)


@pytest.mark.parametrize("named", ["masks", ["x", "masks"]])
@pytest.mark.parametrize("typed", ["conditioning", None], ids=["of a type", "of none"])
def test_simpletuner_cuts_a_mask_and_its_image_apart(tmp_path, named, typed):
    cache = {"id": "text", "dataset_type": "text_embeds", "default": True}
    images = {"id": "images", "instance_data_dir": "images", "conditioning_data": named}
    masks = {"id": "masks", "instance_data_dir": "masks", "conditioning_type": "mask"}
    masks |= {"dataset_type": typed} if typed else {}
    place = write(tmp_path / "multidatabackend.json", json.dumps([images, masks, cache]))
    (found,) = lint(tmp_path)[1]
    assert found.check == "simpletuner/mask-crop" and "images and masks" in found.cure
    cut = {"crop_style": "center"}
    write(place, json.dumps([images | cut, masks | cut, cache]))
    assert checks(tmp_path) == set()


def test_simpletuner_says_by_an_id_how_often_is_meant(tmp_path):
    cache = {"id": "text", "dataset_type": "text_embeds", "default": True}
    images = {"id": "subject-4x", "instance_data_dir": "images", "repeats": 3}
    place = write(tmp_path / "multidatabackend.json", json.dumps([images, cache]))
    assert checks(tmp_path) == set()
    write(place, json.dumps([{**images, "repeats": 4}, cache]))
    assert checks(tmp_path) == {"simpletuner/repeats"}
    write(place, json.dumps([images, cache]))
    write(tmp_path / "images/a.txt", "one\ntwo")
    assert checks(tmp_path) == {"simpletuner/caption-lines"}


def test_musubi(tmp_path):
    image(tmp_path / "images/a.png")
    write(tmp_path / "images/a.txt", "sks person")
    toml = '[general]\ncaption_extension = ".txt"\n[[datasets]]\nimage_directory = "images"\n'
    write(tmp_path / "dataset.toml", toml)
    assert lint(tmp_path) == (["musubi"], [])
    more = '[[datasets]]\nimage_directory = "gone"\n[[datasets]]\nimage_jsonl_file = "a.jsonl"\n'
    write(tmp_path / "dataset.toml", toml + 'mask_directory = "masks"\n' + more)
    image(tmp_path / "images/a.webp")
    image(tmp_path / "images/b.png")
    assert checks(tmp_path) == {
        *("musubi/masks-refused", "musubi/no-folder", "musubi/no-cache-directory"),
        *("musubi/twin-stems", "musubi/caption-missing"),
    }


def test_parquet(tmp_path):
    picture = pa.array([{"bytes": b"", "path": "a.png"}])
    table = pa.table({"image": picture, "text": ["sks person"]})
    features = {"image": {"_type": "Image"}, "text": {"_type": "Value", "dtype": "string"}}
    told = table.replace_schema_metadata(
        {"huggingface": json.dumps({"info": {"features": features}})}
    )
    pq.write_table(told, tmp_path / "train-0.parquet")
    assert lint(tmp_path) == (["parquet"], [])
    pq.write_table(table, tmp_path / "train-1.parquet")
    pq.write_table(told.drop_columns("text"), tmp_path / "train-2.parquet")
    write(tmp_path / "train-3.parquet", "no table")
    assert {(f.check, f.path) for f in lint(tmp_path)[1]} == {
        ("parquet/images-as-bytes", "train-1.parquet"),
        ("parquet/unequal-columns", "train-2.parquet"),
        ("parquet/unreadable", "train-3.parquet"),
    }


def test_dreambooth_wants_images_alone_of_any_shape(tmp_path):
    image(tmp_path / "a.png", (64, 48))
    assert checks(tmp_path, "dreambooth") == set()
    write(tmp_path / "a.txt", "sks person")
    assert checks(tmp_path, "dreambooth") == {"dreambooth/not-an-image"}


def test_diffusers(tmp_path):
    image(tmp_path / "a.png", (64, 64))
    assert checks(tmp_path, "diffusers") == set()
    image(tmp_path / "b.png", (64, 48))
    write(tmp_path / ".hidden", "")
    assert checks(tmp_path, "diffusers") == {"diffusers/not-an-image", "diffusers/not-square"}


def test_imagefolder(tmp_path):
    image(tmp_path / "train/a.png")
    mask(tmp_path / "train/masks/a.png")
    row = {"file_name": "a.png", "mask_file_name": "masks/a.png", "text": "sks person"}
    table = write(tmp_path / "train/metadata.jsonl", json.dumps(row) + "\n")
    assert lint(tmp_path) == (["imagefolder"], [])
    image(tmp_path / "train/b.png")
    write(table, table.read_text() + json.dumps({"file_name": "c.png", "text": ""}) + "\n")
    assert checks(tmp_path) == {
        *("imagefolder/image-without-row", "imagefolder/row-without-image"),
    }
    table.unlink()
    assert checks(tmp_path, "imagefolder") == {"imagefolder/folders-as-classes"}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("metadata.csv", "file_name,text\na.png,für\n".encode("latin-1"), "line 2 is not UTF-8"),
        ("metadata.jsonl", '{"file_name": "a.png"}\n'.encode("utf-16"), "it is UTF-16"),
        ("metadata.jsonl", b'{"file_name": "a.png"}\n{"file_na\n', "line 2 is no JSON"),
        ("chat.jsonl", '{"messages": "für"}\n'.encode("latin-1"), "line 1 is not UTF-8"),
    ],
)
def test_a_text_that_a_trainer_stops_at_is_found_and_named(tmp_path, name, text, why):
    """It ended the linter with a traceback."""
    image(tmp_path / "a.png")
    (tmp_path / name).write_bytes(text)
    (found,) = lint(tmp_path)[1]
    trainer = "sft" if name == "chat.jsonl" else "imagefolder"
    assert (found.check, found.path) == (f"{trainer}/unreadable", name) and why in found.effect


def shard(path: Path, *names: str) -> None:
    with tarfile.open(path, "w") as tar:
        for name in names:
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())


def test_webdataset(tmp_path):
    shard(tmp_path / "0.tar", "a.webp", "a.txt", "a.mask.png", "b.webp", "b.txt", "b.mask.png")
    assert lint(tmp_path) == (["webdataset"], [])
    shard(tmp_path / "1.tar", "a.webp", "a.txt", "b.webp")
    shard(tmp_path / "2.tar", "vid.01_f10.webp", "vid.01_f10.txt")
    assert [(f.check, f.path) for f in lint(tmp_path)[1]] == [
        ("webdataset/dotted-key", "2.tar"),
        ("webdataset/unequal-samples", "1.tar"),
    ]


@pytest.mark.parametrize("length", [0, 300, 512, 700, 1024])
def test_a_tar_that_is_cut_off_is_found_and_not_a_traceback(tmp_path, length):
    shard(tmp_path / "0.tar", "a.webp", "a.txt")
    data = (tmp_path / "0.tar").read_bytes()
    (tmp_path / "0.tar").write_bytes(data[:length])
    (found,) = lint(tmp_path)[1]
    assert (found.check, found.path) == ("webdataset/unreadable", "0.tar")


#: Files of other programs, or that their trainer refuses, by the keys that linters look for.
ODD = {
    "table.toml": "[datasets]\na = 1\n",
    "text.toml": 'datasets = "x"\ndirectory = 5\n',
    "numbers.toml": "datasets = [1, 2]\ndirectory = [3]\n",
    "subset.toml": "[[datasets]]\nsubsets = 1\n[[datasets]]\nsubsets = [1]\n",
    "general.toml": 'general = "x"\n[[datasets]]\nimage_directory = "images"\n',
    "kohya.toml": 'general = "x"\n[[datasets]]\n[[datasets.subsets]]\nimage_dir = "images"\n',
    "words.json": json.dumps([{"conversations": ["hello"]}]),
    "null.json": json.dumps([{"messages": None, "images": None}]),
    "concepts.json": json.dumps([{"path": "images", "text": {}}, {"name": "x"}, "y"]),
    "backends.json": json.dumps(
        [
            {"id": "a-3x", "instance_data_dir": "images", "repeats": "two"},
            {"id": ["b"], "instance_data_dir": None, "conditioning_data": ["masks"]},
        ]
    ),
    "dataset_info.json": json.dumps({"a": {"file_name": 5}, "b": "c"}),
}


@pytest.mark.parametrize("name", ODD)
def test_a_file_of_another_form_ends_no_linter(tmp_path, name):
    image(tmp_path / "images/a.png")
    write(tmp_path / "images/a.txt", "sks person")
    write(tmp_path / name, ODD[name])
    found = lint(tmp_path, [linter.NAME for linter in LINTERS])[1]
    assert all(finding.path for finding in found)


@pytest.mark.parametrize("told", ["[]", "nonsense", '{"info": null}', '{"info": {"features": 1}}'])
def test_a_parquet_file_whose_metadata_are_of_another_form(tmp_path, told):
    picture = pa.array([{"bytes": b"", "path": "a.png"}])
    table = pa.table({"image": picture}).replace_schema_metadata({"huggingface": told})
    pq.write_table(table, tmp_path / "a.parquet")
    assert checks(tmp_path) == {"parquet/images-as-bytes"}


@pytest.mark.parametrize(
    ("folder", "holds_masks"),
    [
        *(("masks", True), ("my_masks", True), ("alpha", True), ("labels", True)),
        *(("conditioning", True), ("second", False), ("alphabet", False), ("unmasked", False)),
    ],
)
def test_ai_toolkit_tells_folders_of_masks_by_whole_words(tmp_path, folder, holds_masks):
    """A folder called `second` was taken for one of masks (`cond`)."""
    image(tmp_path / f"images/{folder}/a.png")
    write(tmp_path / f"images/{folder}/a.txt", "sks person")
    write(tmp_path / "train.yaml", "datasets:\n  - folder_path: images\n")
    assert checks(tmp_path) == ({"ai-toolkit/masks-below"} if holds_masks else set())


@pytest.mark.parametrize("form", ["llava", "sharegpt"])
def test_conversations(tmp_path, form):
    image(tmp_path / "a.png")
    turns, value = {"llava": ("conversations", "value"), "sharegpt": ("messages", "content")}[form]
    images = {"llava": {"image": "a.png"}, "sharegpt": {"images": ["a.png"]}}[form]
    sample = {"id": "a", turns: [{value: "<image>\nWho?"}, {value: "sks person"}], **images}
    place = write(tmp_path / "data.json", json.dumps([sample]))
    assert lint(tmp_path) == (["sft"], [])
    wrong = {**sample, turns: [{value: "<image> <image> Who?"}]}
    (tmp_path / "a.png").unlink()
    write(place, json.dumps([wrong]))
    write(tmp_path / "dataset_info.json", json.dumps({"x": {"file_name": "gone.json"}}))
    assert checks(tmp_path) == {
        *("sft/placeholders", "sft/image-missing", "sft/not-in-dataset-info"),
    }


def test_what_cannot_be_linted_says_why(tmp_path):
    with pytest.raises(NothingToLintError, match=r"no trainer's marks.*TRAINER=kohya"):
        lint(tmp_path)
    with pytest.raises(NothingToLintError, match="there is no folder"):
        lint(tmp_path / "gone")


def test_the_command_says_it_and_counts_it(tmp_path):
    images = kohya(tmp_path)
    for number in range(12):
        write(images / f"a{number}.txt", "x")
        image(images / f"a{number}.png")
    command = [sys.executable, "scripts/tools/lint_package.py", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "12 findings, 1 traps" in done.stdout
    assert done.stdout.count("To mend it:") == 10 and "2 more" in done.stdout
    done = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True)
    assert len(json.loads(done.stdout)) == 12


def traps() -> set[str]:
    """The names of all traps."""
    modules = pkgutil.iter_modules(linting.__path__, f"{linting.__name__}.")
    found = (vars(importlib.import_module(module.name)).values() for module in modules)
    return {one.check for values in found for one in values if isinstance(one, Trap)}


def test_every_trap_is_named_after_its_trainer():
    names = {linter.NAME for linter in LINTERS}
    assert {trap.partition("/")[0] for trap in traps()} == names


def test_the_documents_name_every_trap():
    text = (ROOT / "docs/packages.md").read_text().partition("## The linter")[2]
    rows = re.findall(r"^\| `([a-z-]+)`[^|]*\| ([a-z0-9, -]+) \|$", text, re.MULTILINE)
    assert {f"{trainer}/{trap}" for trainer, said in rows for trap in said.split(", ")} == traps()


def test_a_folder_that_is_not_named_is_not_the_one_we_are_in():
    """make hands on an empty word for DIR= that was not said."""
    command = [sys.executable, "scripts/tools/lint_package.py", ""]
    done = subprocess.run(
        command, **{"cwd": ROOT, "capture_output": True, "text": True, "check": False}
    )
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.startswith("DIR= is missing")
