"""Nets that give an alpha for a picture's subject, driven by their entry in models.yaml."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import cv2
import numpy as np


def open_net(path: str | os.PathLike, output: int, device: str, threads: int = 0):
    """The network's `output` on `device`: OpenVINO on the CPU, ONNX Runtime on CUDA."""
    if device.startswith("cuda"):
        from scripts.lib.backends.onnx_net import OnnxNet

        return OnnxNet(path, output, device)
    from scripts.lib.backends.openvino_net import OpenVinoNet

    return OpenVinoNet(path, output, threads)


def network_size(spec: Sequence[int] | Mapping, height: int, width: int) -> tuple[int, int]:
    """(height, width) that the network is fed for a picture of `height` x `width`.

    `spec` is the entry's `input.size`: a fixed [height, width], or {short_side, multiple}: the
    short side scaled to `short_side`, both sides rounded to the nearest multiple.
    """
    if not isinstance(spec, Mapping):
        return int(spec[0]), int(spec[1])
    scale, step = spec["short_side"] / min(height, width), spec["multiple"]
    # A very long picture would take memory without end: its long side stops at four short sides.
    longest = 4 * spec["short_side"]
    sides = (min(longest, side * scale) for side in (height, width))
    high, wide = (max(step, round(side / step) * step) for side in sides)
    return high, wide


def prepare(image_rgb: np.ndarray, spec: Mapping) -> np.ndarray:
    """1x3xHxW float32 input from an HxWx3 uint8 RGB image, as an entry's `input` says."""
    high, wide = network_size(spec["size"], *image_rgb.shape[:2])
    shrinks = high * wide < image_rgb.shape[0] * image_rgb.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(image_rgb, (wide, high), interpolation=how).astype(np.float32)
    mean = np.asarray(spec["mean"], np.float32)
    std = np.asarray(spec["std"], np.float32)
    return np.ascontiguousarray(((resized - mean) / std).transpose(2, 0, 1)[None])


def activate(values: np.ndarray, activation: str) -> np.ndarray:
    """`values` through an entry's `output.activation`, clipped to 0..1."""
    if activation == "sigmoid":
        values = 1 / (1 + np.exp(-np.clip(values, -60, 60)))
    elif activation != "none":
        raise ValueError(f"models.yaml: activation {activation!r} is none of none, sigmoid")
    return np.clip(values, 0, 1)


class AlphaNet:
    """A salient-subject network as a segmenter; boxes are not used."""

    def __init__(self, path: str | os.PathLike, entry: Mapping, device: str, threads: int) -> None:
        self._input, self._output = entry["input"], entry["output"]
        self._net = open_net(path, self._output["index"], device, threads)
        self.device = self._net.device

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> list[np.ndarray]:
        """HxW float32 alpha of each crop, at its size."""
        outputs = self._net.run([prepare(crop, self._input) for crop in crops_rgb])
        return [
            self._at_size(output, crop) for output, crop in zip(outputs, crops_rgb, strict=True)
        ]

    def _at_size(self, output: np.ndarray, crop_rgb: np.ndarray) -> np.ndarray:
        small = activate(output.reshape(output.shape[-2:]), self._output["activation"])
        height, width = crop_rgb.shape[:2]
        shrinks = height * width < small.size
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return cv2.resize(small.astype(np.float32), (width, height), interpolation=how)
