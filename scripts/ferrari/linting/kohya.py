"""What kohya sd-scripts makes of a folder: `dataset.toml`, or folders named `<repeats>_<words>`.

Read in `library/config_util.py` and `library/train_util.py` of sd-scripts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferrari.linting.findings import Finding, Trap
from ferrari.linting.training_folder import (
    caption_text,
    from_folder,
    hidden_colours,
    images_in,
    is_blank_mask,
    mapping,
    mappings,
    toml_files,
    twins,
    unequal_sizes,
)

NAME = "kohya"
IMAGES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".jxl"})
_FOLDER = re.compile(r"(-?\d+)_(.+)")
_BORROWED_PARTS = 4  # a frame's number, a person's, two more: so many "_" words are cut off

EXTENSION = Trap(
    "kohya/caption-extension",
    "captions lie in .txt, the trainer looks for {wanted}: each image is trained on its folder's "
    "words or on nothing",
    'write caption_extension = ".txt" (or --caption_extension .txt)',
)
SECOND_LINE = Trap(
    "kohya/caption-second-line",
    "only the first line is read, so this is lost: {lost!r}",
    "put the caption into one line",
)
BLANK = Trap(
    "kohya/caption-blank",
    "its first line is blank, so the caption is empty (a file without a byte ends the run)",
    "write the caption into the first line, or remove the file",
)
NOT_UTF8 = Trap("kohya/caption-not-utf8", "the run ends on it", "save the file as UTF-8")
MISSING = Trap(
    "kohya/caption-missing",
    "it has no caption file: it is trained on {instead}",
    "write {name}",
)
BORROWED = Trap(
    "kohya/caption-borrowed",
    "it has no caption file, so the trainer cuts four words off its name and takes the caption in "
    "{other}",
    "write {name}, or use fewer underscores in names",
)
MASK_AS_IMAGE = Trap(
    "kohya/mask-as-image",
    "every image in the folder is trained on, this mask too",
    "move masks into a folder of their own and name it as conditioning_data_dir",
)
TWINS = Trap(
    "kohya/twin-stems",
    "{names} share one caption file and are all trained on",
    "keep one of them, or give each a name of its own",
)
NO_REPEATS = Trap(
    "kohya/folder-without-repeats",
    "its name does not begin with a number from 1 on and an underscore, so its {count} images are "
    "left out",
    "name it <repeats>_<token> <class>, such as 10_sks person",
)
MASK_MISSING = Trap(
    "kohya/mask-missing", "it has no mask in {folder}: the run ends on it", "write {folder}/{name}"
)
MASK_EXTRA = Trap("kohya/mask-extra", "it is the mask of no image: the run ends on it", "remove it")
MASK_TWINS = Trap(
    "kohya/mask-twins",
    "{names} are masks of one image: one of them is used, the others are not looked at",
    "keep the one that is meant",
)
MASK_SIZE = Trap(
    "kohya/mask-size",
    "the mask is {mask}, its image {image}: with buckets the run ends on it",
    "make both the same size",
)
MASK_BLACK = Trap(
    "kohya/mask-black",
    "the mask is black all over: nothing of the image counts in the loss",
    "white is what is trained; invert the masks if they are the other way round",
)
SUBSET_KEYS = Trap(
    "kohya/mask-subset-keys",
    "a subset with conditioning_data_dir must not have {keys}: the trainer refuses the file",
    "remove them; the token belongs into the captions",
)
MIXED = Trap(
    "kohya/mask-mixed-subsets",
    "one subset has conditioning_data_dir and another has not: the trainer refuses the file",
    "give each [[datasets]] either masked subsets or unmasked ones",
)
UNDER_ALPHA = Trap(
    "kohya/colours-under-alpha",
    "without alpha_mask the alpha is thrown away, and the colours under it are trained on",
    "save RGB with the background you want, or set alpha_mask = true",
)


@dataclass(frozen=True)
class _Subset:
    """One folder of images as the trainer is told of it."""

    images: Path
    extension: str
    words: str
    masks: Path | None = None
    alpha: bool = False


def is_here(folder: Path) -> bool:
    """True if the folder looks like one for sd-scripts."""
    return bool(_configs(folder)) or any(_numbered(folder))


def lint(folder: Path) -> Iterator[Finding]:
    """All findings of a folder."""
    configs = _configs(folder)
    for config, content in configs:
        yield from _keys(folder, config, content)
        for subset in _subsets(folder, content):
            yield from _lint_subset(folder, subset)
    if not configs:
        for root in sorted({path.parent for path in _numbered(folder)}):
            yield from _unnumbered(folder, root)
        for path in _numbered(folder):
            words = path.name.partition("_")[2]
            yield from _lint_subset(folder, _Subset(path, ".txt", words))


def _configs(folder: Path) -> list[tuple[Path, dict]]:
    """TOML files that describe datasets of sd-scripts: their subsets have `image_dir`."""
    found = []
    for path, content in toml_files(folder):
        if any("image_dir" in subset for _, subset in _all_subsets(content)):
            found.append((path, content))
    return found


def _all_subsets(content: Mapping) -> Iterator[tuple[Mapping, Mapping]]:
    """Each subset with its dataset."""
    for dataset in mappings(content.get("datasets")):
        for subset in mappings(dataset.get("subsets")):
            yield dataset, subset


def _numbered(folder: Path) -> list[Path]:
    """Folders named `<repeats>_<words>` with images, at most two levels down."""
    return [
        path
        for path in sorted([folder, *folder.glob("*"), *folder.glob("*/*")])
        if path.is_dir() and _repeats(path) > 0 and images_in(path, IMAGES)
    ]


def _repeats(path: Path) -> int:
    match = _FOLDER.fullmatch(path.name)
    return int(match[1]) if match else 0


def _unnumbered(folder: Path, root: Path) -> Iterator[Finding]:
    if root != folder.parent:
        for path in sorted(root.iterdir()):
            if path.is_dir() and _repeats(path) < 1 and (images := images_in(path, IMAGES)):
                yield NO_REPEATS.found(from_folder(folder, path), count=len(images))


def _keys(folder: Path, config: Path, content: Mapping) -> Iterator[Finding]:
    place = from_folder(folder, config)
    for dataset in mappings(content.get("datasets")):
        subsets = mappings(dataset.get("subsets"))
        masked = [s for s in subsets if "conditioning_data_dir" in s]
        for subset in masked:
            wrong = sorted({"class_tokens", "is_reg", "alpha_mask"} & set(subset))
            if wrong:
                yield SUBSET_KEYS.found(place, keys=", ".join(wrong))
        if masked and len(masked) < len(subsets):
            yield MIXED.found(place)


def _subsets(folder: Path, content: Mapping) -> Iterator[_Subset]:
    general = mapping(content.get("general"))
    for dataset, subset in _all_subsets(content):
        known = {**general, **dataset, **subset}
        images = folder / str(subset.get("image_dir", ""))
        if images.is_dir():
            masks = subset.get("conditioning_data_dir")
            yield _Subset(
                images,
                str(known.get("caption_extension", ".caption")),
                str(subset.get("class_tokens") or ""),
                folder / str(masks) if masks else None,
                bool(known.get("alpha_mask")),
            )


def _lint_subset(folder: Path, subset: _Subset) -> Iterator[Finding]:
    images = images_in(subset.images, IMAGES)
    for names in twins(images):
        together = ", ".join(path.name for path in names)
        yield TWINS.found(from_folder(folder, names[0]), names=together)
    yield from _captions(folder, subset, images)
    for image in images:
        place = from_folder(folder, image)
        if image.stem.endswith(("-masklabel", "-condlabel", "_mask")):
            yield MASK_AS_IMAGE.found(place)
        if not subset.alpha and hidden_colours(image):
            yield UNDER_ALPHA.found(place)
    if subset.masks is not None:
        yield from _masks(folder, subset.masks, images)


def _captions(folder: Path, subset: _Subset, images: Sequence[Path]) -> Iterator[Finding]:
    texts = [image for image in images if image.with_suffix(".txt").is_file()]
    if (
        texts
        and subset.extension != ".txt"
        and not any(image.with_suffix(subset.extension).is_file() for image in images)
    ):
        yield EXTENSION.found(from_folder(folder, subset.images), wanted=subset.extension)
        return
    for image in images:
        caption = image.with_suffix(subset.extension)
        if caption.is_file():
            yield from _text(folder, caption)
        elif other := _lender(image, subset.extension):
            yield BORROWED.found(from_folder(folder, image), other=other.name, name=caption.name)
        else:
            instead = f'"{subset.words}"' if subset.words else "nothing"
            yield MISSING.found(from_folder(folder, image), instead=instead, name=caption.name)


def _lender(image: Path, extension: str) -> Path | None:
    """The caption of another that the trainer takes for an image without one."""
    words = str(image.with_suffix("")).split("_")
    if len(words) <= _BORROWED_PARTS:
        return None
    other = Path("_".join(words[:-_BORROWED_PARTS]) + extension)
    return other if other.is_file() else None


def _text(folder: Path, caption: Path) -> Iterator[Finding]:
    place, text = from_folder(folder, caption), caption_text(caption)
    if text is None:
        yield NOT_UTF8.found(place)
        return
    first, _, rest = text.partition("\n")
    if not first.strip():
        yield BLANK.found(place)
    elif rest.strip():
        yield SECOND_LINE.found(place, lost=rest.strip()[:60])


def _masks(folder: Path, mask_folder: Path, images: Sequence[Path]) -> Iterator[Finding]:
    there = images_in(mask_folder, IMAGES) if mask_folder.is_dir() else []
    for names in twins(there):
        together = ", ".join(path.name for path in names)
        yield MASK_TWINS.found(from_folder(folder, names[0]), names=together)
    masks = {mask.stem: mask for mask in there}
    at = from_folder(folder, mask_folder)
    for image in images:
        mask = masks.pop(image.stem, None)
        place = from_folder(folder, image)
        if mask is None:
            yield MASK_MISSING.found(place, folder=at, name=f"{image.stem}.png")
            continue
        sizes = unequal_sizes(mask, image)
        if sizes:
            yield MASK_SIZE.found(from_folder(folder, mask), mask=sizes[0], image=sizes[1])
        if is_blank_mask(mask) == "black":
            yield MASK_BLACK.found(from_folder(folder, mask))
    for mask in masks.values():
        yield MASK_EXTRA.found(from_folder(folder, mask))
