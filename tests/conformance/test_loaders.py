"""What each trainer's own loader hands to the training, compared with the final table.

Trainers on PyPI are in .venv-trainers; of the others FERRARI_TRAINERS names a folder with their
checkouts, each under its repository's name.
"""

import json
import os
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from tests.conformance import made_set
from tests.conformance.conftest import TABLE
from tests.conformance.handed import digest
from tests.stage.final_set import PACKAGE
from tools.lint_package import lint

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv-trainers"
PROMPT, TOKEN = "a photo of sks person", "<sks>"  # of formats that have one text for all images
LEAST_OVERLAP = 0.97  # of a mask and its subject, where a trainer crops and scales both
pytestmark = pytest.mark.trainers


class Case(NamedTuple):
    """A loader and what is to be seen of a package in it."""

    form: str
    source: str  # a distribution in .venv-trainers, or the checkout `/<name>`
    times: int = 1  # how often an epoch sees an image
    masks: bool = False
    text: str = ""  # the one text for all, where captions are not read
    scales: bool = False  # images that are not in a bucket of the trainer's are cropped and scaled
    settings: Mapping = MappingProxyType({})  # of the package
    linted: str = ""  # the linter's name for the trainer, and the folder it is about
    folder: str = ""


SFT = {"linted": "sft"}
BUCKETS = {"fit": "bucket"}
CASES = {
    "kohya": Case("kohya", "/sd-scripts", 3, True, scales=True),
    "kohya (fit: bucket)": Case("kohya", "/sd-scripts", 3, True, settings=BUCKETS),
    "kohya (image: rgba)": Case(
        "kohya", "/sd-scripts", 3, True, settings={**BUCKETS, "image": "rgba"}
    ),
    "musubi": Case("musubi", "/musubi-tuner", 3, scales=True),
    "onetrainer": Case("onetrainer", "/OneTrainer", 3, True, scales=True),
    "aitoolkit": Case("aitoolkit", "/ai-toolkit", 3, True, scales=True, linted="ai-toolkit"),
    "aitoolkit (image: rgba)": Case(
        *("aitoolkit", "/ai-toolkit", 3, True),
        scales=True,
        settings={**BUCKETS, "image": "rgba"},
        linted="ai-toolkit",
    ),
    "simpletuner": Case("simpletuner", "simpletuner", 3, True, scales=True),
    "diffusionpipe": Case(
        "diffusionpipe", "/diffusion-pipe", 3, True, scales=True, linted="diffusion-pipe"
    ),
    "dreambooth": Case("dreambooth", "/diffusers", text=PROMPT, scales=True, folder="instance"),
    "textualinversion": Case(
        *("textualinversion", "/diffusers", 3),
        text=TOKEN,
        linted="diffusers",
        folder="images",
    ),
    "imagefolder": Case("imagefolder", "datasets", masks=True),
    "parquet": Case("parquet", "datasets", masks=True),
    "webdataset": Case("webdataset", "webdataset", masks=True),
    "webdataset_in_datasets": Case("webdataset", "datasets", masks=True),
    "llava": Case("llava", "/LLaVA", **SFT),
    "llamafactory": Case("llamafactory", "llamafactory", **SFT),
    "trl": Case("trl", "trl", **SFT),
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return made_set.make(tmp_path_factory.mktemp("set"))


def source_of(case: Case) -> tuple[str, str]:
    """The checkout's folder, empty where none is needed, and the version; skips if it is absent."""
    if not VENV.is_dir():
        pytest.skip("no .venv-trainers: `make test-trainers` sets it up")
    if not case.source.startswith("/"):
        (made,) = VENV.glob(f"lib/python*/site-packages/{case.source}-*.dist-info")
        return "", made.name.removesuffix(".dist-info").replace("-", " ")
    name = case.source[1:]
    if not os.environ.get("FERRARI_TRAINERS"):
        pytest.skip(f"FERRARI_TRAINERS is not set: no checkout of {name}")
    folder = Path(os.environ["FERRARI_TRAINERS"]).resolve() / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: FERRARI_TRAINERS has no checkout of {name}")
    commit = ""
    if (folder / ".git").exists():
        asked = ["git", "-C", str(folder), "rev-parse", "--short=9", "HEAD"]
        commit = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return str(folder), f"{name} {commit or '(no commit)'}"


def load(loader: str, package: Path, checkout: str, home: Path) -> list[dict]:
    """What that loader hands out, in a process of its own, without a network."""
    command = [str(VENV / "bin/python"), "-m", "tests.conformance.loaders"]
    quiet = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [*command, loader, str(package), checkout],
        **{"cwd": ROOT, "env": os.environ | quiet, "capture_output": True},
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def squared(picture: np.ndarray) -> np.ndarray:
    """The picture amid a square of package.alpha_colour, in the set's resolution."""
    high, wide = picture.shape[:2]
    side = max(high, wide)
    canvas = Image.new("RGB", (side, side), tuple(PACKAGE["alpha_colour"]))
    canvas.paste(Image.fromarray(picture), ((side - wide) // 2, (side - high) // 2))
    size = made_set.SIDE, made_set.SIDE
    return np.asarray(canvas if side == size[0] else canvas.resize(size, Image.Resampling.BICUBIC))


def wanted_of(case: Case, dataset: Path) -> list[dict]:
    """What is to be trained on; `exact` is false where the trainer scales the image."""
    items = made_set.packaged(dataset, case.form) if case.settings else made_set.final(dataset)
    lines = []
    for item, image in items.items():
        picture = squared(image["image"]) if case.text == TOKEN else image["image"][..., :3]
        lines.append(
            {
                "item": item,
                "caption": case.text or image["caption"],
                "image": digest(picture),
                "mask": digest(image["mask"]) if case.masks else "",
                "exact": not case.scales or picture.shape[:2] == (made_set.SIDE,) * 2,
                "repeats": case.times,
            }
        )
    return lines


def weights(lines: list[dict], *fields: str) -> Counter:
    """How often an epoch sees each combination of those fields."""
    total = Counter()
    for line in lines:
        total[tuple(line[field] for field in fields)] += line["repeats"]
    return total


@pytest.mark.parametrize("name", CASES)
def test_the_loader_trains_on_what_the_final_table_says(name, dataset, tmp_path, request):
    case = CASES[name]
    checkout, version = source_of(case)
    package = made_set.package(dataset, case.form, **case.settings)
    linted = lint(package / case.folder, [case.linted or case.form])[1]
    loader = name.partition(" ")[0]
    found = load(loader, package, checkout, tmp_path)
    wanted = wanted_of(case, dataset)

    known = {line["image"] for line in wanted if line["exact"]}
    exact = [line for line in found if line["image"] in known]
    scaled = [line for line in found if line["image"] not in known]
    sharp, odd = ([line for line in wanted if line["exact"] is kind] for kind in (True, False))
    assert weights(exact, "image") == weights(sharp, "image")
    assert weights(exact, "image", "caption") == weights(sharp, "image", "caption")
    assert weights(exact, "image", "mask") == weights(sharp, "image", "mask")
    assert weights(scaled, "caption") == weights(odd, "caption")
    assert all((line["overlap"] is not None) == case.masks for line in found)
    assert not case.masks or all(line["overlap"] > LEAST_OVERLAP for line in scaled)
    assert {line["image"] for line in found}.isdisjoint(
        digest(image["image"]) for image in made_set.final(dataset, "val").values()
    )
    if all(line["item"] for line in found):
        assert weights(found, "item", "caption") == weights(wanted, "item", "caption")
    assert linted == []
    request.config.stash[TABLE].append(
        (
            *(case.form + name.removeprefix(loader), version, str(len(wanted)), str(len(odd))),
            "equal" if not case.text else f"`{case.text}`",
            "equal" if case.masks else "not read",
            *(str(case.times), "clean"),
        )
    )


def test_what_is_for_validation_is_trained_on_by_none(dataset, tmp_path):
    """Equal counts say so of each loader; here of the set: it has such images, like the others."""
    held, trained = made_set.final(dataset, "val"), made_set.final(dataset)
    assert len(held) == len(trained) // 2
    pixels = [{digest(image["image"]) for image in split.values()} for split in (held, trained)]
    assert not pixels[0] & pixels[1]
    for form in sorted({case.form for case in CASES.values()}):
        package = made_set.package(dataset, form)
        inside = {path.name for path in package.rglob("*") if any(i in path.name for i in held)}
        assert inside or form in ("parquet", "webdataset")  # they are there, for validation
