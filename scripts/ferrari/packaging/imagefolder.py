"""Package for Hugging Face `datasets` (imagefolder): `train/` with images and `metadata.jsonl`.

Masks lie in `train/masks/`. The loader takes an image only if a row of the metadata names it, so
the nested masks become the column `mask` and no training images; masks outside the split's folder
it refuses to load at all. `validation/` is the same for the other split.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ferrari.images.image_and_mask import Fault
from ferrari.packaging.base import TRAIN, Subject
from ferrari.packaging.caption_lists import CaptionList
from ferrari.packaging.folder_formats import FolderFormat
from ferrari.packaging.image_preparation import Sample

_README = """\
Training set for the Hugging Face datasets library (imagefolder).

  from datasets import load_dataset
  data = load_dataset("imagefolder", data_dir="<this folder>")["train"]
  columns: image, mask (white is the subject), text, video, kind, framing

Trainers that take --train_data_dir of this form (diffusers) find the columns image and text.
Keep images of one video on one side when you split: variants of a frame are near twins.
Repeats are not said here: how often an epoch sees an image is the trainer's to say (--repeats).
Do not point a trainer at this folder that trains on every image below it (ai-toolkit): it would
take train/masks for images; the aitoolkit package has its masks apart.
The images may be hard links to the pipeline's own files (setting package.link): do not edit them
in place.
"""


class ImageFolder(FolderFormat):
    """The `imagefolder` format."""

    name = "imagefolder"
    takes_alpha = True
    is_hugging_face = True

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        super().__init__(settings, subject)
        self._lists: dict[str, CaptionList] = {}

    def images_folder(self, split: str) -> str:
        """`train/` or `validation/`."""
        return "train" if split == TRAIN else "validation"

    def masks_folder(self, split: str) -> str:
        """`masks/` in it."""
        return f"{self.images_folder(split)}/masks"

    def caption_path(self, item: str, split: str) -> str:
        """All captions of a split are in its metadata; their digest is in the package's stamp."""
        return f"{self.images_folder(split)}/metadata.jsonl"

    def add_caption(self, folder: Path, sample: Sample) -> Fault | None:
        """One row of metadata; read back, all rows together, by `finish`."""
        line, name = sample.line, f"{sample.item}.png"
        captions = self._lists.setdefault(
            sample.split, CaptionList(self.caption_path(sample.item, sample.split))
        )
        entry = {
            "file_name": name,
            "mask_file_name": f"masks/{name}",
            "text": line["caption"],
            "video": line["video"],
            "kind": line["kind"],
            "framing": line["framing"],
        }
        captions.add(folder, entry)
        return None

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """Compare the metadata on the disk with what was given, and explain the folder."""
        for captions in self._lists.values():
            captions.finish(folder)
        return super().finish(folder, old)

    def described(self) -> dict[str, str]:
        """What a reader has to know."""
        return {"README.txt": _README}
