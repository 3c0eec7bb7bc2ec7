"""Formats with a file for each image, mask and caption, and a small file that the trainer is given.

`images/`, `masks/` and, for validation, `val/images/` and `val/masks/`, which that file does not
name: masks never lie in or below a folder of images, where some trainers take them for images.
"""

from __future__ import annotations

import json
from pathlib import Path

from scripts.lib import images
from scripts.lib.files import clone_or_copy, link_or_copy, sha256_bytes
from scripts.lib.final_check import CAPTION_INVALID, Fault
from scripts.lib.packaging.formats import TRAIN, Format
from scripts.lib.packaging.preparing import Sample

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
        placed = Sample(sample.line, sample.split, image, mask, *shape[::-1])
        fault = placed.fault() if sample.is_unchanged else None
        fault = fault or self.add_caption(folder, sample)
        if fault:
            image.unlink(missing_ok=True)
            mask.unlink(missing_ok=True)
        return fault

    def _put(self, target: Path, picture: Path | bytes, shape: tuple[int, ...]) -> None:
        if isinstance(picture, bytes):
            images.write_checked(target, picture, shape)
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


class Musubi(TextFiles):
    """The `musubi` format: musubi-tuner, which knows no masks."""

    name = "musubi"

    def described(self) -> dict[str, str]:
        """`dataset.toml`; the cache has a folder of its own."""
        toml = f"""\
# Paths are relative to the folder that the trainer is started in: start it in this one.
[general]
resolution = [{self.resolution}, {self.resolution}]
caption_extension = ".txt"
batch_size = 1
enable_bucket = true
bucket_no_upscale = true

[[datasets]]
image_directory = "images"
cache_directory = "cache"
num_repeats = {self.repeats}
"""
        text = """\
Training set for musubi-tuner: give it dataset.toml as --dataset_config, in this folder.

The trainer has no masked loss: all of an image is trained on. masks/ is there for other uses, and
dataset.toml does not name it (the key mask_directory would be refused). val/, if it is there, is
for validation, and dataset.toml does not name it.
"""
        return {"dataset.toml": toml, "README.txt": text + TAIL}


class AiToolkit(TextFiles):
    """The `aitoolkit` format: ai-toolkit, which reads a folder with all that lies below it."""

    name = "aitoolkit"
    takes_alpha = True

    @staticmethod
    def caption_text(caption: str) -> str:
        """Without the space after commas: the trainer parts text at them and joins it with `, `."""
        return caption.replace(", ", ",")

    def described(self) -> dict[str, str]:
        """`datasets.yaml`, the part of a job's file that names the data."""
        masks = "alpha_mask: true" if self.alpha else 'mask_path: "masks"'
        yaml = f"""\
# Put this list into the process of your job's file. Relative paths count from the folder that the
# trainer is started in: start it in this one, or make them absolute.
datasets:
  - folder_path: "images"
    {masks}
    mask_min_value: 0.0
    caption_ext: "txt"
    caption_dropout_rate: 0.0
    resolution: [{self.resolution}]
    num_repeats: {self.repeats}
    buckets: true
    cache_latents_to_disk: false
"""
        text = """\
Training set for ai-toolkit: put the list in datasets.yaml into the process of your job's file.

White in a mask is trained on, black not at all. masks/ lies outside of images/, since the trainer
takes every image below a folder for one to train on. It writes .aitk_size.json into images/. The
captions have no space after a comma: the trainer puts one there, and would train on two.
val/, if it is there, is for validation; datasets.yaml does not name it.
"""
        return {"datasets.yaml": yaml, "README.txt": text + TAIL}


class DiffusionPipe(TextFiles):
    """The `diffusionpipe` format: diffusion-pipe."""

    name = "diffusionpipe"

    def described(self) -> dict[str, str]:
        """`dataset.toml`."""
        toml = f"""\
# Paths are relative to the folder that the trainer is started in: start it in this one.
resolutions = [{self.resolution}]
enable_ar_bucket = true
min_ar = 0.25
max_ar = 4.0
num_ar_buckets = 9
frame_buckets = [1]

[[directory]]
path = "images"
mask_path = "masks"
num_repeats = {self.repeats}
"""
        text = """\
Training set for diffusion-pipe: name dataset.toml as `dataset` in the trainer's own file.

White in a mask is trained on. Every image has its mask: the trainer would only warn of a missing
one. val/, if it is there, is for validation; dataset.toml does not name it.
"""
        return {"dataset.toml": toml, "README.txt": text + TAIL}


class SimpleTuner(TextFiles):
    """The `simpletuner` format: SimpleTuner, whose `repeats` counts what follows the first time."""

    name = "simpletuner"

    def described(self) -> dict[str, str]:
        """`multidatabackend.json`; the ids say how often an epoch sees each image."""
        images_id, masks_id = (f"{name}-{self.repeats}x" for name in ("subject", "subject-masks"))
        common = {
            "type": "local",
            "metadata_backend": "discovery",
            "resolution": self.resolution,
            "resolution_type": "pixel_area",
            "crop": False,
            "crop_style": "center",  # its default cuts image and mask at random places, each apart
        }
        backends = [
            {
                "id": images_id,
                "dataset_type": "image",
                "instance_data_dir": "images",
                "caption_strategy": "textfile",
                "disable_multiline_split": True,
                "cache_dir_vae": f"cache/vae/{images_id}",
                "repeats": self.repeats - 1,
                "conditioning_data": masks_id,
                **common,
            },
            {
                "id": masks_id,
                "dataset_type": "conditioning",
                "conditioning_type": "mask",
                "source_dataset_id": images_id,
                "instance_data_dir": "masks",
                "caption_strategy": "instanceprompt",
                "instance_prompt": self.subject.words,
                "cache_dir_vae": f"cache/vae/{masks_id}",
                "repeats": self.repeats - 1,
                **common,
            },
            {
                "id": "text-embeds",
                "type": "local",
                "dataset_type": "text_embeds",
                "default": True,
                "cache_dir": "cache/text",
            },
        ]
        text = f"""\
Training set for SimpleTuner: start it in this folder, with multidatabackend.json as the data
backend's configuration.

Each image is seen {self.repeats} times an epoch: the trainer's `repeats` counts what follows the
first time, so it is {self.repeats - 1}. The masks are a conditioning dataset of type mask, joined
to the images by source_dataset_id. val/, if it is there, is for validation, and is not named.
"""
        listed = json.dumps(backends, indent=2) + "\n"
        return {"multidatabackend.json": listed, "README.txt": text + TAIL}


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
