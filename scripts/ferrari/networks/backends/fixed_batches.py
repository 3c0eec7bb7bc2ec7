"""Batches of one size, on a card whose memory may be short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ferrari.common.progress import LOGGER
from ferrari.networks.backends import device_memory
from ferrari.networks.network import NetworkRequest, Outputs
from ferrari.processes import remarks
from ferrari.processes.devices import DeviceMemoryError, halved


class FixedBatches:
    """A network that computes the same number of pictures in each call.

    What is missing is filled up, so that a picture's outputs do not depend on how many came with
    it. Where the device's memory does not suffice, half as many go on, which is a remark on all
    that follow; a picture that is alone may take all there is.
    """

    def __init__(self, request: NetworkRequest, batch: int, fixed: bool = False) -> None:
        """`fixed`: the network was exported for `batch`, and takes no other."""
        card = device_memory.of(request.device)
        self._path, self._fixed = request.path, fixed
        self._batch = batch if fixed else card.batch(batch)
        self._share = card.share
        self._remark = ""

    def run(self, images_rgb: Sequence[np.ndarray]) -> list[Outputs]:
        """As `network.Run`. Raises DeviceMemoryError if one picture is more than the GPU holds."""
        while True:
            try:
                found: list[Outputs] = []
                for at in range(0, len(images_rgb), self._batch):
                    found += self._part(images_rgb[at : at + self._batch])
                remarks.add(self._remark)
                return found
            except DeviceMemoryError as error:
                self._smaller(error)

    def _part(self, images_rgb: Sequence[np.ndarray]) -> list[Outputs]:
        filled = np.zeros((self._batch, *images_rgb[0].shape), np.uint8)
        filled[: len(images_rgb)] = images_rgb
        arrays = self._compute(filled)
        return [tuple(array[index] for array in arrays) for index in range(len(images_rgb))]

    def _smaller(self, error: DeviceMemoryError) -> None:
        last = self._batch == 1 or self._fixed
        if last and not self._share:
            raise error
        if last:
            self._share = 0
        else:
            self._remark = halved(self._batch)
            self._batch //= 2
        LOGGER.warning("%s: the GPU's memory ran out: %d at once", self._path, self._batch)
        self._restart()

    def _compute(self, pictures: np.ndarray) -> list[np.ndarray]:
        """The outputs, batch first, of NxHxWx3 uint8 RGB. Raises DeviceMemoryError."""
        raise NotImplementedError

    def _restart(self) -> None:
        """Give the device's memory back; `_share` bytes may be taken again, 0 for any."""
        raise NotImplementedError
