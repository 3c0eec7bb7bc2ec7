"""Refinement of a matte: closed-form matting of the band around the subject's edge.

Pure arrays. Alpha is straight (not premultiplied): float 0..1 while it is worked on, uint8 in a
cut-out. Images are HxWx3 uint8 RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from ferrari.images.boxes import bounds
from ferrari.matting import engines

#: Pixels of the solved picture at most; a larger one is refined at a smaller size. This is the size
#: that the nets see (1024 x 1024), so none of their detail is lost; time and memory (0.25 GB) are
#: bounded by it.
MAX_PIXELS = 1 << 20

#: Weight of the net's own alpha in the band; the Laplacian's entries are about 1. Of the values
#: tried, from 0 to 0.2, it was the best on hair and on plain edges; with 0, wide bands did not
#: always converge.
PRIOR_WEIGHT = 1e-3

_SURE = 0.02  # alpha nearer than this to 0 or 1 is 0 or 1: no faint veil over the scene
UNKNOWN = 128


@dataclass(frozen=True)
class Refinement:
    """`alpha` HxW float32; `refined` is false if it is the net's own, and `detail` says why."""

    alpha: np.ndarray
    refined: bool
    detail: str = ""


def trimap_from_alpha(alpha: np.ndarray, edge_px: int) -> np.ndarray:
    """HxW uint8 trimap: 255 subject, 0 scene, 128 unknown.

    Unknown is the band of `edge_px` to each side of the contour alpha = 0.5, and every pixel of
    which the net itself is unsure (0.1 < alpha < 0.9).
    """
    inside = (alpha >= 0.5).astype(np.uint8)
    size = 2 * edge_px + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    # A subject that leaves the picture has no edge at the border, so the border is replicated.
    grown = cv2.dilate(inside, kernel, borderType=cv2.BORDER_REPLICATE)
    shrunk = cv2.erode(inside, kernel, borderType=cv2.BORDER_REPLICATE)
    trimap = np.where(inside > 0, 255, 0).astype(np.uint8)
    trimap[(grown != shrunk) | ((alpha > 0.1) & (alpha < 0.9))] = UNKNOWN
    return trimap


def fill_islands(alpha: np.ndarray) -> tuple[np.ndarray, int]:
    """Alpha without the islands that the net was unsure of, and how many pixels they had.

    An island is a patch of alpha < 0.9 with subject all round it and not one pixel that the net
    calls scene (alpha < 0.1): a badge or a print in the scene's colours, not a gap to look through.
    """
    unsure = (alpha < 0.9).astype(np.uint8)
    count, labels = cv2.connectedComponents(unsure, connectivity=4)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    open_ones = np.zeros(count, bool)
    open_ones[0] = True  # label 0 is everything else
    open_ones[border] = True
    open_ones |= np.bincount(labels[alpha < 0.1], minlength=count) > 0
    if open_ones.all():
        return alpha.astype(np.float32), 0
    islands = ~open_ones[labels]
    return np.where(islands, 1, alpha).astype(np.float32), int(islands.sum())


def refine_alpha(
    image_rgb: np.ndarray,
    alpha: np.ndarray,
    edge_px: int,
    max_pixels: int = MAX_PIXELS,
    engine: engines.Engine | None = None,
) -> Refinement:
    """Closed-form matting of the band around the net's edge (Levin, Lischinski, Weiss 2008).

    Outside the band alpha becomes 0 or 1. Inside it solves (L + w I) a = w a_net with the known
    pixels fixed, where L is the matting Laplacian and a_net the net's alpha: colours decide
    where they can tell, the net where they cannot. `fill_islands` comes first. If the solver does
    not converge, the net's own alpha comes back, and `refined` is false. `engine`: ours if None.
    """
    net, (alpha, filled) = alpha, fill_islands(alpha)
    note = f"filled {filled} px inside the subject" if filled else ""
    trimap = trimap_from_alpha(alpha, edge_px)
    unknown = trimap == UNKNOWN
    if not unknown.any():
        note = "; ".join(filter(None, (note, "no edge in the crop")))
        return Refinement((trimap > 0).astype(np.float32), True, note)
    top, bottom, left, right = bounds(unknown, margin=2)
    window = np.s_[top:bottom, left:right]
    solved, detail = _solve_window(
        engine or engines.load(), image_rgb[window], alpha[window], trimap[window], max_pixels
    )
    if solved is None:
        return Refinement(net.astype(np.float32), False, detail)
    result = (trimap == 255).astype(np.float32)
    result[window] = np.where(unknown[window], solved, result[window])
    return Refinement(result, True, "; ".join(filter(None, (note, detail))))


def _solve_window(
    engine: engines.Engine,
    image_rgb: np.ndarray,
    alpha: np.ndarray,
    trimap: np.ndarray,
    max_pixels: int,
) -> tuple[np.ndarray | None, str]:
    """The window's alpha, or None, and a remark."""
    height, width = trimap.shape
    if min(height, width) < 3:
        return None, "the edge is too thin to refine"  # the Laplacian's windows are 3x3
    scale = (max_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return _solve(engine, image_rgb, alpha, trimap)
    size = (max(3, round(width * scale)), max(3, round(height * scale)))
    solved, detail = _solve(
        engine,
        cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA),
        cv2.resize(alpha.astype(np.float32), size, interpolation=cv2.INTER_AREA),
        cv2.resize(trimap, size, interpolation=cv2.INTER_NEAREST),
    )
    if solved is not None:
        solved = cv2.resize(solved, (width, height), interpolation=cv2.INTER_LINEAR)
        detail = "; ".join(filter(None, (detail, f"refined at {size[0]}x{size[1]}")))
    return solved, detail


def _solve(
    engine: engines.Engine, image_rgb: np.ndarray, alpha: np.ndarray, trimap: np.ndarray
) -> tuple[np.ndarray | None, str]:
    """Solve the matting equation on the unknown pixels; None if it does not converge."""
    unknown, subject = trimap == UNKNOWN, trimap == 255
    solved, iterations, remark = engine.solve(image_rgb, unknown, subject, alpha, PRIOR_WEIGHT)
    if solved is None:
        kept = f"refinement did not converge in {iterations} iterations; net's own alpha kept"
        return None, "; ".join(filter(None, (remark, kept)))
    solved[solved < _SURE], solved[solved > 1 - _SURE] = 0, 1
    result = subject.astype(np.float32)
    result[unknown] = solved
    return result, remark
