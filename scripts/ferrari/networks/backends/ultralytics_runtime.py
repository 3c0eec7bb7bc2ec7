"""Networks through ultralytics, kept from reaching out: no network, no installs, no telemetry.

ultralytics reads its environment when it is imported, so it must be imported by nobody else.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ferrari.images.boxes import Detection
from ferrari.networks.backends import onnx_runtime
from ferrari.networks.backends.yolo_postprocessing import class_index
from ferrari.processes.devices import DeviceMemoryError, asked_apart


def ultralytics(cache: str | os.PathLike = "cache") -> ModuleType:
    """The package, imported with its settings in the project's cache and its network turned off."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_VERBOSE"] = "false"
    os.environ.setdefault("YOLO_CONFIG_DIR", str(Path(cache).resolve() / "ultralytics"))
    opens = Image.open
    import ultralytics as package

    Image.open = opens  # its own raises ModuleNotFoundError for whatever is no image
    if package.settings["sync"]:
        package.settings.update(sync=False)
    return package


def cuda_problem(path: str | os.PathLike, device: str) -> str:
    """Why ultralytics cannot run the weights at `path` on `device` ('cuda:N') and what helps, or
    "". The device is tried once a process and runtime, in a child of it.
    """
    path, index = Path(path), int(device.partition(":")[2] or 0)
    if path.name.endswith("_openvino_model") or (path.is_dir() and any(path.glob("*.xml"))):
        return f"{path.name} is an OpenVINO export, and those run on the CPU; give a .pt file"
    problem = torch_problem(index)
    if not problem and path.suffix == ".onnx":
        problem = onnx_runtime.runtime_problem(index)
    return problem


@functools.cache
def torch_problem(index: int) -> str:
    """Why torch cannot use CUDA device `index`, and what helps, or ""."""
    return asked_apart(_tried, index)


def _tried(index: int) -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"torch cannot be imported ({error}); install torch built for CUDA"
    build = torch.version.cuda
    if build is None:
        return f"torch {torch.__version__} is built for the CPU; install one that is built for CUDA"
    try:
        with warnings.catch_warnings(record=True):  # the error says it again
            torch.cuda.init()
        torch.ones(2, device=f"cuda:{index}").sum().item()
    except (RuntimeError, torch.cuda.DeferredCudaCallError) as error:
        why = str(error).partition("\n")[0].partition(" Please update your GPU driver")[0]
        return (
            f"torch {torch.__version__}, built for CUDA {build}, cannot use it ({why}); install a "
            "driver for that CUDA, or torch built for the driver's"
        )
    return ""


def load_yolo(
    path: str | os.PathLike, task: str | None = None, cache: str | os.PathLike = "cache"
) -> Any:
    """`ultralytics.YOLO` of any weights it reads; `weight_files` must have checked `path` first.

    `task` ('detect', 'segment') is needed for exported weights that do not say it themselves.
    """
    return ultralytics(cache).YOLO(os.fspath(path), task=task or _metadata(path).get("task"))


def image_size_of(path: str | os.PathLike, otherwise: int = 640) -> list[int] | int:
    """The input size of weights exported for one size; `otherwise` for those that take any."""
    about = _metadata(path)
    return otherwise if about.get("args", {}).get("dynamic") else about.get("imgsz", otherwise)


def frames_at_once(path: str | os.PathLike) -> int | None:
    """How many pictures a network takes at a time: its export's own batch, or None for any.

    A single exported file (ONNX, TensorRT) says so only inside; one at a time suits all of them.
    """
    if Path(path).suffix == ".pt":
        return None
    return int(_metadata(path).get("batch", 1))


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
        self._at_once = frames_at_once(path)
        self._class_name = class_name
        self._options = {
            "device": device,
            "conf": confidence,
            "iou": iou,
            "imgsz": image_size_of(path, image_size),
            "verbose": False,
        }
        if device.startswith("cuda"):
            self._options["quantize"] = 16  # half precision
        if device == "cpu":
            import torch

            torch.set_num_threads(max(1, threads))

    def detect(self, frames_rgb: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Detections of each HxWx3 uint8 RGB frame; exported networks take their own batch."""
        step = self._at_once or len(frames_rgb)
        found: list[list[Detection]] = []
        for start in range(0, len(frames_rgb), step):
            batch = [to_bgr(frame) for frame in frames_rgb[start : start + step]]
            with gpu_memory_errors():
                results = self._model.predict(batch, classes=[self._class], **self._options)
            found.extend(self._detections(result.boxes) for result in results)
        return found

    def _detections(self, boxes: Any) -> list[Detection]:
        corners = boxes.xyxy.float().cpu().tolist()
        confidences = boxes.conf.float().cpu().tolist()
        return [
            Detection(tuple(box), confidence, self._class_name)
            for box, confidence in zip(corners, confidences, strict=True)
        ]
