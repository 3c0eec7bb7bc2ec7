"""ai-toolkit: it reads a folder with everything below it.

Read in ai-toolkit's dataset classes (and met by running them).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import from_folder, images_below, images_in, twins

_IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
#: How words of a folder's name begin where masks lie in it: `masks`, `alpha_masks`, `conditioning`.
_MASK_WORD = re.compile(r"(?<![a-z])(?:mask|alpha(?![a-z])|label|cond)")

NESTED = Trap(
    "ai-toolkit/masks-below",
    "everything below the folder is trained on, so its {count} masks are trained on as images",
    "move it out of {images} and name it as mask_path",
)

AI_MASK_MISSING = Trap(
    "ai-toolkit/mask-missing",
    "it has no mask in {folder}: all of it is trained on, background too, without a word",
    "write {folder}/{name}",
)

AI_MASK_TWINS = Trap(
    "ai-toolkit/mask-twins",
    "{names} are masks of one image: one of them is used, the others are not looked at",
    "keep the one that is meant",
)

AI_CAPTION_MISSING = Trap(
    "ai-toolkit/caption-missing",
    "it has no caption: it is trained on the default caption or on nothing",
    "write {name}",
)

AI_EXTENSION = Trap(
    "ai-toolkit/caption-extension",
    "captions lie in .txt, caption_ext is {wanted}: none of them is read",
    "write caption_ext: txt",
)


class AiToolkit:
    """ai-toolkit: a YAML file with `datasets:`, or a folder with masks below its images."""

    NAME = "ai-toolkit"

    @staticmethod
    def is_here(folder: Path) -> bool:
        """True if a YAML file in the folder lists datasets as ai-toolkit does."""
        return any(True for _ in _datasets(folder))

    @staticmethod
    def lint(folder: Path) -> Iterator[Finding]:
        """All findings of a folder; without a YAML file, the folder itself is the dataset."""
        for told in list(_datasets(folder)) or [{"folder_path": "."}]:
            images = folder / str(told.get("folder_path", told.get("dataset_path", "")))
            if images.is_dir():
                yield from _ai_toolkit(folder, images, told)


def _datasets(folder: Path) -> Iterator[Mapping]:
    import yaml

    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError):
            continue
        yield from (
            found
            for found in _lists_named(content, "datasets")
            if isinstance(found, Mapping) and {"folder_path", "dataset_path"} & set(found)
        )


def _lists_named(content: object, name: str) -> Iterator[object]:
    """Entries of every list of that name, however deep (a job's file nests its processes)."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key == name and isinstance(value, list):
                yield from value
            else:
                yield from _lists_named(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _lists_named(value, name)


def _ai_toolkit(folder: Path, images: Path, told: Mapping) -> Iterator[Finding]:
    masks = folder / str(told["mask_path"]) if told.get("mask_path") else None
    extension = "." + str(told.get("caption_ext", "txt")).lstrip(".")
    for names in twins(images_in(masks, _IMAGES) if masks else []):
        together = ", ".join(path.name for path in names)
        yield AI_MASK_TWINS.found(from_folder(folder, names[0]), names=together)
    mask_folders = set()
    for image in images_below(images, _IMAGES):
        inside = image.relative_to(images).parent.as_posix().lower()
        if image.parent == masks or _MASK_WORD.search(inside):
            mask_folders.add(image.parent)
            continue
        place = from_folder(folder, image)
        if masks is not None and not any(
            (masks / f"{image.stem}{suffix}").is_file() for suffix in _IMAGES
        ):
            at = told["mask_path"]
            yield AI_MASK_MISSING.found(place, folder=at, name=f"{image.stem}.png")
        if not image.with_suffix(extension).is_file():
            if extension != ".txt" and image.with_suffix(".txt").is_file():
                yield AI_EXTENSION.found(place, wanted=extension)
                return
            yield AI_CAPTION_MISSING.found(place, name=image.with_suffix(extension).name)
    for masks_here in sorted(mask_folders):
        count = len(images_in(masks_here, _IMAGES))
        place = from_folder(folder, masks_here)
        yield NESTED.found(place, count=count, images=from_folder(folder, images).as_posix())
