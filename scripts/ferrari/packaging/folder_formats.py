"""The base of formats with one file for each image, mask and caption, and one for the trainer.

`images/`, `masks/` and, for validation, `val/images/` and `val/masks/`, which the trainer's file
does not name. Masks are never in or below a folder of images, where some trainers take them for
images.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ferrari.common.atomic_files import clone_or_copy, link_or_copy, sha256_bytes
from ferrari.images import image_files
from ferrari.images.image_and_mask import Fault
from ferrari.ledger.reasons import CAPTION_INVALID
from ferrari.packaging.base import TRAIN, Format
from ferrari.packaging.image_preparation import Sample

TAIL = """
The images may be hard links to the pipeline's own files (setting package.link): do not edit them
in place. When the pipeline packages again it replaces this folder with all that lies in it.
"""


class FolderFormat(Format):
    """Images and masks as files of their own; a subclass says what describes the whole."""

    def image_path(self, item: str, split: str) -> str:
        """`images/<item>.png`, for validation below `val/`."""
        return f"{self.images_folder(split)}/{item}.png"

    def mask_path(self, item: str, split: str) -> str:
        """`masks/<item>.png`, for validation below `val/`."""
        return f"{self.masks_folder(split)}/{item}.png"

    def images_folder(self, split: str) -> str:
        """The folder of a split's images."""
        return "images" if split == TRAIN else "val/images"

    def masks_folder(self, split: str) -> str:
        """The folder of a split's masks."""
        return "masks" if split == TRAIN else "val/masks"

    def begin(self, folder: Path) -> None:
        """Make the folders of images and masks to train on; those of validation come by need."""
        for name in (self.images_folder(TRAIN), self.masks_folder(TRAIN)):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def add(self, folder: Path, sample: Sample) -> Fault | None:
        """Put image and mask there and look at them; then the caption."""
        image = folder / self.image_path(sample.item, sample.split)
        mask = folder / self.mask_path(sample.item, sample.split)
        shape = sample.height, sample.width
        try:
            self._put(image, sample.image, (*shape, 4 if self.alpha else 3))
            self._put(mask, sample.mask, shape)
        except FileNotFoundError:
            pass  # `fault` says which of the two is gone
        placed = replace(
            sample,
            image=image if isinstance(sample.image, Path) else sample.image,
            mask=mask if isinstance(sample.mask, Path) else sample.mask,
        )
        fault = placed.fault() or self.add_caption(folder, sample)
        if fault:
            image.unlink(missing_ok=True)
            mask.unlink(missing_ok=True)
        return fault

    def _put(self, target: Path, picture: Path | bytes, shape: tuple[int, ...]) -> None:
        if isinstance(picture, bytes):
            image_files.write_checked(target, picture, shape)
        else:
            (link_or_copy if self.link else clone_or_copy)(picture, target)

    def add_caption(self, folder: Path, sample: Sample) -> Fault | None:
        """Write one image's caption and read it back; only called for sound images."""
        raise NotImplementedError

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """The trainer's own file, and what a reader has to know of the folder."""
        for name, text in self.described().items():
            (folder / name).write_text(text, encoding="utf-8")
        return {}

    def described(self) -> dict[str, str]:
        """Text of the files that describe the whole, by name."""
        raise NotImplementedError


class TextFiles(FolderFormat):
    """A caption file beside each image, of the same stem."""

    def caption_path(self, item: str, split: str) -> str:
        """The `.txt` of the image's name beside it."""
        return f"{self.images_folder(split)}/{item}.txt"

    def caption_sha256(self, caption: str) -> str:
        """The file holds the caption and nothing else."""
        return sha256_bytes(self.caption_text(caption).encode())

    def add_caption(self, folder: Path, sample: Sample) -> Fault | None:
        """One line of UTF-8; no line break at its end, which some trainers keep."""
        path = folder / self.caption_path(sample.item, sample.split)
        text = self.caption_text(sample.line["caption"])
        path.write_bytes(text.encode())
        if path.read_text(encoding="utf-8") != text:
            path.unlink()
            return CAPTION_INVALID, "what was read back is not what was written"
        return None
