"""An embedding of a cut-out in 128 small numbers, and a perceptual hash; without a network.

The subject, in its own box on neutral grey at 48 x 48 px, is described by the directions of its
edges (4 x 4 cells, 4 directions), its colour (4 x 4 cells of CIE Lab) and its outline (4 x 4 cells
of alpha). All arithmetic on the small picture is in integers, so the same pixels give the same
embedding on every machine. The scene behind the subject plays no part: a cut-out has none.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from ferrari.common.errors import FerrariError

SIDE = 48  # px of the small picture
CELLS = 4  # a side
LENGTH = CELLS * CELLS * (4 + 3 + 1)
_GREY = 128
_CELL = SIDE // CELLS
_SURE = 250  # alpha from which a pixel's colour is the subject's alone
#: How far the mass of a subject may lie from the middle of its box, as a share, to count as middle.
_MIDDLE = 0.1
LEFT, MIDDLE, RIGHT = "left", "middle", "right"


class EmbeddingError(FerrariError, ValueError):
    """A cell of a table is no embedding; the message says what is wrong with it."""


def described(rgba: np.ndarray, box_xyxy: Sequence[int]) -> dict[str, object]:
    """The columns `embedding`, `phash`, `lightness` and `side` of a cut-out's row.

    `rgba` is HxWx4 uint8 with straight alpha, `box_xyxy` the subject's box in it, end exclusive.
    `lightness` is the subject's mean L*, 0 to 100; `side` where in its box the subject's mass lies
    (an arm stretched to the right leaves it on the left).
    """
    picture_rgb, alpha = small_picture(rgba, box_xyxy)
    lab = cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2LAB)
    sure = alpha >= min(_SURE, int(alpha.max()))
    return {
        "embedding": encode(embedding(lab, alpha)),
        "phash": phash(lab[..., 0]),
        "lightness": round(float(lab[..., 0][sure].mean()) / 2.55, 1),
        "side": side_of(alpha),
    }


def small_picture(rgba: np.ndarray, box_xyxy: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The subject on grey, SIDExSIDEx3 uint8 RGB, at its own proportions, and its alpha."""
    x1, y1, x2, y2 = box_xyxy
    inside = rgba[y1:y2, x1:x2]
    alpha = inside[..., 3]
    lit = cv2.multiply(inside[..., :3], cv2.merge((alpha, alpha, alpha)), scale=1 / 255)
    height, width = alpha.shape
    factor = SIDE / max(height, width)
    wide, high = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    left, top = (SIDE - wide) // 2, (SIDE - high) // 2
    small = np.zeros((SIDE, SIDE, 4), np.uint8)
    place = small[top : top + high, left : left + wide]
    place[..., :3] = cv2.resize(lit, (wide, high), interpolation=how)
    place[..., 3] = cv2.resize(alpha, (wide, high), interpolation=how)
    grey = ((255 - small[..., 3].astype(np.uint16)) * _GREY + 127) // 255
    picture = np.minimum(small[..., :3] + grey[..., None], 255).astype(np.uint8)
    return picture, np.ascontiguousarray(small[..., 3])


def embedding(lab: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """LENGTH int8 numbers of a small picture: SIDExSIDEx3 uint8 Lab (OpenCV's), SIDExSIDE alpha."""
    parts = (_edges(lab[..., 0].astype(np.int32)), _colours(lab), _cells(alpha) // (2 * _CELL**2))
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.int8)


def _edges(light: np.ndarray) -> np.ndarray:
    """4 directions x cells: each one's share of all edges, by its root, 32 where all are equal."""
    across = np.zeros_like(light)
    down = np.zeros_like(light)
    across[:, 1:-1] = light[:, 2:] - light[:, :-2]
    down[1:-1] = light[2:] - light[:-2]
    wide, high = np.abs(across), np.abs(down)
    flat, steep = 12 * high <= 5 * wide, 12 * wide <= 5 * high  # 5/12: tan 22.6 degrees
    rising = (across > 0) == (down > 0)
    strength = wide + high
    direction = np.select([flat, steep, rising], [0, 1, 2], 3)
    sums = np.stack([_cells(np.where(direction == one, strength, 0)) for one in range(4)])
    shares = sums * (32 * 32 * sums.size) // max(1, int(sums.sum()))
    return np.minimum(np.sqrt(shares.astype(np.float64)).astype(np.int64), 127)


def _colours(lab: np.ndarray) -> np.ndarray:
    """Mean L, and twice the mean a and b, of each cell, 0 at neutral grey."""
    means = np.stack([_cells(lab[..., band]) for band in range(3)]) // _CELL**2 - 128
    return np.clip(means * np.array([1, 2, 2])[:, None, None], -127, 127)


def _cells(values: np.ndarray) -> np.ndarray:
    """CELLSxCELLS sums of a SIDExSIDE array."""
    return values.reshape(CELLS, _CELL, CELLS, _CELL).sum(axis=(1, 3), dtype=np.int64)


def phash(light: np.ndarray) -> str:
    """64 bits in hex: which of the 8 x 8 lowest frequencies of uint8 `light` are above the median.

    Frequencies are rounded to whole numbers, so that flat parts have no bits of chance.
    """
    small = cv2.resize(light, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = np.rint(cv2.dct(small)[:8, :8])
    return np.packbits(low > np.median(low)).tobytes().hex()


def side_of(alpha: np.ndarray) -> str:
    """Where the mass of a SIDExSIDE alpha lies: LEFT, MIDDLE or RIGHT."""
    columns = alpha.sum(axis=0, dtype=np.int64)
    total = max(1, int(columns.sum()))
    balance = int(columns[SIDE // 2 :].sum() - columns[: SIDE // 2].sum()) / total
    return MIDDLE if abs(balance) <= _MIDDLE else RIGHT if balance > 0 else LEFT


def encode(vector: np.ndarray) -> str:
    """An int8 vector as base64 text."""
    return base64.b64encode(vector.astype(np.int8).tobytes()).decode("ascii")


def decode(text: str) -> np.ndarray:
    """The int8 vector in a table's cell; EmbeddingError says what is wrong with any other text."""
    try:
        data = base64.b64decode(text.encode("ascii", "replace"), validate=True)
    except binascii.Error as error:
        raise EmbeddingError(f"no base64: {error}") from error
    if len(data) != LENGTH:
        raise EmbeddingError(f"{len(data)} numbers, an embedding has {LENGTH}")
    return np.frombuffer(data, np.int8)


def of_rows(rows: Sequence[Mapping[str, str]]) -> np.ndarray:
    """Nx128 int8: the embeddings of mask rows; EmbeddingError names the row that has none."""
    vectors = np.zeros((len(rows), LENGTH), np.int8)
    for place, line in enumerate(rows):
        try:
            vectors[place] = decode(line["embedding"])
        except EmbeddingError as error:
            raise EmbeddingError(
                f"mask row {line['item']}: its embedding is unsound ({error}): the table is "
                "damaged; delete it, and the next run makes it anew"
            ) from error
    return vectors
