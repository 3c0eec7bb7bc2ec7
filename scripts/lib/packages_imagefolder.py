"""Package for Hugging Face `datasets` (imagefolder): `train/` with images and `metadata.jsonl`.

Masks lie in `train/masks/`. The loader takes an image only if a row of the metadata names it, so
the nested masks become the column `mask` and no training images; masks outside the split's folder
it refuses to load at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from scripts.lib.final_check import Fault
from scripts.lib.packages import PackageError, Subject

_README = """\
Training set for the Hugging Face datasets library (imagefolder).

  from datasets import load_dataset
  data = load_dataset("imagefolder", data_dir="<this folder>")["train"]
  columns: image, mask (white is the subject), text, video, kind, framing

Trainers that take --train_data_dir of this form (diffusers) find the columns image and text.
Keep images of one video on one side when you split: variants of a frame are near twins.
Do not point a trainer at this folder that trains on every image below it (ai-toolkit): it would
take train/masks for images; the kohya package has its masks apart.
The images may be hard links to the pipeline's own files (setting package.link): do not edit them
in place.
"""


class ImageFolder:
    """The `imagefolder` format."""

    name = "imagefolder"
    _metadata = "train/metadata.jsonl"

    def __init__(self, settings: Mapping, subject: Subject) -> None:
        self._written = hashlib.sha256()

    def image_path(self, item: str) -> str:
        """`train/<item>.png`."""
        return f"train/{item}.png"

    def mask_path(self, item: str) -> str:
        """`train/masks/<item>.png`."""
        return f"train/masks/{item}.png"

    def caption_path(self, item: str) -> str:
        """All captions are in the metadata."""
        return self._metadata

    def caption_sha256(self, caption: str) -> str:
        """The metadata holds all captions; its digest is in the package's stamp."""
        return ""

    def begin(self, folder: Path) -> None:
        """Make the folders; the metadata grows as images come."""
        (folder / "train/masks").mkdir(parents=True)

    def add_caption(self, folder: Path, line: Mapping[str, str]) -> Fault | None:
        """One row of metadata; read back, all rows together, by `finish`."""
        item = line["item"]
        entry = {
            "file_name": f"{item}.png",
            "mask_file_name": f"masks/{item}.png",
            "text": line["caption"],
            "video": line["video"],
            "kind": line["kind"],
            "framing": line["framing"],
        }
        with open(folder / self._metadata, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._written.update(f"{item}.png\n{line['caption']}\n".encode())
        return None

    def finish(self, folder: Path, old: Path) -> None:
        """Compare the metadata on the disk with what was given, and explain the folder."""
        found = hashlib.sha256()
        for entry in _entries(folder / self._metadata):
            found.update(f"{entry['file_name']}\n{entry['text']}\n".encode())
        if found.digest() != self._written.digest():
            raise PackageError(f"{self._metadata} does not read back as written; check the disk")
        (folder / "README.txt").write_text(_README, encoding="utf-8")


def _entries(path: Path) -> Iterator[dict[str, str]]:
    with open(path, encoding="utf-8") as stream:
        for text in stream:
            yield json.loads(text)
