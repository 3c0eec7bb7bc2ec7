"""A kohya package as sd-scripts reads it: `dataset.toml`, one-line captions, masks, buckets."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

LATENT = 8  # px of the image to one of the latents
_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}


@dataclass
class Example:
    """One image in its bucket.

    `image` is float32 (3, H, W) RGB in -1..1, `mask` float32 (1, H, W) in 0..1 with 1 for what is
    trained; H and W are multiples of the bucket's step.
    """

    name: str
    image: torch.Tensor
    mask: torch.Tensor
    caption: str
    repeats: int


def read_package(folder: Path) -> list[Example]:
    """All images of the package, sorted by name; ValueError says what the trainer would refuse."""
    toml = tomllib.loads((folder / "dataset.toml").read_text(encoding="utf-8"))
    general = toml.get("general", {})
    examples = []
    for dataset in toml["datasets"]:
        for subset in dataset["subsets"]:
            examples += _read_subset(folder, {**general, **dataset, **subset})
    if not examples:
        raise ValueError(f"{folder}: dataset.toml names no folder that holds an image")
    return examples


def _read_subset(folder: Path, settings: dict) -> list[Example]:
    images, masks = folder / settings["image_dir"], folder / settings["conditioning_data_dir"]
    files = sorted(path for path in images.iterdir() if path.suffix.lower() in _SUFFIXES)
    suffix = settings.get("caption_extension", ".caption")
    return [
        _read_example(path, masks / f"{path.stem}.png", path.with_suffix(suffix), settings)
        for path in files
    ]


def _read_example(image: Path, mask: Path, caption: Path, settings: dict) -> Example:
    for path in (mask, caption):
        if not path.is_file():
            raise ValueError(f"{image.name} has no {path}: sd-scripts would not train with masks")
    picture, matte = Image.open(image).convert("RGB"), Image.open(mask).convert("RGB")
    if picture.size != matte.size:
        raise ValueError(f"{mask} is {matte.size}, its image {picture.size}: not the same size")
    resolution, step = int(settings["resolution"]), int(settings["bucket_reso_steps"])
    lines = caption.read_text(encoding="utf-8").splitlines()
    return Example(
        name=image.stem,
        image=_in_bucket(picture, resolution, step) * 2 - 1,
        mask=_in_bucket(matte, resolution, step)[:1],
        caption=lines[0] if lines else "",
        repeats=int(settings["num_repeats"]),
    )


def _in_bucket(picture: Image.Image, resolution: int, step: int) -> torch.Tensor:
    """Scaled down to the resolution's area if it is larger, then trimmed to whole steps."""
    width, height = picture.size
    scale = min(1.0, resolution / math.sqrt(width * height))
    width, height = round(width * scale), round(height * scale)
    if min(width, height) < step:
        raise ValueError(f"an image of {picture.size} is smaller than a bucket's step, {step} px")
    across, down = width // step * step, height // step * step
    left, top = (width - across) // 2, (height - down) // 2
    if scale < 1:
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    picture = picture.crop((left, top, left + across, top + down))
    return torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)
