"""Between YCbCr matrices without a detour over RGB: what is coded stays as exact as it was.

WebP holds BT.601 with limited range. HD footage is BT.709, and webcams and many phones record full
range. Formulae: ITU-R BT.601-7 and BT.709-6, section 3 of each (luma weights), composed; ITU-T
H.273, 8.3 (ranges).
"""

from __future__ import annotations

import cv2
import numpy as np

#: What Cb and Cr of BT.709 add to Y, Cb and Cr of BT.601; Y keeps itself.
CHROMA_PARTS = ((0.09931, 0.19170), (0.98985, -0.11065), (-0.07245, 0.98340))
#: Weights of red and blue in luma.
_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}
_UNIT = 64  # parts of a level that tables count in: their sums are exact in int16
_LUMA_SHARE, _CHROMA_SHARE = 219 / 255, 224 / 255  # of full range that limited range has


def _tables(share: float) -> list[list[np.ndarray]]:
    """What each level of Cb and of Cr adds to Y, Cb and Cr, where a level is `share` of ours."""
    levels = (np.arange(256) - 128) * share * _UNIT
    return [[np.rint(levels * part).astype(np.int16) for part in parts] for parts in CHROMA_PARTS]


_TABLES = {False: _tables(1), True: _tables(_CHROMA_SHARE)}  # by whether the range is full
_LIMITED_LUMA = np.rint(16 + np.arange(256) * _LUMA_SHARE).astype(np.uint8)
_LIMITED_CHROMA = np.rint(128 + (np.arange(256) - 128) * _CHROMA_SHARE).astype(np.uint8)


def i420(
    luma: np.ndarray, cb: np.ndarray, cr: np.ndarray, bt709: bool = False, full_range: bool = False
) -> np.ndarray:
    """The three planes in one array of H*3/2 x W uint8, in BT.601's matrix and limited range.

    They are uint8, 4:2:0, luma HxW with even sides, of that matrix and range too or, if so said, of
    BT.709 or full range. Every step of the change is exact but its rounding: every processor makes
    the same.
    """
    height, width = luma.shape
    stacked = np.empty((height * 3 // 2, width), np.uint8)
    rest = stacked[height:].reshape(2, height // 2, width // 2)
    if full_range:
        luma = cv2.LUT(luma, _LIMITED_LUMA)
    if not bt709:
        if full_range:
            cb, cr = cv2.LUT(cb, _LIMITED_CHROMA), cv2.LUT(cr, _LIMITED_CHROMA)
        stacked[:height], rest[0], rest[1] = luma, cb, cr
        return stacked
    more, *chroma = (
        cv2.add(cv2.LUT(cb, of_cb), cv2.LUT(cr, of_cr)) for of_cb, of_cr in _TABLES[full_range]
    )
    more = _levels(cv2.resize(more, (width, height), interpolation=cv2.INTER_LINEAR))
    cv2.addWeighted(luma, 1, more, 1, -128, dst=stacked[:height])
    for place, plane in zip(rest, chroma, strict=True):
        _levels(np.maximum(plane, -128 * _UNIT), place)
    return stacked


def between_matrices(taken: str, own: str) -> np.ndarray | None:
    """3x3 float32 for R'G'B' that was made of YCbCr by the matrix `taken`, and should be by `own`.

    For `cv2.transform`; None where they are one. What was out of range in the first R'G'B' was cut
    off there, and stays lost.
    """
    if taken == own:
        return None
    return (_to_rgb(own) @ np.linalg.inv(_to_rgb(taken))).astype(np.float32)


def _to_rgb(matrix: str) -> np.ndarray:
    """3x3 from Y' of 0..1, and differences of -0.5..0.5, to R'G'B' (H.273, 8.3)."""
    red, blue = _WEIGHTS[matrix]
    green = 1 - red - blue
    of_cb, of_cr = 2 * (1 - blue), 2 * (1 - red)
    middle = [1, -blue * of_cb / green, -red * of_cr / green]
    return np.array([[1, 0, of_cr], middle, [1, of_cb, 0]])


def _levels(parts: np.ndarray, into: np.ndarray | None = None) -> np.ndarray:
    """int16 counted in parts of a level, around 0, as uint8 around 128; none is below 0."""
    return cv2.convertScaleAbs(parts, into, 1 / _UNIT, 128)
