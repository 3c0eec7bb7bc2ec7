"""Formats whose images are listed in a file.

SimpleTuner's list of backends, Hugging Face imagefolder, and the JSON of vision-language trainers
(LLaVA, LLaMA-Factory, TRL). Read in the loaders' code; imagefolder and TRL were run as well.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.lib.linting.findings import Finding, Trap
from scripts.lib.linting.folders import caption_text, images_below, json_files

_TIMES = re.compile(r"-(\d+)x$")

REPEATS = Trap(
    "simpletuner/repeats",
    "repeats counts what comes after the first time: {repeats} means that each image is seen "
    "{times} times an epoch",
    "write {less} for {repeats} times; an id that ends in -{times}x says that {times} are meant",
)
SPLIT = Trap(
    "simpletuner/caption-lines",
    "each of its {count} lines is a caption of its own, of which one is drawn",
    "put the caption into one line; disable_multiline_split helps in releases that know it alone",
)
NO_MASKS = Trap(
    "simpletuner/mask-not-joined",
    "the folder {path} is a dataset of its own that no other refers to: masks in it are ignored",
    'give it dataset_type "conditioning", conditioning_type "mask" and source_dataset_id, and name '
    "it as conditioning_data",
)
CUT_APART = Trap(
    "simpletuner/mask-crop",
    "crop_style is random unless it is said, even with crop false: image and mask are each cut to "
    "a bucket at a place of their own, and the mask no longer lies on the subject",
    'write crop_style "center" into {ids}',
)
NO_TEXT_CACHE = Trap(
    "simpletuner/no-text-embeds",
    "there is no entry of type text_embeds with default: true: the run ends",
    "add one",
)
NO_ROW = Trap(
    "imagefolder/image-without-row",
    "no row of {metadata} names it: it is left out without a word",
    "add its row, or remove it",
)
ROW_WITHOUT = Trap(
    "imagefolder/row-without-image",
    "a row names {name}, which is not there: loading succeeds, and reading that row fails",
    "add the file, or remove the row",
)
AS_CLASSES = Trap(
    "imagefolder/folders-as-classes",
    "there is no metadata.jsonl: the loader makes class labels {labels} of the folders, and reads "
    "no caption",
    "write metadata.jsonl with file_name and text beside the images",
)
PLACEHOLDERS = Trap(
    "sft/placeholders",
    "{path} has {found} <image> in its conversation and {count} images: the loader refuses it, or "
    "shifts pictures to other turns",
    "write one <image> for each image",
)
IMAGE_GONE = Trap(
    "sft/image-missing",
    "it names {name}, which is not there: the sample is trained on without its picture",
    "paths are relative to the folder of images; correct them",
)
NOT_REGISTERED = Trap(
    "sft/not-in-dataset-info",
    "dataset_info.json names {name}, which is not there",
    "correct file_name",
)


class SimpleTuner:
    """SimpleTuner: a JSON list of backends."""

    NAME = "simpletuner"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if a JSON file in the folder lists backends."""
        return any(True for _ in _backends(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        for path, backends in _backends(folder):
            place = path.relative_to(folder)
            joined = {b.get("conditioning_data") for b in backends}
            joined |= {b.get("id") for b in backends if b.get("source_dataset_id")}
            if not any(b.get("dataset_type") == "text_embeds" for b in backends):
                yield NO_TEXT_CACHE.found(place)
            if apart := _cut_apart(backends):
                yield CUT_APART.found(place, ids=" and ".join(apart))
            for backend in backends:
                repeats = backend.get("repeats", 0)
                meant = _TIMES.search(str(backend.get("id", "")))
                said = meant and int(meant[1]) == int(repeats) + 1
                if isinstance(repeats, int) and repeats > 0 and not said:
                    yield REPEATS.found(place, repeats=repeats, times=repeats + 1, less=repeats - 1)
                data = str(backend.get("instance_data_dir", ""))
                if "mask" in Path(data).name.lower() and backend.get("id") not in joined:
                    yield NO_MASKS.found(place, path=data)
                if not backend.get("disable_multiline_split"):
                    yield from _caption_lines(folder, folder / data)


def _cut_apart(backends: list[Mapping]) -> list[str]:
    """Ids of images and of masks joined to them whose place is drawn, each by itself."""
    wanted = {b.get("conditioning_data") for b in backends} - {None}
    masks = {b.get("id") for b in backends if b.get("conditioning_type") == "mask"} & wanted
    pairs = [b for b in backends if {b.get("id"), b.get("conditioning_data")} & masks]
    return [str(b.get("id")) for b in pairs if b.get("crop_style", "random") == "random"]


def _caption_lines(folder: Path, images: Path) -> Iterator[Finding]:
    for path in sorted(images.glob("*.txt")) if images != folder and images.is_dir() else ():
        lines = [line for line in (caption_text(path) or "").splitlines() if line.strip()]
        if len(lines) > 1:
            yield SPLIT.found(path.relative_to(folder), count=len(lines))


def _backends(folder: Path) -> Iterator[tuple[Path, list[Mapping]]]:
    for path, content in json_files(folder):
        if isinstance(content, list) and any(
            isinstance(b, Mapping) and {"instance_data_dir", "metadata_backend"} & set(b)
            for b in content
        ):
            yield path, [b for b in content if isinstance(b, Mapping)]


class ImageFolder:
    """Hugging Face imagefolder: `metadata.jsonl` or `.csv` beside images."""

    NAME = "imagefolder"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if the folder holds metadata."""
        return any(True for _ in _metadata(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        tables = list(_metadata(folder))
        if not tables:
            labels = sorted({image.parent.name for image in images_below(folder)})
            yield AS_CLASSES.found(".", labels=labels[:5])
        for table in tables:
            yield from _rows(folder, table)


def _metadata(folder: Path) -> Iterator[Path]:
    for name in ("metadata.jsonl", "metadata.csv"):
        yield from sorted(p for at in ("", "*/", "*/*/") for p in folder.glob(f"{at}{name}"))


def _rows(folder: Path, table: Path) -> Iterator[Finding]:
    named = set()
    for row in _read_rows(table):
        files = [value for key, value in row.items() if key and key.endswith("file_name") and value]
        for name in files:
            path = table.parent / str(name)
            named.add(path)
            if not path.is_file():
                yield ROW_WITHOUT.found(table.relative_to(folder), name=name)
    for image in images_below(table.parent):
        if image not in named:
            metadata = table.relative_to(folder).as_posix()
            yield NO_ROW.found(image.relative_to(folder), metadata=metadata)


def _read_rows(table: Path) -> Iterator[Mapping]:
    with open(table, encoding="utf-8", newline="") as stream:
        if table.suffix == ".csv":
            yield from csv.DictReader(stream)
        else:
            yield from (json.loads(line) for line in stream if line.strip())


class Sft:
    """LLaVA JSON, LLaMA-Factory's sharegpt JSON with `dataset_info.json`, TRL's messages."""

    NAME = "sft"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if a JSON file in the folder holds conversations."""
        return any(True for _ in _conversations(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        yield from _registered(folder)
        for path, samples in _conversations(folder):
            for sample in samples:
                yield from _sample(folder, path, sample)


def _conversations(folder: Path) -> Iterator[tuple[Path, list[Mapping]]]:
    lines = (
        (path, [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()])
        for path in sorted(folder.glob("*.jsonl"))
        if path.name != "metadata.jsonl"
    )
    for path, content in [*json_files(folder), *lines]:
        if not isinstance(content, list):
            continue
        samples = [s for s in content if isinstance(s, Mapping)]
        if any({"conversations", "messages"} & set(sample) for sample in samples):
            yield path, samples


def _registered(folder: Path) -> Iterator[Finding]:
    info = folder / "dataset_info.json"
    if info.is_file():
        for told in json.loads(info.read_text(encoding="utf-8")).values():
            name = told.get("file_name") if isinstance(told, Mapping) else None
            if name and not (folder / name).is_file():
                yield NOT_REGISTERED.found(info.name, name=name)


def _sample(folder: Path, path: Path, sample: Mapping) -> Iterator[Finding]:
    images = sample.get("images", sample.get("image", []))
    images = [images] if isinstance(images, str) else images
    turns = sample.get("conversations", sample.get("messages", []))
    said = " ".join(str(turn.get("value", turn.get("content", ""))) for turn in turns)
    where = f"{path.relative_to(folder)} ({sample.get('id', images)})"
    found = said.count("<image>")
    structured = any(not isinstance(turn.get("content", ""), str) for turn in turns)
    is_trl = "messages" in sample and found == 0  # TRL puts the placeholders in itself
    if found != len(images) and not (is_trl or structured):
        yield PLACEHOLDERS.found(where, path=path.name, found=found, count=len(images))
    for name in images:
        if isinstance(name, str) and not (folder / name).is_file():
            yield IMAGE_GONE.found(where, name=name)
