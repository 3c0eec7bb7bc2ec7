"""How good a matte is, and the colour of what is laid over a new background.

SAD, MSE, gradient and connectivity error are the four of Rhemann et al. 2009, "A Perceptually
Motivated Online Benchmark for Image Matting". Alphas are HxW float 0..1.
"""

from __future__ import annotations

import cv2
import numpy as np

_STEP, _SLACK = 0.1, 0.15  # section 4 of the paper, and its authors' own code
_BAND_PX = 8


def iou(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Intersection over union of alpha >= 0.5; 1 where both are empty."""
    a, b = alpha >= 0.5, truth >= 0.5
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def sad(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Sum of absolute differences, in thousands (Rhemann et al. 2009, alphamatting.com)."""
    return float(np.abs(alpha.astype(np.float64) - truth).sum()) / 1000


def mse(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Mean squared error (Rhemann et al. 2009)."""
    return float(np.mean((alpha.astype(np.float64) - truth) ** 2))


def gradient_error(alpha: np.ndarray, truth: np.ndarray, sigma: float = 1.4) -> float:
    """Sum of squared differences of gradient magnitudes, in thousands.

    Gradients are of the first derivative of a Gaussian, sigma 1.4, exponent 2 (section 4).
    """
    difference = _gradient_magnitude(alpha, sigma) - _gradient_magnitude(truth, sigma)
    return float((difference**2).sum()) / 1000


def _gradient_magnitude(alpha: np.ndarray, sigma: float) -> np.ndarray:
    radius = int(np.ceil(3 * sigma))
    at = np.arange(-radius, radius + 1, dtype=np.float64)
    smooth = np.exp(-(at**2) / (2 * sigma**2))
    smooth /= smooth.sum()
    slope = -at / sigma**2 * smooth
    alpha = alpha.astype(np.float64)
    along_x = cv2.sepFilter2D(alpha, cv2.CV_64F, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    along_y = cv2.sepFilter2D(alpha, cv2.CV_64F, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(along_x, along_y)


def connectivity_error(alpha: np.ndarray, truth: np.ndarray) -> float:
    """Sum over the pixels, in thousands, of how unequally they hang on to the subject.

    `alpha` and `truth` are HxW float 0..1. A pixel hangs on at the highest level at which it is
    part of the largest region (4-connected) where both are at least that; phi is 1 less what alpha
    has beyond that level, where that is 0.15 or more.
    """
    level = np.full(alpha.shape, -1.0)
    for step in range(1, round(1 / _STEP) + 1):
        region = _largest((alpha >= step * _STEP - 1e-9) & (truth >= step * _STEP - 1e-9))
        level[(level < 0) & ~region] = (step - 1) * _STEP
    level[level < 0] = 1
    return float(np.abs(_phi(alpha - level) - _phi(truth - level)).sum()) / 1000


def _largest(inside: np.ndarray) -> np.ndarray:
    """The largest 4-connected region of HxW bool."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        inside.astype(np.uint8), connectivity=4
    )
    if count == 1:
        return np.zeros(inside.shape, bool)
    return labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))


def _phi(beyond: np.ndarray) -> np.ndarray:
    return 1 - beyond * (beyond >= _SLACK)


def composite_error(
    rgba: np.ndarray, background_rgb: np.ndarray, wanted_rgb: np.ndarray, truth: np.ndarray
) -> float:
    """Mean absolute difference, 0..255, of a cut-out over a new background from what it should be.

    `rgba` HxWx4 uint8, straight alpha; `wanted_rgb` is the subject itself before `background_rgb`
    (HxWx3 uint8). Judged within 8 px of the true edge (`truth`, HxW float 0..1): elsewhere all
    cut-outs are alike.
    """
    alpha = rgba[..., 3:].astype(np.float64) / 255
    mixed = alpha * rgba[..., :3] + (1 - alpha) * background_rgb
    soft = ((truth > 0.02) & (truth < 0.98)).astype(np.uint8)
    size = 2 * _BAND_PX + 1
    band = cv2.dilate(soft, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0
    return float(np.abs(mixed - wanted_rgb)[band].mean()) if band.any() else 0.0


def errors(alpha_u8: np.ndarray, truth_u8: np.ndarray) -> dict[str, float]:
    """SAD, MSE, gradient and connectivity of HxW uint8 alpha; all but MSE in thousands."""
    alpha, truth = alpha_u8 / 255, truth_u8 / 255
    return {
        "SAD": sad(alpha, truth),
        "MSE": mse(alpha, truth),
        "Grad": gradient_error(alpha, truth),
        "Conn": connectivity_error(alpha, truth),
    }
