"""Segment Anything through ultralytics, prompted with the subject's box.

A crop at a time: its predictor encodes one picture, and the prompt goes with it. So it is no
`network.Network`: the process that asks has the card itself.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ferrari.networks.backends import torch_runtime
from ferrari.networks.backends.ultralytics_runtime import to_bgr, ultralytics


class SamSegmenter:
    """The mask that SAM gives for the subject's box; without a box, for the whole crop."""

    def __init__(
        self, path: str | os.PathLike, device: str, *, cache: str | os.PathLike = "cache"
    ) -> None:
        self.device = f"{device} ultralytics"
        self._options = {"device": device, "verbose": False}
        if device.startswith("cuda"):
            self._options["quantize"] = 16  # half precision
        self._model = ultralytics(cache).SAM(os.fspath(path))

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> list[np.ndarray]:
        """HxW float32 alpha (0 or 1) of each crop; all 0 where SAM gives no mask."""
        boxes = boxes_xyxy or [None] * len(crops_rgb)
        return [self._one(crop, box) for crop, box in zip(crops_rgb, boxes, strict=True)]

    def _one(self, crop_rgb: np.ndarray, box_xyxy: Sequence[float] | None) -> np.ndarray:
        height, width = crop_rgb.shape[:2]
        box = list(box_xyxy) if box_xyxy is not None else [0, 0, width, height]
        with torch_runtime.memory_errors():
            (result,) = self._model.predict(to_bgr(crop_rgb), bboxes=[box], **self._options)
        if result.masks is None or not len(result.masks.data):  # scored below its confidence
            return np.zeros((height, width), np.float32)
        return result.masks.data[0].float().cpu().numpy().astype(np.float32)
