"""YuNet, a small network that finds faces: how it is fed, and what its outputs mean.

Wu, Peng, Yu: "YuNet: A Tiny Millisecond-level Face Detector" (2023). Boxes and landmarks are those
of OpenCV's FaceDetectorYN, which is where the formulas are from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ferrari.images.faces import Face
from ferrari.networks.network import Network, NetworkRequest, Outputs
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import ModelError

#: Pixels from one cell of each of its three grids to the next.
STRIDES = (8, 16, 32)
#: Overlap from which of two boxes the one with the lower score is dropped, as OpenCV has it.
_SAME = 0.3
#: What each cell has: a score for the class, one for the object, a box, five landmarks.
WIDTHS = (1, 1, 4, 10)


def request(path: Path, place: Place, sha256: str, **means: Any) -> NetworkRequest:
    """What loads the network at `place`; `means` are NetworkRequest's threads and cache.

    Pictures come in many sizes, and a batch takes those of one size: they go one by one.
    """
    return NetworkRequest.of(
        path,
        place.runtime,
        place.device,
        sha256,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        any_size=True,
        exact=True,
        **means,
    )


class YuNet:
    """Finds faces in pictures of any size; their sides should lie between 10 and 300 pixels."""

    def __init__(self, net: Network, entry: Mapping) -> None:
        """`entry` is that of models.yaml; its `threshold` is the least score of a face."""
        self._net, self._threshold = net, float(entry["threshold"])

    def find(self, pictures_rgb: Iterable[np.ndarray]) -> Iterator[list[Face]]:
        """The faces of each HxWx3 uint8 RGB picture, the best first, picture by picture."""
        shapes: list[tuple[int, int]] = []

        def fed() -> Iterator[np.ndarray]:
            for picture in pictures_rgb:
                shapes.append(picture.shape[:2])
                yield _padded(picture)

        for index, outputs in enumerate(self._net.stream(fed())):
            yield decode(outputs, *shapes[index], self._threshold)


def _padded(picture_rgb: np.ndarray) -> np.ndarray:
    """The picture in BGR, with black to the right and below: sides that the strides divide."""
    high, wide = (-(-side // STRIDES[-1]) * STRIDES[-1] for side in picture_rgb.shape[:2])
    padded = np.zeros((high, wide, 3), np.uint8)
    padded[: picture_rgb.shape[0], : picture_rgb.shape[1]] = picture_rgb[..., ::-1]
    return padded


def decode(outputs: Outputs, height: int, width: int, threshold: float) -> list[Face]:
    """The faces with a score of `threshold` or more, the best first, in a picture of that size.

    `outputs` are of each kind (WIDTHS) one per stride: float32 of (cells, values). Raises
    ModelError for outputs of another network.
    """
    found: list[np.ndarray] = []
    wide = -(-width // STRIDES[-1]) * STRIDES[-1]
    high = -(-height // STRIDES[-1]) * STRIDES[-1]
    for index, stride in enumerate(STRIDES):
        parts = outputs[index :: len(STRIDES)]
        cells = (high // stride) * (wide // stride)
        if [part.shape for part in parts] != [(cells, values) for values in WIDTHS]:
            raise ModelError("these weights are not YuNet's: their outputs have other shapes")
        found.append(_rows(parts, stride, wide // stride, threshold))
    rows = np.concatenate(found)
    kept = cv2.dnn.NMSBoxes(_corner_and_size(rows), rows[:, 4].tolist(), threshold, _SAME)
    return [_face(rows[index]) for index in kept]


def _rows(parts: Sequence[np.ndarray], stride: int, columns: int, threshold: float) -> np.ndarray:
    """N x 15 float32 of the cells whose score suffices: box (x1, y1, x2, y2), score, landmarks."""
    of_class, of_object, boxes, landmarks = parts
    scores = np.sqrt(np.clip(of_class[:, 0], 0, 1) * np.clip(of_object[:, 0], 0, 1))
    cells = np.flatnonzero(scores >= threshold)
    corner = np.stack([cells % columns, cells // columns], axis=1).astype(np.float32)
    middle = (corner + boxes[cells, :2]) * stride
    half = np.exp(boxes[cells, 2:]) * (stride / 2)
    points = (landmarks[cells].reshape(-1, 5, 2) + corner[:, None]) * stride
    parts_of_row = (middle - half, middle + half, scores[cells, None], points.reshape(-1, 10))
    return np.concatenate(parts_of_row, axis=1)


def _corner_and_size(rows: np.ndarray) -> list[list[float]]:
    return np.hstack([rows[:, :2], rows[:, 2:4] - rows[:, :2]]).tolist()


def _face(row: np.ndarray) -> Face:
    x1, y1, x2, y2, score = row[:5].tolist()
    return Face((x1, y1, x2, y2), row[5:].reshape(5, 2).astype(np.float32), score)
