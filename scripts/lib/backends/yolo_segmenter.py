"""A YOLO segmentation network as segmenter: the soft mask of the instance that is the subject.

ultralytics thresholds its masks and cuts them off at the network's own box, which takes hair and
fingers with it. Here the mask's logits are enlarged to the crop's size and become a soft alpha, cut
off only well outside both the network's box and the box that stage 2 gave.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

import cv2
import numpy as np

from scripts.lib.backends.ultralytics_net import (
    best_box,
    class_index,
    gpu_memory_errors,
    image_size_of,
    load_yolo,
    to_bgr,
)

_MARGIN = 0.1  # of a box's longer side: how far outside both boxes the subject may reach


class YoloSegmenter:
    """Alpha of the instance that fits the subject's box best."""

    def __init__(
        self,
        path: str | os.PathLike,
        device: str,
        *,
        class_name: str = "person",
        confidence: float = 0.05,
        image_size: int = 640,
        cache: str | os.PathLike = "cache",
    ) -> None:
        self.device = f"{device} ultralytics"
        self._model = load_yolo(path, "segment", cache)
        self._class = class_index(self._model.names, class_name, path)
        self._options = {
            "device": device,
            "conf": confidence,  # low: stage 2 has said that the subject is here
            "imgsz": image_size_of(path, image_size),
            "verbose": False,
        }

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> list[np.ndarray]:
        """HxW float32 alpha (0..1) of each crop; all 0 where the network sees no instance."""
        boxes = boxes_xyxy or [None] * len(crops_rgb)
        return [self._one(crop, box) for crop, box in zip(crops_rgb, boxes, strict=True)]

    def _one(self, crop_rgb: np.ndarray, box_xyxy: Sequence[float] | None) -> np.ndarray:
        height, width = crop_rgb.shape[:2]
        with gpu_memory_errors():
            # One at a time: crops differ in size, and a batch would pad them all to the largest.
            (result,) = self._model.predict(
                to_bgr(crop_rgb),
                predictor=_predictor(),
                classes=[self._class],
                **self._options,
            )
        if not len(result.boxes):
            return np.zeros((height, width), np.float32)
        wanted = box_xyxy if box_xyxy is not None else (0, 0, width, height)
        found = result.boxes.xyxy.float().cpu().numpy()
        best = best_box(found, wanted)
        logits, net_hw = result.mask_logits(best)
        alpha = soft_mask(logits, net_hw, (height, width))
        return alpha * _region((found[best], wanted), (height, width))


@functools.cache
def _predictor() -> type:
    """ultralytics' segmentation predictor, leaving the masks' logits on each result."""
    from ultralytics.engine.results import Results
    from ultralytics.models.yolo.segment import SegmentationPredictor
    from ultralytics.utils import ops

    class LogitsPredictor(SegmentationPredictor):
        def construct_result(self, pred, img, orig_img, img_path, proto):
            net_hw = tuple(img.shape[2:])
            pred[:, :4] = ops.scale_boxes(net_hw, pred[:, :4], orig_img.shape)
            result = Results(orig_img, path=img_path, names=self.model.names, boxes=pred[:, :6])
            weights = pred[:, 6:].float()

            def mask_logits(index: int) -> tuple[np.ndarray, tuple[int, int]]:
                logits = (weights[index] @ proto.float().flatten(1)).view(proto.shape[1:])
                return logits.cpu().numpy(), net_hw

            result.mask_logits = mask_logits
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
