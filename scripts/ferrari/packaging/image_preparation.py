"""Changes to an image and its mask for a package; without settings, none.

In this order: fit (the same crop and scale for both), padding to a square, the mask's latent grid,
alpha.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ferrari.common.atomic_files import sha256_bytes, sha256_file
from ferrari.images import image_files
from ferrari.images.image_and_mask import Fault, file_fault
from ferrari.ledger.reasons import MASK_MISMATCH, SHA_MISMATCH

_STEP = 64  # px; sides of buckets are multiples of it
_SUBJECT = 128  # of 255: from here on a pixel of a mask counts as subject


@dataclass(frozen=True)
class Sample:
    """One image of the final table, as it goes into a package.

    `image` and `mask` are PNGs: the final set's own file, or bytes where they were changed.
    """

    line: Mapping[str, str]
    split: str
    image: Path | bytes
    mask: Path | bytes
    width: int
    height: int
    scale: float = 1.0

    @property
    def item(self) -> str:
        """The image's id, and the stem of its files."""
        return self.line["item"]

    @property
    def is_unchanged(self) -> bool:
        """True if both files are those of the final set."""
        return isinstance(self.image, Path) and isinstance(self.mask, Path)

    def fault(self) -> Fault | None:
        """What is wrong with the files. Where one of the two was changed, both were looked at
        before, and of the other its digest is asked for.
        """
        if isinstance(self.image, Path) and isinstance(self.mask, Path):
            return file_fault(self.image, self.mask, self.line)
        if isinstance(self.image, Path) and not _holds(self.image, self.line["sha256"]):
            return SHA_MISMATCH, "image"
        if isinstance(self.mask, Path) and not _holds(self.mask, self.line["mask_sha256"]):
            return SHA_MISMATCH, "mask"
        return None

    def facts(self) -> dict[str, object]:
        """The columns of the manifest that say what the package holds, and what it is made of."""
        digests = {"sha256": self.image, "mask_sha256": self.mask}
        known: dict[str, object] = {
            name: self.line[name] if isinstance(file, Path) else sha256_bytes(file)
            for name, file in digests.items()
        }
        known |= {"width": self.width, "height": self.height, "split": self.split}
        if not self.is_unchanged:
            known |= sources(self.line)
            known |= {"scale": f"{self.scale:.6g}", "upscaled": int(self.scale > 1)}
        return known


def _holds(path: Path, sha256: str) -> bool:
    """Whether a file has these bytes; not where it is gone."""
    return path.is_file() and sha256_file(path) == sha256


def sources(line: Mapping[str, str]) -> dict[str, str]:
    """The manifest's columns on what the final set has, where the package has something else."""
    return {f"source_{name}": line[name] for name in ("sha256", "mask_sha256", "width", "height")}


