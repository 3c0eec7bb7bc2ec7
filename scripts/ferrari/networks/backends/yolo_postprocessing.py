"""What is done around a YOLO network, in the way that ultralytics does it, without its imports.

The letterbox, the choice of boxes by class and confidence, and non-maximum suppression. Boxes are
as ultralytics 8.4 gives them (tests/unit/networks/test_yolo_exports.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from ferrari.common.counts import first_of
from ferrari.networks.weight_files import ModelError

_GREY = (114, 114, 114)
MOST = 300  # detections a picture, as ultralytics' max_det
_NAMED = 20  # classes, in a message


@dataclass(frozen=True)
class Letterbox:
    """A picture of `image_hw` scaled by one factor, centred in an input of `net_hw`, grey beside.

    `inner_hw` is its size there; `top` and `left` are the grey before it.
    """

    image_hw: tuple[int, int]
    net_hw: tuple[int, int]
    inner_hw: tuple[int, int]
    top: int
    left: int

    @classmethod
    def of(cls, image_hw: tuple[int, int], size: tuple[int, int], stride: int | None) -> Letterbox:
        """As ultralytics' LetterBox for an input of `size`: with `stride`, no more grey than takes
        each side to a multiple of it, which suits networks that take any size.
        """
        gain = min(size[0] / image_hw[0], size[1] / image_hw[1])
        high, wide = (max(round(side * gain), 1) for side in image_hw)
        below, beside = size[0] - high, size[1] - wide
        if stride:
            below, beside = below % stride, beside % stride
        top, left = (round(side / 2 - 0.1) for side in (below, beside))
        return cls(image_hw, (high + below, wide + beside), (high, wide), top, left)

    def fill(self, image_rgb: np.ndarray) -> np.ndarray:
        """HxWx3 uint8: the whole input."""
        (high, wide), (net_high, net_wide) = self.inner_hw, self.net_hw
        if image_rgb.shape[:2] != self.inner_hw:
            image_rgb = cv2.resize(image_rgb, (wide, high), interpolation=cv2.INTER_LINEAR)
        below, right = net_high - high - self.top, net_wide - wide - self.left
        return cv2.copyMakeBorder(
            image_rgb, self.top, below, self.left, right, cv2.BORDER_CONSTANT, value=_GREY
        )

    def to_image(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Nx4 boxes in the input, in the picture's pixels and within it."""
        boxes = boxes_xyxy.copy()
        for axis, start in ((0, self.left), (1, self.top)):
            side = self.image_hw[1 - axis]
            gain = self.inner_hw[1 - axis] / side
            boxes[:, axis::2] = np.clip((boxes[:, axis::2] - start) / gain, 0, side)
        return boxes


@dataclass(frozen=True)
class Instances:
    """What a network sees of one class in one picture, most confident first.

    `boxes_xyxy` Nx4 float32 in the picture's pixels, `confidences` N, `net_xyxy` the boxes in the
    input of `net_hw`. Of segmentation networks: `weights` NxC and `protos` CxHxW, whose products
    are the masks' logits over the input; `protos` is None without them, and where N is 0.
    """

    boxes_xyxy: np.ndarray
    confidences: np.ndarray
    net_xyxy: np.ndarray
    net_hw: tuple[int, int]
    weights: np.ndarray
    protos: np.ndarray | None = None

    def mask_logits(self, index: int) -> np.ndarray:
        """HxW float32 logits of one instance's mask, of a segmentation network."""
        if self.protos is None:
            raise ValueError("a network that gives no masks was asked for one")
        shape = self.protos.shape
        return (self.weights[index] @ self.protos.reshape(shape[0], -1)).reshape(shape[1:])

    def has_mask(self, index: int) -> bool:
        """False if the mask has no pixel in its box: then ultralytics counts no detection."""
        if self.protos is None:
            return True
        high, wide = self.net_hw
        logits = cv2.resize(self.mask_logits(index), (wide, high), interpolation=cv2.INTER_LINEAR)
        left, top, right, bottom = (max(0, int(np.ceil(at))) for at in self.net_xyxy[index])
        return bool((logits[top:bottom, left:right] > 0).any())


def rows_of_class(
    output: np.ndarray, wanted: int, confidence: float, mask_weights: int
) -> np.ndarray:
    """Nx(5 + C): x1, y1, x2, y2, confidence, weights of the boxes of class `wanted`.

    `output` (4 + classes + C) x N holds centres and sizes, a score a class, C `mask_weights`. A box
    is of the class that scores highest, the first of equals, and must be above `confidence`.
    """
    classes = len(output) - 4 - mask_weights
    found = output[:, np.flatnonzero(output[4 + wanted] > confidence)].T
    found = found[found[:, 4 : 4 + classes].argmax(1) == wanted]
    half = found[:, 2:4] / 2
    corners = [found[:, :2] - half, found[:, :2] + half]
    return np.hstack([*corners, found[:, 4 + wanted, None], found[:, 4 + classes :]])


def suppress(rows: np.ndarray, iou: float) -> list[int]:
    """Indices of the rows (x1, y1, x2, y2, confidence, ...) that greedy non-maximum suppression
    keeps, most confident first: those that overlap no better one by more than `iou`.
    """
    order = np.argsort(-rows[:, 4], kind="stable")
    x1, y1, x2, y2 = (rows[:, column] for column in range(4))
    areas = (x2 - x1) * (y2 - y1)
    kept: list[int] = []
    while len(order) and len(kept) < MOST:
        best, order = order[0], order[1:]
        kept.append(int(best))
        wide = np.minimum(x2[best], x2[order]) - np.maximum(x1[best], x1[order])
        high = np.minimum(y2[best], y2[order]) - np.maximum(y1[best], y1[order])
        shared = np.maximum(wide, 0) * np.maximum(high, 0)
        union = np.maximum(areas[best] + areas[order] - shared, np.float32(1e-9))
        # Compared in double precision, as torchvision does.
        order = order[(shared / union).astype(np.float64) <= iou]
    return kept


def best_box(boxes_xyxy: np.ndarray, wanted_xyxy: Sequence[float]) -> int:
    """Index of the Nx4 box with the largest intersection over union with `wanted_xyxy`."""
    wanted = np.asarray(wanted_xyxy, np.float64)
    corner = np.maximum(boxes_xyxy[:, :2], wanted[:2])
    other = np.minimum(boxes_xyxy[:, 2:], wanted[2:])
    shared = np.prod(np.clip(other - corner, 0, None), axis=1)
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    union = areas + np.prod(wanted[2:] - wanted[:2]) - shared
    return int(np.argmax(shared / np.maximum(union, 1e-9)))


def unfit_task(task: str, masks: bool = False) -> str:
    """Why a YOLO network that was trained for a task is no use here, as a clause behind its name;
    "" where it is. `masks`: they are wanted too.
    """
    if task not in ("detect", "segment"):
        return f"is a YOLO network for another task ({task})"
    return "gives boxes and no masks" if masks and task == "detect" else ""


def class_index(names: Mapping[int, str], wanted: str, path: str | os.PathLike) -> int:
    """The network's number for a class name; ModelError lists the names there are."""
    for index, name in names.items():
        if name == wanted:
            return index
    if all(name == f"class{index}" for index, name in names.items()):
        raise ModelError(
            f"{path} names no classes, so it is hardly a network that finds {wanted!r}: give an "
            "export of YOLO, which carries its names"
        )
    known = first_of(list(names.values()), _NAMED)
    raise ModelError(f"{path} knows no class {wanted!r}; it knows {known}; set detect.class to one")
