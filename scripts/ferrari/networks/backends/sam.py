"""Segment Anything through ultralytics, prompted with the subject's box.

A picture and its box go to the network as one item, and one at a time: its predictor encodes one
picture, and the prompt goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ferrari.images.boxes import clip
from ferrari.networks import network
from ferrari.networks.backends import torch_runtime
from ferrari.networks.backends.ultralytics_runtime import to_bgr, ultralytics
from ferrari.networks.network import Network, NetworkRequest, Outputs
from ferrari.processes.devices import ran_on


def prompted(crop_rgb: np.ndarray, box_xyxy: Sequence[float] | None) -> np.ndarray:
    """An item of the network: `crop` (HxWx3 uint8 RGB) and `box` (x1, y1, x2, y2 in it; all of the
    crop if there is none), in an array of shape ().
    """
    height, width = crop_rgb.shape[:2]
    item = np.zeros((), [("box", "f8", 4), ("crop", "u1", crop_rgb.shape)])
    item["box"] = (0, 0, width, height) if box_xyxy is None else box_xyxy
    item["crop"] = crop_rgb
    return item


def load(request: NetworkRequest) -> Network:
    """The SAM asked for; its items are `prompted`."""
    return Sam(request)


class Sam:
    """SAM in half precision on CUDA: of each item the HxW uint8 mask (0 or 1), all 0 where it gives
    none. `about` as `network.Network.about`.
    """

    def __init__(self, request: NetworkRequest) -> None:
        self._options: dict = {"device": request.device, "verbose": False}
        package = ultralytics(request.cache)
        if request.device != "cpu":
            self._options["quantize"] = 16  # half precision
            torch_runtime.start(request.device, request.threads)
            torch_runtime.take(request.device, self, 0)
        self._model = package.SAM(request.path)
        where = ran_on(request.device, "ultralytics")
        self.about = network.about(request, where, batch=1)

    def stream(self, items: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """As Network's, of `prompted` items."""
        return ((self._mask(item["crop"], item["box"].tolist()),) for item in items)

    def _mask(self, crop_rgb: np.ndarray, box_xyxy: Sequence[float]) -> np.ndarray:
        with torch_runtime.memory_errors():
            (result,) = self._model.predict(to_bgr(crop_rgb), bboxes=[box_xyxy], **self._options)
        if result.masks is None or not len(result.masks.data):  # scored below its confidence
            return np.zeros(crop_rgb.shape[:2], np.uint8)
        return result.masks.data[0].float().cpu().numpy().astype(np.uint8)


class SamSegmenter:
    """The mask that SAM gives for the subject's box; without a box, for the whole crop."""

    def __init__(self, net: Network) -> None:
        self._net = net
        self.device = str(net.about["device"])

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> Iterator[np.ndarray]:
        """HxW float32 alpha (0 or 1) of each crop."""
        boxes = boxes_xyxy or [None] * len(crops_rgb)
        items = (prompted(crop, box) for crop, box in zip(crops_rgb, boxes, strict=True))
        return (mask.astype(np.float32) for (mask,) in self._net.stream(items))

    def apart(
        self,
        crops_rgb: Sequence[np.ndarray],
        boxes_xyxy: Sequence,
        others_xyxy: Sequence[Sequence],
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The masks for the subject's box and for all others' boxes, HxW float32 (0 or 1) both, of
        each crop. Boxes are cut off at the crop's border.
        """
        for crop, box, others in zip(crops_rgb, boxes_xyxy, others_xyxy, strict=True):
            height, width = crop.shape[:2]
            asked = [box, *(clip(other, width, height) for other in others)]
            first, *rest = self.alpha([crop] * len(asked), asked)
            yield first, np.max([np.zeros_like(first), *rest], axis=0)