@dataclass(frozen=True)
class Preparation:
    """What the settings and the format ask for; `colour` is RGB, `grid` in pixels or 0."""

    fit: str
    resolution: int
    grid: int
    alpha: bool
    square: bool
    colour: tuple[int, int, int]

    @classmethod
    def of(cls, settings: Mapping, alpha: bool, square: bool) -> Preparation:
        """From the configuration's `package` section."""
        red, green, blue = settings["alpha_colour"]
        fit, resolution = str(settings["fit"]), int(settings["resolution"])
        grid = int(settings["mask_grid"] or 0)
        return cls(fit, resolution, grid, alpha, square, (red, green, blue))

    def sample(self, dataset: Path, line: Mapping[str, str], split: str) -> Sample | Fault:
        """The sample of a row of the final table, or what is wrong with its files.

        If there is nothing to change, the files are not opened here; those in the package will be.
        """
        image, mask = dataset / line["path"], dataset / line["mask_path"]
        size = int(line["width"]), int(line["height"])
        if self.fit == "none" and not (self.grid or self.alpha or (self.square and _uneven(size))):
            return Sample(line, split, image, mask, *size)
        if fault := file_fault(image, mask, line):
            return fault
        before = image_files.read(image), image_files.read(mask)
        pixels, weights, scale = self.apply(*before)
        if not weights.any():
            return MASK_MISMATCH, "nothing of the subject is left in the package's mask"
        height, width = weights.shape
        return Sample(
            line,
            split,
            image if pixels is before[0] else image_files.encode_png(pixels),
            mask if weights is before[1] else image_files.encode_png(weights),
            *(width, height, scale),
        )

    def apply(self, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """HxWx3 RGB and HxW mask as the package has them, and the scale; what is not changed is
        returned as it was given. With alpha the image is HxWx4 RGBA.
        """
        scale = 1.0
        if self.fit != "none":
            image, mask, scale = fitted(image, mask, self._target(mask.shape[::-1]))
        if self.square and _uneven(mask.shape):
            image, mask = padded(image, mask, self.colour)
        if self.grid:
            mask = aligned(mask, self.grid)
        if self.alpha:
            image = with_alpha(image, mask, self.colour)
        return image, mask, scale

    def _target(self, size: tuple[int, int]) -> tuple[int, int]:
        if self.fit == "square":
            return self.resolution, self.resolution
        return bucket(size, self.resolution)


def _uneven(size: tuple[int, int]) -> bool:
    return size[0] != size[1]


def bucket(size: tuple[int, int], resolution: int) -> tuple[int, int]:
    """Width and height in multiples of 64 px, no larger than the image nor than resolution^2.

    An image with a side below 64 px has no such bucket: that side becomes 64.
    """
    scale = min(1.0, resolution / math.sqrt(size[0] * size[1]))
    wide, high = (max(_STEP, int(side * scale) // _STEP * _STEP) for side in size)
    return wide, high


def fitted(
    image: np.ndarray, mask: np.ndarray, target: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, float]:
    """Image and mask cropped around the subject's box and scaled to `target` (width, height).

    The scale is that of the picture; above 1 it was enlarged. At 1 no pixel is resampled.
    """
    high, wide = mask.shape
    if (wide, high) == target:
        return image, mask, 1.0
    scale = max(target[0] / wide, target[1] / high)
    size = min(float(wide), target[0] / scale), min(float(high), target[1] / scale)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    corner = []
    for length, all_of_it, inside in zip(size, (wide, high), (columns, rows), strict=True):
        middle = (inside[0] + inside[-1] + 1) / 2
        corner.append(min(max(0, math.floor(middle - length / 2)), math.floor(all_of_it - length)))
    left, top = corner
    box = (left, top, left + size[0], top + size[1])
    if scale == 1:
        part = np.s_[top : top + target[1], left : left + target[0]]
        return image[part], mask[part], scale
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    picture = Image.fromarray(image).resize(target, Image.Resampling.LANCZOS, box)
    weights = Image.fromarray(mask).resize(target, how, box)
    return np.asarray(picture), np.asarray(weights), scale


def padded(
    image: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Image and mask in the middle of a square of one colour, which the mask leaves out."""
    high, wide = mask.shape
    side = max(high, wide)
    part = np.s_[(side - high) // 2 :, (side - wide) // 2 :]
    canvas = np.empty((side, side, 3), np.uint8)
    canvas[:] = colour
    weights = np.zeros((side, side), np.uint8)
    canvas[part][:high, :wide] = image
    weights[part][:high, :wide] = mask
    return canvas, weights


def aligned(mask: np.ndarray, cell: int) -> np.ndarray:
    """A mask of 0 and 255 whose cells of `cell` x `cell` px count in full or not at all.

    A cell counts if at least one of its pixels is half subject or more. So when the mask is scaled
    down to the latent's size, no part of the subject is lost or has a weight between 0 and 1.
    """
    high, wide = mask.shape
    whole = np.pad(mask, ((0, -high % cell), (0, -wide % cell)))
    cells = whole.reshape(whole.shape[0] // cell, cell, whole.shape[1] // cell, cell)
    counts = np.where(cells.max(axis=(1, 3)) >= _SUBJECT, np.uint8(255), np.uint8(0))
    return np.ascontiguousarray(counts.repeat(cell, 0).repeat(cell, 1)[:high, :wide])


def with_alpha(image: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """HxWx4 RGBA with the mask for alpha; RGB is the image laid over `colour` by it.

    A trainer that throws alpha away then sees `colour` where alpha is 0.
    """
    alpha = mask[..., None].astype(np.uint16)
    under = np.array(colour, np.uint16)
    bled = (image.astype(np.uint16) * alpha + under * (255 - alpha) + 127) // 255
    return np.dstack([bled.astype(np.uint8), mask])
