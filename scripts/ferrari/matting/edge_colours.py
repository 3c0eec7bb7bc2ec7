"""The subject's own colours at its edge, so that no background bleeds through in a cut-out.

Pure arrays; see `alpha_refinement` for what an alpha is.
"""

from __future__ import annotations

import cv2
import numpy as np

from ferrari.images.boxes import bounds
from ferrari.matting import engines

#: The subject's colour is continued this far beyond the last pixel with alpha, for programs that
#: resample; farther out RGB is 0. No pixel with alpha 0 holds a colour of the scene.
BLEED_PX = 16


def cut_out(
    image_rgb: np.ndarray,
    alpha: np.ndarray,
    foreground: bool = True,
    engine: engines.Engine | None = None,
) -> np.ndarray:
    """HxWx4 uint8 RGBA cut-out, straight alpha, from an image and its alpha (float 0..1).

    Where alpha is 255 the image's own pixels stay. With `foreground`, RGB at the edge is the
    subject's estimated colour (Germer et al. 2020, "Fast Multi-Level Foreground Estimation"), so
    that none of the scene shines through on a new background. Where alpha is 0, RGB is subject
    colour for BLEED_PX beyond the edge, and 0 from there on. `engine`: ours if None.
    """
    alpha_u8 = np.rint(np.clip(alpha, 0, 1) * 255).astype(np.uint8)
    rgba = np.zeros((*alpha_u8.shape, 4), np.uint8)
    seen = alpha_u8 > 0
    if not seen.any():
        return rgba
    top, bottom, left, right = bounds(seen, margin=BLEED_PX)
    window = np.s_[top:bottom, left:right]
    image_rgb, alpha_u8, seen = image_rgb[window], alpha_u8[window], seen[window]
    reach = 2 * BLEED_PX + 1
    near = cv2.dilate(seen.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    keeps = alpha_u8 == 255 if foreground else seen
    if foreground:
        colours = (engine or engines.load()).estimate(image_rgb, alpha_u8, near & ~keeps)
    else:
        colours = _nearest(image_rgb, seen) * near[..., None]
    cv2.copyTo(image_rgb, keeps.astype(np.uint8), colours)
    rgba[window] = cv2.cvtColor(colours, cv2.COLOR_RGB2RGBA)
    rgba[window][..., 3] = alpha_u8
    return rgba


def _nearest(image_rgb: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Each pixel's colour, taken from the nearest pixel in `seen`."""
    hidden = (~seen).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        hidden, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colour_of = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    colour_of[labels[seen]] = image_rgb[seen]
    return colour_of[labels]
