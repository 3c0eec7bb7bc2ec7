"""Networks through ultralytics, kept from reaching out: no network, no installs, no telemetry.

ultralytics reads its environment when it is imported, so it must be imported by nobody else.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np

from scripts.lib.boxes import Detection
from scripts.lib.devices import DeviceMemoryError


def ultralytics(cache: str | os.PathLike = "cache") -> ModuleType:
    """The package, imported with its settings in the project's cache and its network turned off."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ.setdefault("YOLO_CONFIG_DIR", str(Path(cache).resolve() / "ultralytics"))
    import ultralytics as package

    if package.settings["sync"]:
        package.settings.update(sync=False)
    return package


def load_yolo(path: str | os.PathLike, task: str | None = None, cache: str | os.PathLike = "cache"):
    """`ultralytics.YOLO` of any weights it reads; `path` must have been checked by `models` first.

    `task` ('detect', 'segment') is needed for exported weights that do not say it themselves.
    """
    return ultralytics(cache).YOLO(os.fspath(path), task=task or _metadata(path).get("task"))


def image_size(path: str | os.PathLike, otherwise: int = 640) -> list[int] | int:
    """The input size that exported weights were made for: ultralytics does not scale to it."""
    return _metadata(path).get("imgsz", otherwise)


def _metadata(path: str | os.PathLike) -> dict:
    file = Path(path) / "metadata.yaml"
    if not file.is_file():
        return {}
    import yaml

    return yaml.safe_load(file.read_text(encoding="utf-8"))


@contextlib.contextmanager
def gpu_memory_errors() -> Iterator[None]:
    """Turn torch's out-of-memory error into DeviceMemoryError."""
    try:
        yield
    except RuntimeError as error:
        torch = sys.modules.get("torch")
        if torch is None or not isinstance(error, torch.OutOfMemoryError):
            raise
        torch.cuda.empty_cache()
        raise DeviceMemoryError(str(error)) from error


def to_bgr(image_rgb: np.ndarray) -> np.ndarray:
    """ultralytics takes arrays in OpenCV's order."""
    return cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)


class YoloSegmenter:
    """A YOLO segmentation network: the mask of the instance that fits the subject's box best."""

    def __init__(
        self,
        path: str | os.PathLike,
        device: str,
        *,
        class_name: str = "person",
        confidence: float = 0.25,
        cache: str | os.PathLike = "cache",
    ) -> None:
        self.device = f"{device} ultralytics"
        self._model = load_yolo(path, "segment", cache)
        self._class = class_index(self._model.names, class_name, path)
        self._options = {
            "device": device,
            "conf": confidence,
            "imgsz": image_size(path),
            "retina_masks": True,
            "verbose": False,
        }

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> list[np.ndarray]:
        """HxW float32 alpha (0 or 1) of each crop; all 0 where the network sees no instance."""
        boxes = boxes_xyxy or [None] * len(crops_rgb)
        return [self._one(crop, box) for crop, box in zip(crops_rgb, boxes, strict=True)]

    def _one(self, crop_rgb: np.ndarray, box_xyxy: Sequence[float] | None) -> np.ndarray:
        height, width = crop_rgb.shape[:2]
        with gpu_memory_errors():
            # One at a time: crops differ in size, and a batch would pad them all to the largest.
            (result,) = self._model.predict(
                to_bgr(crop_rgb), classes=[self._class], **self._options
            )
        if result.masks is None:
            return np.zeros((height, width), np.float32)
        box = box_xyxy if box_xyxy is not None else (0, 0, width, height)
        best = best_box(result.boxes.xyxy.cpu().numpy(), box)
        mask = result.masks.data[best].float().cpu().numpy()
        if mask.shape != (height, width):
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
        return mask.astype(np.float32)


def class_index(names: Mapping[int, str], wanted: str, path: str | os.PathLike) -> int:
    """The network's number for a class name; ValueError lists the names there are."""
    for index, name in names.items():
        if name == wanted:
            return index
    known = ", ".join(list(names.values())[:20])
    raise ValueError(f"{path} knows no class {wanted!r}; it knows {known}; set detect.class to one")


def best_box(boxes_xyxy: np.ndarray, wanted_xyxy: Sequence[float]) -> int:
    """Index of the Nx4 box with the largest intersection over union with `wanted_xyxy`."""
    wanted = np.asarray(wanted_xyxy, np.float64)
    corner = np.maximum(boxes_xyxy[:, :2], wanted[:2])
    other = np.minimum(boxes_xyxy[:, 2:], wanted[2:])
    shared = np.prod(np.clip(other - corner, 0, None), axis=1)
    areas = np.prod(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], axis=1)
    union = areas + np.prod(wanted[2:] - wanted[:2]) - shared
    return int(np.argmax(shared / np.maximum(union, 1e-9)))


class YoloDetector:
    """Boxes of one class from any detection or segmentation network that ultralytics loads."""

    def __init__(
        self,
        path: str | os.PathLike,
        device: str,
        *,
        class_name: str,
        confidence: float,
        iou: float,
        image_size: int,
        threads: int,
        cache: str | os.PathLike = "cache",
    ) -> None:
        self.device = f"{device} ultralytics"
        self._model = load_yolo(path, cache=cache)
        self._class = class_index(self._model.names, class_name, path)
        exported = _metadata(path)
        self._at_once = exported.get("batch", 1) if exported else None
        self._class_name = class_name
        self._options = {
            "device": device,
            "conf": confidence,
            "iou": iou,
            "imgsz": exported.get("imgsz", image_size),
            "half": device.startswith("cuda"),
            "verbose": False,
        }
        if device == "cpu":
            import torch

            torch.set_num_threads(max(1, threads))

    def detect(self, frames_rgb: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Detections of each HxWx3 uint8 RGB frame; exported networks take their own batch."""
        step = self._at_once or len(frames_rgb)
        found = []
        for start in range(0, len(frames_rgb), step):
            batch = [to_bgr(frame) for frame in frames_rgb[start : start + step]]
            with gpu_memory_errors():
                results = self._model.predict(batch, classes=[self._class], **self._options)
            found.extend(self._detections(result.boxes) for result in results)
        return found

    def _detections(self, boxes) -> list[Detection]:
        corners = boxes.xyxy.float().cpu().numpy()
        confidences = boxes.conf.float().cpu().numpy()
        return [
            Detection(tuple(float(v) for v in box), float(confidence), self._class_name)
            for box, confidence in zip(corners, confidences, strict=True)
        ]
