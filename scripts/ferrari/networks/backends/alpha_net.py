"""Nets that give an alpha for a picture's subject, driven by their entry in models.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferrari.networks import weight_contents
from ferrari.networks.network import Network, NetworkRequest
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import ModelError

#: A side of a network's input is never less than this share of its own.
_NARROWEST = 4


def network_size(spec: Mapping, height: int, width: int, aspect: bool = False) -> tuple[int, int]:
    """(height, width) that the network is fed for a picture of `height` x `width`.

    `spec` is an entry's `input`. Its `size` is a fixed [height, width], or {short_side, multiple}:
    the short side scaled to `short_side`, both sides rounded to the nearest multiple. With `aspect`
    a fixed size is what the picture has to fit in: scaled by one factor, each side rounded up to
    the next multiple of the entry's `multiple`.
    """
    size = spec["size"]
    if isinstance(size, Mapping):
        scale, step = size["short_side"] / min(height, width), size["multiple"]
        # A very long picture would take memory without end: its long side stops at four short ones.
        longest = 4 * size["short_side"]
        sides = (min(longest, side * scale) for side in (height, width))
        high, wide = (max(step, round(side / step) * step) for side in sides)
        return high, wide
    if not aspect:
        return int(size[0]), int(size[1])
    scale, step = min(size[0] / height, size[1] / width), spec["multiple"]
    high, wide = (
        max(most // _NARROWEST, min(most, -(-round(side * scale) // step) * step))
        for side, most in zip((height, width), size, strict=True)
    )
    return high, wide


def prepare(image_rgb: np.ndarray, spec: Mapping, aspect: bool = False) -> np.ndarray:
    """HxWx3 uint8 RGB at the size that an entry's `input` says, from an image of any size."""
    height, width = image_rgb.shape[:2]
    high, wide = network_size(spec, height, width, aspect)
    shrinks = high * wide < height * width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image_rgb, (wide, high), interpolation=how)


def request(
    path: Path, entry: Mapping, place: Place, sha256: str, any_size: bool, **means: Any
) -> NetworkRequest:
    """What loads the network of an entry at `place`.

    `any_size`: it shall take pictures of their own shape; `means` are NetworkRequest's threads,
    cache and batch.
    """
    return NetworkRequest.of_entry(path, entry, place, sha256, any_size=any_size, **means)


def activate(values: np.ndarray, activation: str) -> np.ndarray:
    """`values` through an entry's `output.activation`, clipped to 0..1."""
    if activation == "sigmoid":
        values = 1 / (1 + np.exp(-np.clip(values, -60, 60)))
    elif activation != "none":
        raise ValueError(f"models.yaml: activation {activation!r} is none of none, sigmoid")
    return np.clip(values, 0, 1)


class AlphaNet:
    """A salient-subject network as a segmenter; boxes are not used.

    `aspect`: feed pictures at their own shape where the entry's `input.multiple` says that the
    network can take them so.
    """

    def __init__(
        self, net: Network, path: str | os.PathLike, entry: Mapping, aspect: bool = False
    ) -> None:
        """`path` is named in errors."""
        self._net, self._input, self._output = net, entry["input"], entry["output"]
        self._path, self._aspect = path, aspect
        self.device = str(net.about["device"])

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> Iterator[np.ndarray]:
        """HxW float32 alpha of each crop, at its size. Raises ModelError for a network whose output
        is none.
        """
        return self._seen(crops_rgb, self._aspect)

    def squared(self, crops_rgb: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """As `alpha`, of the crops squashed into the network's own square."""
        return self._seen(crops_rgb, False)

    def _seen(self, crops_rgb: Sequence[np.ndarray], aspect: bool) -> Iterator[np.ndarray]:
        inputs = (prepare(crop, self._input, aspect) for crop in crops_rgb)
        for crop, (output,) in zip(crops_rgb, self._net.stream(inputs), strict=True):
            height, width = crop.shape[:2]
            fed = network_size(self._input, height, width, aspect)
            if not weight_contents.is_alpha((1, *output.shape), (1, 3, *fed)):
                raise ModelError(
                    f"{self._path} gives {weight_contents.told(output.shape)} for a picture of "
                    f"{weight_contents.told(fed)}, which is no alpha of it: set mask.weights to a "
                    "network that gives one, or to null"
                )
            yield self._at_size(output.astype(np.float32), crop)

    def _at_size(self, output: np.ndarray, crop_rgb: np.ndarray) -> np.ndarray:
        small = activate(output.reshape(output.shape[-2:]), self._output["activation"])
        height, width = crop_rgb.shape[:2]
        shrinks = height * width < small.size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(small.astype(np.float32), (width, height), interpolation=how)
