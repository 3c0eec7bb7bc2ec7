"""What is done around a YOLO network, whatever runs it: pictures in, instances of one class out.

A YOLO network's `about["yolo"]` says how to feed and read it: `names` (class names by number),
`stride`, `size` ((height, width) that it was exported for, None if it takes any), `end2end` (it
chooses its boxes itself), `task` (`detect`, or `segment`: it gives masks too), and, of a network
that was asked for one class alone, `only`, that class's number: its outputs know no other.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ferrari.common.progress import LOGGER
from ferrari.images.boxes import Detection
from ferrari.networks.backends.yolo_postprocessing import (
    MOST,
    Instances,
    Letterbox,
    class_index,
    rows_of_class,
    suppress,
    unfit_task,
)
from ferrari.networks.network import Network, NetworkRequest, Opener, Outputs
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import ModelError


def open_yolo(
    path: str | os.PathLike, place: Place, sha256: str, opener: Opener, class_name: str, **more: Any
) -> Network:
    """The network of YOLO weights at `place`, for one class; `more` as NetworkRequest's.

    Exports that OpenVINO cannot be given run on the CPU through ultralytics. Raises ModelError for
    a network that does not say which classes it knows, or is for something else than objects.
    """
    from ferrari.networks.backends import openvino_yolo

    asked = partial(NetworkRequest.of, path, class_name=class_name, sha256=sha256, **more)
    try:
        net = opener(asked(runtime=place.runtime, device=place.device))
    except openvino_yolo.UnknownExportError as error:
        LOGGER.info("%s: ultralytics runs it", error)
        net = opener(asked(runtime="ultralytics", device=place.device))
    if "yolo" not in net.about:
        raise ModelError(f"{path} does not say which classes it knows: no export of ultralytics")
    if fault := unfit_task(net.about["yolo"]["task"]):
        raise ModelError(f"{path} {fault}: give one for `detect` or `segment`")
    return net


class YoloFinder:
    """Instances of one class in pictures, by a detection or segmentation network.

    Attributes: `about`, the network's; `has_masks`, True for a segmentation network.
    """

    def __init__(
        self, net: Network, path: str | os.PathLike, class_name: str, image_size: int
    ) -> None:
        """`image_size` is for networks that take any; `path` is named in errors. Raises ModelError
        for a class that the network does not know.
        """
        self._net, self.about = net, net.about
        how: Mapping = net.about["yolo"]
        self._class = class_index(how["names"], class_name, path)
        if "only" in how:
            if how["only"] != self._class:
                raise ValueError(f"the network gives class {how['only']}, asked is {class_name}")
            self._class = 0
        self._stride = int(how["stride"])
        side = math.ceil(image_size / self._stride) * self._stride
        self._any_size = how["size"] is None
        self._size: tuple[int, int] = (side, side) if self._any_size else tuple(how["size"])
        self._chosen_in_graph = bool(how["end2end"])
        self.has_masks = how["task"] == "segment"

    def find(
        self, images_rgb: Iterable[np.ndarray], confidence: float, iou: float
    ) -> Iterator[Instances]:
        """Those in each HxWx3 uint8 RGB picture, one by one, each picture by itself.

        `confidence` and `iou` are what ultralytics calls `conf` and `iou`.
        """
        letterboxes: list[Letterbox] = []

        def inputs() -> Iterator[np.ndarray]:
            for image in images_rgb:
                letterboxes.append(self.letterbox(image.shape[:2]))
                yield letterboxes[-1].fill(image)

        for index, outputs in enumerate(self._net.stream(inputs())):
            yield self.read(outputs, letterboxes[index], confidence, iou)

    def letterbox(self, image_hw: tuple[int, int]) -> Letterbox:
        """How a picture of that size lies in the network's input."""
        return Letterbox.of(image_hw, self._size, self._stride if self._any_size else None)

    def read(
        self, outputs: Outputs, letterbox: Letterbox, confidence: float, iou: float
    ) -> Instances:
        """The instances in a network's outputs for a picture that was fed with `letterbox`."""
        output = outputs[0].astype(np.float32, copy=False)
        mask_weights = len(outputs[1]) if self.has_masks else 0
        if self._chosen_in_graph:  # N x (x1, y1, x2, y2, confidence, class, weights)
            chosen = (output[:, 4] > confidence) & (output[:, 5] == self._class)
            kept = np.delete(output[chosen][:MOST], 5, axis=1)
        else:
            rows = rows_of_class(output, self._class, confidence, mask_weights)
            kept = rows[suppress(rows, iou)]
        masks = self.has_masks and len(kept)
        return Instances(
            letterbox.to_image(kept[:, :4]),
            kept[:, 4],
            kept[:, :4],
            letterbox.net_hw,
            kept[:, 5:],
            outputs[1].astype(np.float32) if masks else None,  # a copy
        )


class YoloDetector:
    """Boxes of one class."""

    def __init__(self, finder: YoloFinder, class_name: str, confidence: float, iou: float) -> None:
        self._finder, self._class_name = finder, class_name
        self._confidence, self._iou = confidence, iou

    def detect(self, frames_rgb: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Detections of each HxWx3 uint8 RGB frame."""
        found = self._finder.find(frames_rgb, self._confidence, self._iou)
        return [self._detections(instances) for instances in found]

    def _detections(self, found: Instances) -> list[Detection]:
        return [
            Detection(tuple(box), confidence, self._class_name)
            for index, (box, confidence) in enumerate(
                zip(found.boxes_xyxy.tolist(), found.confidences.tolist(), strict=True)
            )
            if found.has_mask(index)
        ]
