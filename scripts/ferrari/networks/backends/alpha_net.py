"""Nets that give an alpha for a picture's subject, driven by their entry in models.yaml."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import cv2
import numpy as np

from ferrari.networks.input_tensors import planes, scale_table

#: A side of a network's input is never less than this share of its own.
_NARROWEST = 4


class Net(Protocol):
    """One output of a loaded network: what the runtimes have in common."""

    device: str

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The output of each input (1xCxHxW float32), in their order, float32."""
        ...

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterable[np.ndarray]:
        """As `run`, of inputs that come one by one."""
        ...


def open_net(
    path: str | os.PathLike, output: int, device: str, threads: int = 0, any_size: bool = False
) -> Net:
    """The network's `output` on `device`: OpenVINO on the CPU, ONNX Runtime on CUDA.

    `any_size` (CPU alone): it shall take inputs of other sizes than it was exported for.
    """
    if device.startswith("cuda"):
        from ferrari.networks.backends.onnx_runtime import OnnxNet

        return OnnxNet(path, output, device)
    from ferrari.networks.backends.openvino_runtime import OpenVinoNet

    return OpenVinoNet(path, output, threads, any_size)


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
    """1x3xHxW float32 input from an HxWx3 uint8 RGB image, as an entry's `input` says."""
    height, width = image_rgb.shape[:2]
    high, wide = network_size(spec, height, width, aspect)
    shrinks = high * wide < height * width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image_rgb, (wide, high), interpolation=how)
    return planes(resized, scale_table(spec["mean"], spec["std"]))


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
    network can take them so, and it runs on the CPU.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        entry: Mapping,
        device: str,
        threads: int,
        aspect: bool = False,
    ) -> None:
        self._input, self._output = entry["input"], entry["output"]
        self._aspect = aspect and device == "cpu" and "multiple" in self._input
        self._net = open_net(path, self._output["index"], device, threads, self._aspect)
        self.device = self._net.device

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> Iterator[np.ndarray]:
        """HxW float32 alpha of each crop, at its size."""
        inputs = (prepare(crop, self._input, self._aspect) for crop in crops_rgb)
        for crop, output in zip(crops_rgb, self._net.stream(inputs), strict=True):
            yield self._at_size(output, crop)

    def _at_size(self, output: np.ndarray, crop_rgb: np.ndarray) -> np.ndarray:
        small = activate(output.reshape(output.shape[-2:]), self._output["activation"])
        height, width = crop_rgb.shape[:2]
        shrinks = height * width < small.size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(small.astype(np.float32), (width, height), interpolation=how)
