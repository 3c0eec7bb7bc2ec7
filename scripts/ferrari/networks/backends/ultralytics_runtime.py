"""Networks through ultralytics, kept from reaching out: no network, no installs, no telemetry.

ultralytics reads its environment when it is imported, so it must be imported by nobody else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from ferrari.networks import network
from ferrari.networks.backends import torch_runtime
from ferrari.networks.backends.fixed_batches import FixedBatches
from ferrari.networks.backends.yolo_postprocessing import class_index
from ferrari.networks.network import Batched, Network, NetworkRequest
from ferrari.processes.devices import ran_on

if TYPE_CHECKING:
    import torch

#: Boxes of the class in a picture, before those that overlap are dropped. Of a person there are
#: tens, so this is a crowd.
_CANDIDATES = 1024


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


def load(request: NetworkRequest) -> Network:
    """The YOLO weights asked for, through ultralytics' loader and torch: the bare network."""
    yolo = TorchYolo(request)
    return Batched(yolo.about, yolo.run)


class TorchYolo(FixedBatches):
    """Any YOLO weights that ultralytics loads. `about` as a `network.Network`'s.

    In half precision on CUDA, but for the boxes: half has steps of half a pixel beyond 512. On the
    CPU pictures go one by one, so that none depends on the others; exports take their own batch.
    """

    def __init__(self, request: NetworkRequest) -> None:
        ultralytics(request.cache)
        self._torch = torch_runtime.start(request.device, request.threads)
        from ultralytics.nn.autobackend import AutoBackend

        self._device = self._torch.device(request.device)
        on_cuda = self._device.type == "cuda"
        with torch_runtime.memory_errors():
            self._network = AutoBackend(
                request.path, device=self._device, fp16=on_cuda, verbose=False, end2end=False
            ).eval()
        if on_cuda and self._network.format == "pt":
            decode_boxes_in_full_precision(self._network.model)
        how = self._how()
        any_batch = how["size"] is None and self._network.format != "engine"
        own = None if any_batch else int(self._network.batch)
        super().__init__(request, own or (request.batch if on_cuda else 1), fixed=own is not None)
        torch_runtime.take(request.device, self, self._share)
        self._masks, self._chosen = how["task"] == "segment", how["end2end"]
        if request.class_name and not self._chosen:
            how["only"] = class_index(how["names"], request.class_name, request.path)
        self._only = how.get("only")
        self._classes = len(how["names"])
        where = ran_on(str(self._network.device), "ultralytics")
        self.about = network.about(request, where, self._batch, yolo=how)

    def _how(self) -> dict:
        net = self._network
        exported = net.format != "pt" and not net.dynamic
        size = net.metadata.get("imgsz", 640) if exported else None
        return {
            "names": net.names,
            "stride": int(net.stride),
            "size": None if size is None else _height_and_width(size),
            "end2end": bool(net.end2end),
            "task": net.task or getattr(net.model, "task", None) or "detect",
        }

    def _compute(self, pictures: np.ndarray) -> list[np.ndarray]:
        torch = self._torch
        with torch_runtime.memory_errors(), torch.inference_mode():
            planes = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2).contiguous()
            kind = torch.half if self._network.fp16 else torch.float
            boxes, *masks = self._bare(self._network(planes.to(kind).div_(255)))
            if self._only is not None:
                boxes = candidates(boxes, self._only, self._classes)
            return [output.cpu().numpy() for output in (boxes, *masks)]

    def _bare(self, outputs: Any) -> tuple:
        """The boxes, and the masks' planes, of what the different loaders nest differently."""
        first = outputs[0] if isinstance(outputs, list | tuple) else outputs
        if isinstance(first, list | tuple):
            return tuple(first[: 1 + self._masks])
        return (first, outputs[1]) if self._masks else (first,)

    def _restart(self) -> None:
        torch_runtime.take(str(self._device), self, self._share)


def decode_boxes_in_full_precision(model: Any) -> None:
    """Have a YOLO model's head compute boxes from its outputs in full precision (in place)."""
    head = model.model[-1]
    head.dfl = torch_runtime.in_full_precision(head.dfl)


def candidates(output: torch.Tensor, wanted: int, classes: int) -> torch.Tensor:
    """B x (5 + C) x N of B x (4 + classes + C) x M: the N boxes that score highest in one class.

    Only a box that scores highest in that class has its score, others 0. A card sends a tenth of
    a megabyte a picture in place of three.
    """
    scores = output[:, 4 : 4 + classes]
    own = scores[:, wanted]
    best = scores.argmax(1) == wanted
    own, order = (own * best).sort(dim=1, descending=True, stable=True)
    order = order[:, None, :_CANDIDATES]
    parts = [output[:, :4], output[:, 4 + classes :]]
    boxes, weights = (part.gather(2, order.expand(-1, part.shape[1], -1)) for part in parts)
    torch = sys.modules["torch"]
    return torch.cat([boxes, own[:, None, :_CANDIDATES], weights], 1)


def _height_and_width(size: int | Sequence[int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def to_bgr(image_rgb: np.ndarray) -> np.ndarray:
    """ultralytics takes arrays in OpenCV's order."""
    return cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
