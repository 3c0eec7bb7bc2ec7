"""OneTrainer: a folder and a JSON list of concepts."""

from __future__ import annotations

import json
from pathlib import Path

from ferrari.packaging.base import TRAIN
from ferrari.packaging.folder_formats import TAIL, TextFiles


class OneTrainer(TextFiles):
    """The `onetrainer` format: masks lie beside the images, as `<item>-masklabel.png`."""

    name = "onetrainer"

    def images_folder(self, split: str) -> str:
        """`images/` and `val/`: each is a concept, and is read without what is below it."""
        return "images" if split == TRAIN else "val"

    def mask_path(self, item: str, split: str) -> str:
        """`<item>-masklabel.png` beside the image."""
        return f"{self.images_folder(split)}/{item}-masklabel.png"

    def masks_folder(self, split: str) -> str:
        """That of the images."""
        return self.images_folder(split)

    def finish(self, folder: Path, old: Path) -> dict[str, str]:
        """`concepts.json` with a concept for validation where there is something to validate on."""
        concepts = [self._concept("images", "STANDARD", float(self.repeats))]
        if (folder / "val").is_dir():
            concepts.append(self._concept("val", "VALIDATION", 1.0))
        text = """\
Training set for OneTrainer: give concepts.json as the file of concepts, started in this folder.

Turn masked training on and set the unmasked weight to 0: its default of 0.1 lets the background
count for a tenth. White in <image>-masklabel.png is trained on. Captions are one line each, since
every line would be a caption of its own.
"""
        (folder / "concepts.json").write_text(json.dumps(concepts, indent=2) + "\n", "utf-8")
        (folder / "README.txt").write_text(text + TAIL, encoding="utf-8")
        return {}

    def _concept(self, path: str, kind: str, balancing: float) -> dict[str, object]:
        """One concept, version 2; nothing is mirrored, since captions may tell left from right."""
        return {
            "__version": 2,
            "name": f"{self.subject.words} {path}",
            "path": path,
            "seed": 0,
            "enabled": True,
            "type": kind,
            "include_subdirectories": False,
            "image_variations": 1,
            "text_variations": 1,
            "balancing": balancing,
            "balancing_strategy": "REPEATS",
            "loss_weight": 1.0,
            "image": {"enable_crop_jitter": False, "enable_random_flip": False},
            "text": {"prompt_source": "sample"},
        }
