"""A YOLO segmentation network as segmenter: the soft mask of the instance that is the subject.

ultralytics thresholds its masks and cuts them off at the network's own box, which takes hair and
fingers with it. Here the mask's logits are enlarged to the crop's size and become a soft alpha, cut
off only well outside both the network's box and the box that stage 2 gave.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from ferrari.images.boxes import Box, clip, overlap
from ferrari.networks.backends.yolo_finder import YoloFinder
from ferrari.networks.backends.yolo_postprocessing import Instances, best_box
from ferrari.networks.weight_files import ModelError

#: Low: stage 2 has said that the subject is here.
_CONFIDENCE = 0.05
_IOU = 0.7  # ultralytics' default
_SAME = 0.3  # overlap (IoU) from which an instance is whom a box shows
_MARGIN = 0.1  # of a box's longer side: how far outside both boxes the subject may reach


class YoloSegmenter:
    """Alpha of the instance that fits the subject's box best."""

    def __init__(self, finder: YoloFinder, path: str | os.PathLike) -> None:
        """`path` is named in errors. Raises ModelError for a network without masks."""
        if not finder.has_masks:
            raise ModelError(
                f"{path} gives boxes and no masks; give mask.weights a segmentation network, such "
                "as yolo11n-seg, or choose another mask.segmenter"
            )
        self._finder = finder
        self.device = str(finder.about["device"])

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> Iterator[np.ndarray]:
        """HxW float32 alpha (0..1) of each crop; all 0 where the network sees no instance."""
        wanted = boxes_xyxy or [None] * len(crops_rgb)
        found = self._finder.find(crops_rgb, _CONFIDENCE, _IOU)
        for crop, box, instances in zip(crops_rgb, wanted, found, strict=True):
            yield _alpha(instances, box, crop.shape[:2])

    def apart(
        self,
        crops_rgb: Sequence[np.ndarray],
        boxes_xyxy: Sequence,
        others_xyxy: Sequence[Sequence],
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The subject's alpha and that of the people in `others_xyxy`, HxW float32 both, of each
        crop.
        """
        found = self._finder.find(crops_rgb, _CONFIDENCE, _IOU)
        for crop, box, others, instances in zip(
            crops_rgb, boxes_xyxy, others_xyxy, found, strict=True
        ):
            size_hw = crop.shape[:2]
            claims = np.zeros(size_hw, np.float32)
            for other in others:
                claims = np.maximum(claims, _claim(instances, box, other, size_hw))
            yield _alpha(instances, box, size_hw), claims


def _alpha(
    found: Instances, wanted_xyxy: Sequence[float] | None, size_hw: tuple[int, int]
) -> np.ndarray:
    """HxW float32 alpha of the instance whose box fits `wanted_xyxy` (None: the picture) best."""
    boxes = found.boxes_xyxy
    if not len(boxes):
        return np.zeros(size_hw, np.float32)
    height, width = size_hw
    wanted = wanted_xyxy if wanted_xyxy is not None else (0, 0, width, height)
    best = best_box(boxes, wanted)
    alpha = soft_mask(found.mask_logits(best), found.net_hw, size_hw)
    return alpha * _region((boxes[best], wanted), size_hw)


def _claim(
    found: Instances, wanted_xyxy: Box, other_xyxy: Box, size_hw: tuple[int, int]
) -> np.ndarray:
    """HxW float32 alpha of the instance that another's box shows; 0 if it is none, or the subject.

    The box may reach beyond the crop.
    """
    other = clip(other_xyxy, size_hw[1], size_hw[0])
    claim = np.zeros(size_hw, np.float32)
    if not len(found.boxes_xyxy):
        return claim
    best = best_box(found.boxes_xyxy, other)
    x1, y1, x2, y2 = found.boxes_xyxy[best].tolist()
    is_subject = best == best_box(found.boxes_xyxy, wanted_xyxy)
    if is_subject or overlap((x1, y1, x2, y2), other) < _SAME:
        return claim
    return _alpha(found, other, size_hw)


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
