"""What OneTrainer makes of a folder: images, captions and `-masklabel.png` masks side by side.

Read in its `ConceptConfig` and met by running mgds on small folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import (
    caption_text,
    images_below,
    images_in,
    json_files,
    mappings,
    unequal_sizes,
)

NAME = "onetrainer"
IMAGES = frozenset({".bmp", ".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".avif"})
_LABELS = ("-masklabel", "-condlabel")
_KEYS = {
    *("__version", "name", "path", "seed", "enabled", "type", "include_subdirectories"),
    *("image_variations", "text_variations", "balancing", "balancing_strategy", "loss_weight"),
    *("image", "text", "audio", "concept_stats"),
}

MASK_MISSING = Trap(
    "onetrainer/mask-missing",
    "other images have masks and it has none: all of it is trained on, background too",
    "write {name}",
)
MASK_NOT_PNG = Trap(
    "onetrainer/mask-not-png",
    "a mask must be a PNG: this one is trained on as an image, and its image has no mask",
    "save it as {name}",
)
MASK_SIZE = Trap(
    "onetrainer/mask-size",
    "the mask is {mask}, its image {image}: it is stretched to it",
    "make both the same size",
)
LINES = Trap(
    "onetrainer/caption-lines",
    "each line is a caption of its own, of which one is drawn each time: {count} of them",
    "put the caption into one line",
)
KEYS = Trap(
    "onetrainer/unknown-key",
    "the key {key} of a concept is ignored",
    "{cure}",
)
NO_FOLDER = Trap(
    "onetrainer/concept-without-folder",
    "the folder {path} of a concept is not there: it has no images",
    "correct the path (relative ones count from where the trainer is started)",
)
_RENAMED = {
    "repeats": "its name now is balancing (with balancing_strategy REPEATS)",
    "validation_concept": 'write "type": "VALIDATION"',
}


def is_here(folder: Path) -> bool:
    """True if the folder holds mask labels or a list of concepts."""
    labels = (folder.glob(f"{at}*-masklabel.*") for at in ("", "*/", "*/*/"))
    return any(any(found) for found in labels) or bool(_concepts(folder))


def lint(folder: Path) -> Iterator[Finding]:
    """All findings of a folder."""
    for path, concepts in _concepts(folder):
        yield from _lint_concepts(folder, path, concepts)
    for place in sorted({image.parent for image in images_below(folder, IMAGES)}):
        yield from _lint_images(folder, place)


def _concepts(folder: Path) -> list[tuple[Path, list]]:
    found = []
    for path, content in json_files(folder):
        if not (isinstance(content, list) and content and isinstance(content[0], Mapping)):
            continue
        if "path" in content[0] and {"text", "balancing", "image"} & set(content[0]):
            found.append((path, content))
    return found


def _lint_concepts(folder: Path, path: Path, concepts: list) -> Iterator[Finding]:
    for concept in mappings(concepts):
        for key in sorted(set(concept) - _KEYS):
            cure = _RENAMED.get(key, "correct it or take it out")
            yield KEYS.found(path.relative_to(folder), key=key, cure=cure)
        at = str(concept.get("path", ""))
        if not at or not (folder / at).is_dir():
            yield NO_FOLDER.found(path.relative_to(folder), path=at or "(none)")


def _lint_images(folder: Path, place: Path) -> Iterator[Finding]:
    files = images_in(place, IMAGES)
    labels = [path for path in files if path.stem.endswith(_LABELS[0])]
    for label in labels:
        if label.suffix != ".png":
            yield MASK_NOT_PNG.found(label.relative_to(folder), name=f"{label.stem}.png")
    for image in (path for path in files if not path.stem.endswith(_LABELS)):
        mask = image.with_name(f"{image.stem}{_LABELS[0]}.png")
        if labels and not mask.is_file():
            yield MASK_MISSING.found(image.relative_to(folder), name=mask.name)
        sizes = unequal_sizes(mask, image) if mask.is_file() else None
        if sizes:
            yield MASK_SIZE.found(mask.relative_to(folder), mask=sizes[0], image=sizes[1])
        caption = image.with_suffix(".txt")
        text = caption_text(caption) if caption.is_file() else None
        lines = [line for line in (text or "").splitlines() if line.strip()]
        if len(lines) > 1:
            yield LINES.found(caption.relative_to(folder), count=len(lines))
