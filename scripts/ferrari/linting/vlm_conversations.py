"""The JSON of vision-language trainers (LLaVA, LLaMA-Factory, TRL), which lists images and texts.

Read in the loaders' code; TRL's was run as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import (
    fault_of,
    json_files,
    json_lines,
    mapping,
    mappings,
    unreadable,
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

UNREADABLE = unreadable("sft")


class Sft:
    """LLaVA JSON, LLaMA-Factory's sharegpt JSON with `dataset_info.json`, TRL's messages."""

    NAME = "sft"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if a JSON file in the folder holds conversations."""
        return any(True for _ in _conversations(folder)) or any(map(fault_of, _lists(folder)))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder."""
        yield from _registered(folder)
        for path in _lists(folder):
            if why := fault_of(path):
                yield UNREADABLE.found(path.relative_to(folder), why=why)
        for path, samples in _conversations(folder):
            for sample in samples:
                yield from _sample(folder, path, sample)


def _lists(folder: Path) -> list[Path]:
    """The JSONL files of a folder that may hold conversations."""
    return [path for path in sorted(folder.glob("*.jsonl")) if path.name != "metadata.jsonl"]


def _conversations(folder: Path) -> Iterator[tuple[Path, list[Mapping]]]:
    lines = ((path, json_lines(path)) for path in _lists(folder) if not fault_of(path))
    for path, content in [*json_files(folder), *lines]:
        samples = mappings(content)
        if any({"conversations", "messages"} & set(sample) for sample in samples):
            yield path, samples


def _registered(folder: Path) -> Iterator[Finding]:
    info = folder / "dataset_info.json"
    if info.is_file():
        told_of = mapping(dict(json_files(folder)).get(info))
        for told in told_of.values():
            name = str(mapping(told).get("file_name") or "")
            if name and not (folder / name).is_file():
                yield NOT_REGISTERED.found(info.name, name=name)


def _sample(folder: Path, path: Path, sample: Mapping) -> Iterator[Finding]:
    images = sample.get("images", sample.get("image")) or []
    images = images if isinstance(images, list) else [images]
    turns = mappings(sample.get("conversations", sample.get("messages")))
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
