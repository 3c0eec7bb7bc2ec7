"""How far two pictures are apart, and whether one is the other turned, cropped or resampled."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

MEAN_BOUND = 2.0  # of 255, of the absolute difference over all pixels and channels
P99_BOUND = 8  # of 255; 99 of 100 of these differences are no larger


@dataclass(frozen=True)
class Apart:
    """The mean and the 99th percentile of the absolute difference of two pictures, 0-255."""

    mean: float
    p99: int

    @property
    def alike(self) -> bool:
        """True if the two count as the same picture."""
        return self.mean <= MEAN_BOUND and self.p99 <= P99_BOUND

    def __str__(self) -> str:
        return f"mean {self.mean:.2f}, 99 % within {self.p99}"


def apart(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> Apart:
    """How far two HxWx3 uint8 pictures of one size are apart."""
    counts = np.bincount(cv2.absdiff(ours_rgb, theirs_rgb).ravel(), minlength=256)
    total = counts.sum()
    p99 = int(np.searchsorted(np.cumsum(counts), 0.99 * total))
    return Apart(float(counts @ np.arange(256) / total), p99)


def shown_size(width: int, height: int, sar: Fraction) -> tuple[int, int]:
    """Size with square pixels, of a picture that is upright: the shorter way is stretched."""
    if sar >= 1:
        return round(width * sar), height
    return width, round(height / sar)


def stretched(picture_rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The picture at `size` (width, height)."""
    if picture_rgb.shape[1::-1] == size:
        return picture_rgb
    shrinks = size[0] * size[1] < picture_rgb.shape[0] * picture_rgb.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(picture_rgb, size, interpolation=method)


def turn_between(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> str:
    """How theirs has to be turned or mirrored to look like ours; "" if no turn does it better."""
    best, how = _small_apart(ours_rgb, theirs_rgb), ""
    for mirrored in (False, True):
        for turns in range(4):
            picture = np.rot90(theirs_rgb[:, ::-1] if mirrored else theirs_rgb, -turns)
            gap = _small_apart(ours_rgb, picture)
            if gap < best * 0.6:
                best, how = gap, f"{'mirrored, ' * mirrored}turned by {90 * turns} degrees"
    return how


def _small_apart(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> float:
    """Mean difference of two pictures at 64x64 px, without their means: colours may be off."""
    small = [
        cv2.resize(p, (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
        for p in (ours_rgb, theirs_rgb)
    ]
    first, second = (picture - picture.mean(axis=(0, 1)) for picture in small)
    return float(np.abs(first - second).mean())


def between_neighbours(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> Apart:
    """How far pixels of each lie outside of what the other has within 2 px of the same place.

    Ways to interpolate colours that are stored at half the resolution differ at edges, and there
    they stay between neighbours; a shift of a whole area's colour does not.
    """
    reach = np.ones((5, 5), np.uint8)
    worst = Apart(0.0, 0)
    for inner, outer in ((ours_rgb, theirs_rgb), (theirs_rgb, ours_rgb)):
        above = cv2.subtract(inner, cv2.dilate(outer, reach))
        below = cv2.subtract(cv2.erode(outer, reach), inner)
        gap = apart(np.maximum(above, below), np.zeros_like(inner))
        worst = max(worst, gap, key=lambda found: (found.p99, found.mean))
    return worst


def brightness_apart(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> Apart:
    """How far the two are apart in grey (BT.601 luma)."""
    return apart(*(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (ours_rgb, theirs_rgb)))


def averages(picture_rgb: np.ndarray, side: int) -> np.ndarray:
    """The means of its blocks of `side` x `side` px, as a picture."""
    high, wide = (max(1, length // side) for length in picture_rgb.shape[:2])
    return cv2.resize(picture_rgb, (wide, high), interpolation=cv2.INTER_AREA)


def tones_agree(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> float:
    """Correlation of the ranks of brightness of two pictures, -1 to 1: 1 if one is the other
    through any tone curve.
    """
    ranks = []
    for picture in (ours_rgb, theirs_rgb):
        grey = cv2.cvtColor(averages(picture, 8), cv2.COLOR_RGB2GRAY).ravel()
        ranks.append(
            np.searchsorted(np.sort(grey), grey) + np.searchsorted(np.sort(grey), grey, "right")
        )
    spread = float(np.std(ranks[0]) * np.std(ranks[1]))
    return float(np.cov(*ranks, bias=True)[0, 1] / spread) if spread else 0.0


def place_within(ours_rgb: np.ndarray, theirs_rgb: np.ndarray) -> tuple[int, int] | None:
    """Where (x, y) ours lies within theirs as a part of it, to the pixel; None if it does not."""
    height, width = ours_rgb.shape[:2]
    if height > theirs_rgb.shape[0] or width > theirs_rgb.shape[1]:
        return None
    match = cv2.matchTemplate(theirs_rgb, ours_rgb, cv2.TM_SQDIFF)
    _, _, (x, y), _ = cv2.minMaxLoc(match)
    part = theirs_rgb[y : y + height, x : x + width]
    return (x, y) if apart(ours_rgb, np.ascontiguousarray(part)).alike else None
