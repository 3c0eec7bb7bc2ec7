"""Where one shot ends and the next begins, from small pictures of a clip in order. Pure arrays.

Two pictures are as new to each other as

    (1 - the share of one's blocks that the other has near their place) x (difference of colours)

A pan, a zoom or a person who walks keeps most blocks, and a cut to a place with other colours does
not; more or less light keeps the blocks and changes lightness alone, which is first brought to one
mean and contrast. A flash is over after a picture or two, and the shot before it goes on.

Hard cuts are found; in a dissolve no two pictures differ enough. A whip pan that leaves nothing of
the picture before it counts as a cut. A shot of one or two pictures that is brighter or darker than
those on either side, which show the same, is taken for a flash.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice

import cv2
import numpy as np

_SIDE = 64  # px, the longer side of what is compared
_BLOCK = 8  # px, side of a block
_REACH_XY = (20, 10)  # px, how far a block is looked for
_FLAT = 3.0  # standard deviation of lightness (0-255) below which a block says nothing
_FOUND = 0.93  # correlation from which a block is there
_NEW = 0.105  # newness of a cut; moving cameras reach 0.07, a cut within one studio has 0.13
_FLASH_PICTURES = 2  # at six a second, a third of a second
_MOST_GAIN = 2.0  # of the light between two pictures of a shot
_FLASH_LIGHT = 20.0  # by which the mean of a picture (0-255) differs in a flash from both sides
_COLOUR_BINS = 32  # of a* and b* from -32 to 32, what is beyond in the outermost
_LEVELS = np.arange(256, dtype=np.uint8)
_BY_COLOUR = np.clip((_LEVELS.astype(int) - 96) // 2, 0, _COLOUR_BINS - 1)  # the bin of each level
_SMOOTHING = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)  # of histograms, in bins


def cuts(pictures_rgb: Iterable[np.ndarray]) -> list[bool]:
    """For each HxWx3 uint8 RGB picture of a clip, whether a cut lies before it; the first: False.

    Only a few are held at a time. A picture of another shape begins a shot.
    """
    small = map(_small, pictures_rgb)
    ahead = deque(islice(small, 1 + _FLASH_PICTURES))
    found: list[bool] = []
    before, in_flash = None, 0
    while ahead:
        new = False
        if before is not None and not in_flash:
            new = is_new(before, ahead[0])
            in_flash = _flash(before, list(ahead)) if new else 0
        found.append(new and not in_flash)
        now = ahead.popleft()
        if in_flash:
            in_flash -= 1
        else:
            before = now
        ahead.extend(islice(small, 1))
    return found


def is_new(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two small pictures (RGB) are as new to each other as two shots are.

    Blocks are looked for only where colours differ enough, and in the second picture only if the
    first does not decide: looking for them takes twenty times as long as comparing colours.
    """
    if one.shape != other.shape:
        return True
    a, b = _in_one_light(one, other)
    colours = _colour_difference(a, b)
    if colours < _NEW:  # they are no newer than that, whatever is kept
        return False
    return any(
        (1 - _kept(there[..., 0], light[..., 0])) * colours >= _NEW
        for there, light in ((a, b), (b, a))
    )


def _small(picture_rgb: np.ndarray) -> np.ndarray:
    """uint8 RGB with a longer side of _SIDE, a little blurred."""
    height, width = picture_rgb.shape[:2]
    scale = _SIDE / max(height, width)
    size = max(_BLOCK, round(width * scale)), max(_BLOCK, round(height * scale))
    small = cv2.resize(picture_rgb, size, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (3, 3), 0.8)


def _in_one_light(one: np.ndarray, other: np.ndarray) -> list[np.ndarray]:
    """Both as uint8 L*a*b*, the darker one made as bright as the other, up to _MOST_GAIN."""
    means = [max(float(picture.mean()), 1.0) for picture in (one, other)]
    gains = [min(max(means) / mean, _MOST_GAIN) for mean in means]
    lit = [cv2.LUT(p, _brighter(gain)) for p, gain in zip((one, other), gains, strict=True)]
    return [cv2.cvtColor(picture, cv2.COLOR_RGB2LAB) for picture in lit]


def _brighter(gain: float) -> np.ndarray:
    """uint8: what each level becomes."""
    return np.rint(np.clip(_LEVELS * np.float32(gain), 0, 255)).astype(np.uint8)


def _kept(there: np.ndarray, light: np.ndarray) -> float:
    """Share of the blocks of one lightness that `there` has near their place; 1 if all are flat."""
    rows, columns = (side // _BLOCK for side in light.shape)
    blocks = light[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    found = []
    for row, column in np.argwhere(blocks.std(axis=(1, 3)) >= _FLAT).tolist():
        y, x = row * _BLOCK, column * _BLOCK
        top, left = max(0, y - _REACH_XY[1]), max(0, x - _REACH_XY[0])
        near = there[top : y + _BLOCK + _REACH_XY[1], left : x + _BLOCK + _REACH_XY[0]]
        match = cv2.matchTemplate(near, blocks[row, :, column], cv2.TM_CCOEFF_NORMED)
        found.append(float(match.max()) >= _FOUND)
    return float(np.mean(found)) if found else 1.0


def _colour_difference(one: np.ndarray, other: np.ndarray) -> float:
    """0 to 3: half the summed differences of the histograms of lightness, a* and b*."""
    return sum(
        float(np.abs(a - b).sum()) / 2
        for a, b in zip(_histograms(one), _histograms(other), strict=True)
    )


def _histograms(lab: np.ndarray) -> list[np.ndarray]:
    """Shares by lightness, brought to one mean and contrast, by a* and by b*."""
    light = lab[..., 0].astype(np.float64)
    levels = (_LEVELS - light.mean()) / max(float(light.std()), _FLAT)
    by_light = np.clip(np.floor((levels + 2) * 4), 0, 15).astype(int)
    counts = [
        np.bincount(bins, np.bincount(lab[..., axis].ravel(), minlength=256), _COLOUR_BINS)
        for axis, bins in enumerate((by_light, _BY_COLOUR, _BY_COLOUR))
    ]
    smooth = [np.convolve(count, _SMOOTHING) for count in counts]
    return [count / count.sum() for count in smooth]


def _flash(before: np.ndarray, ahead: list[np.ndarray]) -> int:
    """How many pictures a flash takes that begins at ahead[0]; 0 if it is none."""
    for after in range(1, len(ahead)):
        if not is_new(before, ahead[after]):
            sides = before.mean(), ahead[after].mean()
            light = [float(one.mean()) for one in ahead[:after]]
            brighter = min(light) > max(sides) + _FLASH_LIGHT
            darker = max(light) < min(sides) - _FLASH_LIGHT
            return after if brighter or darker else 0
    return 0
