"""Networks whose numbers tell whose a face is, driven by their entry in models.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ferrari.images import face_alignment
from ferrari.images.faces import Face
from ferrari.networks.network import Network, NetworkRequest
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import ModelError


def request(path: Path, entry: Mapping, place: Place, sha256: str, **means: Any) -> NetworkRequest:
    """What loads the network at `place`; `means` are NetworkRequest's threads, cache and batch."""
    return NetworkRequest.of_entry(path, entry, place, sha256, exact=True, **means)


class FaceNet:
    """Embeds faces that are turned upright by their five landmarks (`input.alignment`).

    The clearer a face is, the longer is what the network gives before it is brought to unit length
    (`clear`: from the first length on it may tell something, from the second on it is clear).
    """

    def __init__(self, net: Network, entry: Mapping) -> None:
        self._net, self._side = net, int(entry["input"]["size"][0])
        self._bgr = entry["input"].get("channels") == "bgr"
        self.dimensions = int(entry["dimensions"])
        self._clear = entry.get("clear")

    def embed(self, faces: Iterable[tuple[np.ndarray, Face]]) -> Iterator[tuple[np.ndarray, float]]:
        """The embedding, float32 of unit length, of each face in its HxWx3 uint8 RGB picture, and
        how clear the face is, 0 to 1; 1 where the network does not tell.

        Raises ModelError for a network that gives other than `dimensions` numbers, or none at all.
        """
        upright = (
            self._ordered(face_alignment.aligned(picture, face.landmarks_xy, self._side))
            for picture, face in faces
        )
        for (output,) in self._net.stream(upright):
            embedding = output.astype(np.float32).reshape(-1)
            length = float(np.linalg.norm(embedding))
            if embedding.size != self.dimensions or not 0 < length < np.inf:
                raise ModelError(
                    f"the network for faces gives {embedding.size} numbers of length {length}, "
                    f"expected {self.dimensions}: these are other weights than models.yaml says"
                )
            yield embedding / length, self._clarity(length)

    def _clarity(self, length: float) -> float:
        if self._clear is None:
            return 1.0
        nothing, all_of_it = self._clear
        return min(1.0, max(0.0, (length - nothing) / (all_of_it - nothing)))

    def _ordered(self, face_rgb: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(face_rgb[..., ::-1]) if self._bgr else face_rgb
