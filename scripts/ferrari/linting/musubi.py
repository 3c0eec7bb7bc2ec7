"""What musubi-tuner makes of a folder: a TOML file whose datasets have `image_directory`.

Read in its `dataset/config_utils.py`, whose schema was run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import (
    from_folder,
    images_in,
    mapping,
    mappings,
    toml_files,
    twins,
)

NAME = "musubi"
_MASK_KEYS = frozenset({"mask_directory", "mask_path", "conditioning_data_dir", "alpha_mask"})

MASKS = Trap(
    "musubi/masks-refused",
    "the trainer knows no masks: it refuses the file for {keys}",
    "remove the key, or train with a trainer that has masked loss",
)
NO_FOLDER = Trap(
    "musubi/no-folder", "the folder {path} is not there: it has no images", "correct the path"
)
CAPTION_MISSING = Trap(
    "musubi/caption-missing",
    "no {name} lies beside it: the image is left out, or trained on nothing",
    "write {name}, or correct caption_extension",
)
NO_CACHE = Trap(
    "musubi/no-cache-directory",
    "image_jsonl_file without cache_directory: the trainer refuses the file",
    "name a cache_directory",
)
TWINS = Trap("musubi/twin-stems", "{names} share one caption and one cache", "keep one of them")


def is_here(folder: Path) -> bool:
    """True if a TOML file in the folder has a dataset with `image_directory` or its list."""
    return any(True for _ in _datasets(folder))


def lint(folder: Path) -> Iterator[Finding]:
    """All findings of a folder."""
    for config, general, dataset in _datasets(folder):
        place = from_folder(folder, config)
        known = {**general, **dataset}
        if wrong := sorted(_MASK_KEYS & known.keys()):
            yield MASKS.found(place, keys=", ".join(wrong))
        if "image_jsonl_file" in dataset and "cache_directory" not in dataset:
            yield NO_CACHE.found(place)
        if "image_directory" in dataset:
            images = folder / str(dataset["image_directory"])
            if not images.is_dir():
                yield NO_FOLDER.found(place, path=dataset["image_directory"])
                continue
            yield from _images(folder, images, str(known.get("caption_extension", ".txt")))


def _images(folder: Path, images: Path, extension: str) -> Iterator[Finding]:
    found = images_in(images)
    for names in twins(found):
        together = ", ".join(path.name for path in names)
        yield TWINS.found(from_folder(folder, names[0]), names=together)
    for image in found:
        if not image.with_suffix(extension).is_file():
            name = image.with_suffix(extension).name
            yield CAPTION_MISSING.found(from_folder(folder, image), name=name)


def _datasets(folder: Path) -> Iterator[tuple[Path, Mapping, Mapping]]:
    for path, content in toml_files(folder):
        for dataset in mappings(content.get("datasets")):
            if {"image_directory", "image_jsonl_file"} & set(dataset):
                yield path, mapping(content.get("general")), dataset
