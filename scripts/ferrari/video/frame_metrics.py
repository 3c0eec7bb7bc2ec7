"""Frames told apart, and sharp ones from blurred ones, by their luma."""

from __future__ import annotations

import cv2
import numpy as np

_COMPARE_WIDTH = 256  # px; luma is area-averaged to it before frames are compared


def compare_luma(luma: np.ndarray) -> np.ndarray:
    """HxW uint8 luma, area-averaged to 256 px width (never enlarged), to compare frames by."""
    height, width = luma.shape
    if width <= _COMPARE_WIDTH:
        return luma.copy()
    size = (_COMPARE_WIDTH, max(1, round(height * _COMPARE_WIDTH / width)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA)


def luma_delta(a: np.ndarray, b: np.ndarray | None) -> float:
    """Mean absolute difference (0-255) of two compare images; 255 if there is no second."""
    if b is None or a.shape != b.shape:
        return 255.0
    return float(cv2.norm(a, b, cv2.NORM_L1)) / a.size


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian of HxW uint8 luma (Pech-Pacheco et al. 2000); blur lowers it."""
    edges = cv2.Laplacian(luma, cv2.CV_16S)
    mean = cv2.sumElems(edges)[0] / edges.size
    return max(0.0, cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - mean**2)
