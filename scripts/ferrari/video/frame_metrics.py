"""How sharp a frame is, by its luma."""

from __future__ import annotations

import cv2
import numpy as np


def sharpness(luma: np.ndarray) -> float:
    """Variance of the Laplacian of HxW uint8 luma (Pech-Pacheco et al. 2000); blur lowers it."""
    edges = cv2.Laplacian(luma, cv2.CV_16S)
    mean = cv2.sumElems(edges)[0] / edges.size
    return max(0.0, cv2.norm(edges, cv2.NORM_L2SQR) / edges.size - mean**2)
