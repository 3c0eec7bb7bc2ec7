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

from ferrari.networks import network
from ferrari.networks.backends import onnx_runtime
from ferrari.networks.network import Batched, Network, NetworkRequest, Outputs
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


def load(request: NetworkRequest) -> Network:
    """The YOLO weights asked for, through ultralytics' loader and torch: the bare network."""
    yolo = TorchYolo(request)
    return Batched(yolo.about, yolo.run)


class TorchYolo:
    """Any YOLO weights that ultralytics loads. `about` as a `network.Network`'s.

    On CUDA in half precision, `request.batch` pictures a call, always as many: what is missing is
    filled up, so that a picture's outputs do not depend on how many came with it. On the CPU one by
    one, for the same reason. Exports take their own batch.
    """

    def __init__(self, request: NetworkRequest) -> None:
        ultralytics(request.cache)
        import torch
        from ultralytics.nn.autobackend import AutoBackend

        self._torch, self._device = torch, torch.device(request.device)
        on_cuda = self._device.type == "cuda"
        if not on_cuda:
            torch.set_num_threads(max(1, request.threads))
        self._network = AutoBackend(
            request.path, device=self._device, fp16=on_cuda, verbose=False
        ).eval()
        task = self._network.task or getattr(self._network.model, "task", None)
        self._masks = task == "segment"
        about, batch = self._network.metadata, request.batch if on_cuda else 1
        how = {
            "names": self._network.names,
            "stride": int(self._network.stride),
            "size": None,
            "end2end": bool(self._network.end2end),
            "masks": self._masks,
        }
        if self._network.format != "pt" and not self._network.dynamic:
            how["size"] = _height_and_width(about.get("imgsz", 640))
            batch = int(self._network.batch)
        self._batch = batch
        where = self._network.device
        self.about = network.about(request, f"{where} ultralytics", batch, yolo=how)

    def run(self, images_rgb: Sequence[np.ndarray]) -> list[Outputs]:
        """As `network.Run`. Raises DeviceMemoryError if the GPU's memory does not suffice."""
        filled = np.zeros((self._batch, *images_rgb[0].shape), np.uint8)
        filled[: len(images_rgb)] = images_rgb
        torch = self._torch
        with gpu_memory_errors(), torch.inference_mode():
            pictures = torch.from_numpy(filled).to(self._device).permute(0, 3, 1, 2).contiguous()
            kind = torch.half if self._network.fp16 else torch.float
            outputs = self._bare(self._network(pictures.to(kind).div_(255)))
            arrays = [output.cpu().numpy() for output in outputs]
        return [tuple(array[index] for array in arrays) for index in range(len(images_rgb))]

    def _bare(self, outputs: Any) -> tuple:
        """The boxes, and the masks' planes, of what the different loaders nest differently."""
        first = outputs[0] if isinstance(outputs, list | tuple) else outputs
        if isinstance(first, list | tuple):
            return tuple(first[: 1 + self._masks])
        return (first, outputs[1]) if self._masks else (first,)


def _height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


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
