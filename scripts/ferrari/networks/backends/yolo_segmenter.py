"""A YOLO segmentation network as segmenter: the soft mask of the instance that is the subject.

ultralytics thresholds its masks and cuts them off at the network's own box, which takes hair and
fingers with it. Here the mask's logits are enlarged to the crop's size and become a soft alpha, cut
off only well outside both the network's box and the box that stage 2 gave.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from ferrari.networks.backends.openvino_yolo import OpenVinoYolo
from ferrari.networks.backends.ultralytics_runtime import (
    gpu_memory_errors,
    image_size_of,
    load_yolo,
    to_bgr,
)
from ferrari.networks.backends.yolo_postprocessing import best_box, class_index
from ferrari.networks.weight_files import ModelError

#: Low: stage 2 has said that the subject is here.
_CONFIDENCE = 0.05
_IOU = 0.7  # ultralytics' default
_MARGIN = 0.1  # of a box's longer side: how far outside both boxes the subject may reach


class OpenVinoSegmenter:
    """Alpha of the instance that fits the subject's box best, of an export on the CPU."""

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        class_name: str = "person",
        image_size: int = 640,
        threads: int = 0,
    ) -> None:
        self._yolo = OpenVinoYolo(path, class_name, image_size, threads)
        if not self._yolo.has_masks:
            raise ModelError(
                f"{path} gives boxes and no masks; give mask.weights a segmentation network, such "
                "as yolo11n-seg, or choose another mask.segmenter"
            )
        self.device = self._yolo.device

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> Iterator[np.ndarray]:
        """HxW float32 alpha (0..1) of each crop; all 0 where the network sees no instance."""
        wanted = boxes_xyxy or [None] * len(crops_rgb)
        found = self._yolo.find(crops_rgb, _CONFIDENCE, _IOU)
        for crop, box, instances in zip(crops_rgb, wanted, found, strict=True):
            size_hw, boxes = crop.shape[:2], instances.boxes_xyxy
            yield _alpha(boxes, instances.mask_logits, instances.net_hw, box, size_hw)


class YoloSegmenter:
    """The same of any weights that ultralytics runs."""

    def __init__(
        self,
        path: str | os.PathLike,
        device: str,
        *,
        class_name: str = "person",
        image_size: int = 640,
        cache: str | os.PathLike = "cache",
    ) -> None:
        self.device = f"{device} ultralytics"
        self._model = load_yolo(path, "segment", cache)
        self._class = class_index(self._model.names, class_name, path)
        self._options = {
            "device": device,
            "conf": _CONFIDENCE,
            "iou": _IOU,
            "imgsz": image_size_of(path, image_size),
            "verbose": False,
        }

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> list[np.ndarray]:
        """As OpenVinoSegmenter's."""
        boxes = boxes_xyxy or [None] * len(crops_rgb)
        return [self._one(crop, box) for crop, box in zip(crops_rgb, boxes, strict=True)]

    def _one(self, crop_rgb: np.ndarray, box_xyxy: Sequence[float] | None) -> np.ndarray:
        with gpu_memory_errors():
            # One at a time: crops differ in size, and a batch would pad them all to the largest.
            (result,) = self._model.predict(
                to_bgr(crop_rgb),
                predictor=_predictor(),
                classes=[self._class],
                **self._options,
            )
        found = result.boxes.xyxy.float().cpu().numpy()
        return _alpha(found, result.mask_logits, result.net_hw, box_xyxy, crop_rgb.shape[:2])


def _alpha(
    boxes_xyxy: np.ndarray,
    mask_logits: Callable[[int], np.ndarray],
    net_hw: tuple[int, int],
    wanted_xyxy: Sequence[float] | None,
    size_hw: tuple[int, int],
) -> np.ndarray:
    """HxW float32 alpha of the instance whose box fits `wanted_xyxy` (None: the picture) best."""
    if not len(boxes_xyxy):
        return np.zeros(size_hw, np.float32)
    height, width = size_hw
    wanted = wanted_xyxy if wanted_xyxy is not None else (0, 0, width, height)
    best = best_box(boxes_xyxy, wanted)
    alpha = soft_mask(mask_logits(best), net_hw, size_hw)
    return alpha * _region((boxes_xyxy[best], wanted), size_hw)


@functools.cache
def _predictor() -> type:
    """ultralytics' segmentation predictor, leaving the masks' logits on each result."""
    from ultralytics.engine.results import Results
    from ultralytics.models.yolo.segment import SegmentationPredictor
    from ultralytics.utils import ops

    class LogitsPredictor(SegmentationPredictor):  # type: ignore[misc]  # not followed: see pyproject
        def construct_result(
            self, pred: Any, img: Any, orig_img: np.ndarray, img_path: str, proto: Any
        ) -> Any:
            net_hw = tuple(img.shape[2:])
            pred[:, :4] = ops.scale_boxes(net_hw, pred[:, :4], orig_img.shape)
            result = Results(orig_img, path=img_path, names=self.model.names, boxes=pred[:, :6])
            weights = pred[:, 6:].float()

            def mask_logits(index: int) -> np.ndarray:
                logits = (weights[index] @ proto.float().flatten(1)).view(proto.shape[1:])
                return logits.cpu().numpy()

            result.mask_logits, result.net_hw = mask_logits, net_hw
            return result

    return LogitsPredictor


def soft_mask(logits: np.ndarray, net_hw: tuple[int, int], image_hw: tuple[int, int]) -> np.ndarray:
    """HxW float32 alpha of an image from mask logits (h x w) over the net's letterboxed input.

    The image lies centred in the input of `net_hw` pixels, scaled by one factor (ultralytics'
    LetterBox); logits are interpolated linearly and put through the logistic function.
    """
    gain = min(net_hw[0] / image_hw[0], net_hw[1] / image_hw[1])
    matrix = np.zeros((2, 3))
    for row, axis in ((0, 1), (1, 0)):  # x, then y
        inner = round(image_hw[axis] * gain)
        start = round((net_hw[axis] - inner) / 2 - 0.1)
        scale = logits.shape[axis] / net_hw[axis]
        step = inner / image_hw[axis] * scale
        matrix[row, row] = step
        matrix[row, 2] = start * scale + step / 2 - 0.5  # pixel centres on pixel centres
    enlarged = cv2.warpAffine(
        logits.astype(np.float32),
        matrix,
        (image_hw[1], image_hw[0]),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return 1 / (1 + np.exp(-np.clip(enlarged, -30, 30)))


def _region(boxes_xyxy: Sequence[Sequence[float]], size_hw: tuple[int, int]) -> np.ndarray:
    """HxW float32: 1 inside any of the boxes, each grown by a margin, else 0."""
    region = np.zeros(size_hw, np.float32)
    for x1, y1, x2, y2 in boxes_xyxy:
        margin = _MARGIN * max(x2 - x1, y2 - y1)
        top, left = max(0, int(y1 - margin)), max(0, int(x1 - margin))
        region[top : int(np.ceil(y2 + margin)), left : int(np.ceil(x2 + margin))] = 1
    return region
