"""YOLO exports on the CPU through OpenVINO, without ultralytics and torch.

Those two take five seconds to import, and then run such an export through OpenVINO too, one picture
at a time. What they do around it is in `yolo_postprocessing`.
"""

from __future__ import annotations

import ast
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferrari.common.errors import FerrariError
from ferrari.images.boxes import Detection
from ferrari.networks.backends.openvino_runtime import Compiled, read_graph
from ferrari.networks.backends.yolo_postprocessing import (
    MOST,
    Instances,
    Letterbox,
    class_index,
    rows_of_class,
    suppress,
)
from ferrari.networks.input_tensors import planes, scale_table

if TYPE_CHECKING:
    from openvino import Model


class UnknownExportError(FerrariError, ValueError):
    """An export that is none of ultralytics', or that is made for something else."""


_OUTPUTS = {"detect": 1, "segment": 2}  # a graph's outputs, by what it is for


def runs(path: str | os.PathLike) -> bool:
    """True for weights that this can read: an OpenVINO folder, or an ONNX file."""
    path = Path(path)
    return path.suffix == ".onnx" or (path.is_dir() and len(list(path.glob("*.xml"))) == 1)


class OpenVinoYolo:
    """Instances of one class from a detection or segmentation export.

    Attributes: `device`; `has_masks`, True for a segmentation network.
    """

    def __init__(
        self, path: str | os.PathLike, class_name: str, image_size: int, threads: int = 0
    ) -> None:
        """`image_size` is for networks that take any. Raises UnknownExportError for what this
        cannot run, and ModelError for a class that the network does not know.
        """
        model = read_graph(path)
        about = _metadata(path, model)
        _require_known(path, model, about)
        self._class = class_index(about["names"], class_name, path)
        self._stride = int(about.get("stride", 32))
        fixed, side = _fixed_size(model), math.ceil(image_size / self._stride) * self._stride
        self._any_size = fixed is None
        self._size = fixed or (side, side)
        self._chosen_in_graph = bool(about.get("end2end"))
        self._mask_weights = 0
        if len(model.outputs) == 2:
            self._mask_weights = model.output(1).get_partial_shape()[1].get_length()
        self._table = None if _is_quantized(model) else scale_table([0.0] * 3, [255.0] * 3)
        # ONNX files run in the precision that they have in ONNX Runtime, which ultralytics uses.
        exact = Path(path).suffix == ".onnx"
        self.has_masks = self._mask_weights > 0
        self._net = Compiled(
            model if self._table is not None else _fed_bytes(model), threads, exact
        )
        self.device = self._net.device

    def find(
        self, images_rgb: Iterable[np.ndarray], confidence: float, iou: float
    ) -> Iterator[Instances]:
        """Those in each HxWx3 uint8 RGB picture, one by one, each picture by itself.

        `confidence` and `iou` are what ultralytics calls `conf` and `iou`.
        """
        letterboxes: list[Letterbox] = []

        def inputs() -> Iterator[np.ndarray]:
            for image in images_rgb:
                stride = self._stride if self._any_size else None
                letterboxes.append(Letterbox.of(image.shape[:2], self._size, stride))
                filled = letterboxes[-1].fill(image)
                yield filled[None] if self._table is None else planes(filled, self._table)

        for index, outputs in enumerate(self._net.in_order(inputs())):
            yield self._instances(outputs, letterboxes[index], confidence, iou)

    def _instances(
        self, outputs: Sequence[np.ndarray], letterbox: Letterbox, confidence: float, iou: float
    ) -> Instances:
        output = outputs[0][0]
        if self._chosen_in_graph:  # N x (x1, y1, x2, y2, confidence, class, weights)
            chosen = (output[:, 4] > confidence) & (output[:, 5] == self._class)
            kept = np.delete(output[chosen][:MOST], 5, axis=1)
        else:
            rows = rows_of_class(output, self._class, confidence, self._mask_weights)
            kept = rows[suppress(rows, iou)]
        masks = self._mask_weights and len(kept)
        return Instances(
            letterbox.to_image(kept[:, :4]),
            kept[:, 4],
            kept[:, :4],
            letterbox.net_hw,
            kept[:, 5:],
            outputs[1][0].astype(np.float32) if masks else None,  # a copy
        )


class OpenVinoDetector:
    """Boxes of one class, as `ultralytics_runtime.YoloDetector` gives them."""

    def __init__(
        self,
        path: str | os.PathLike,
        *,
        class_name: str,
        confidence: float,
        iou: float,
        image_size: int,
        threads: int,
    ) -> None:
        self._yolo = OpenVinoYolo(path, class_name, image_size, threads)
        self._class_name, self._confidence, self._iou = class_name, confidence, iou
        self.device = self._yolo.device

    def detect(self, frames_rgb: Sequence[np.ndarray]) -> list[list[Detection]]:
        """Detections of each HxWx3 uint8 RGB frame."""
        found = self._yolo.find(frames_rgb, self._confidence, self._iou)
        return [self._detections(instances) for instances in found]

    def _detections(self, found: Instances) -> list[Detection]:
        return [
            Detection(tuple(box), confidence, self._class_name)
            for index, (box, confidence) in enumerate(
                zip(found.boxes_xyxy.tolist(), found.confidences.tolist(), strict=True)
            )
            if found.has_mask(index)
        ]


def _metadata(path: str | os.PathLike, model: Model) -> dict:
    """What ultralytics wrote into an export: beside an OpenVINO graph, within an ONNX file."""
    file = Path(path) / "metadata.yaml"
    if file.is_file():
        import yaml

        about = yaml.safe_load(file.read_text(encoding="utf-8"))
    else:
        noted = model.has_rt_info(["framework"])
        about = dict(model.get_rt_info(["framework"]).value) if noted else {}
        for key in ("names", "args", "end2end"):
            if key in about:
                about[key] = ast.literal_eval(about[key])
    if not isinstance(about, dict) or "names" not in about:
        raise UnknownExportError(
            f"{path} does not say which classes it knows: no export of ultralytics"
        )
    return about


def _require_known(path: str | os.PathLike, model: Model, about: Mapping) -> None:
    task, count = about.get("task", "detect"), len(model.outputs)
    if _OUTPUTS.get(task) != count or (about.get("args") or {}).get("nms"):
        raise UnknownExportError(
            f"{path} is an export for {task!r} with {count} outputs, maybe with nms=True"
        )
    batch = model.input(0).get_partial_shape()[0]
    if batch.is_static and batch.get_length() != 1:
        raise UnknownExportError(f"{path} takes {batch.get_length()} pictures at once")


def _fixed_size(model: Model) -> tuple[int, int] | None:
    """(height, width) of the input, None for a graph that takes any."""
    shape = model.input(0).get_partial_shape()
    if shape[2].is_dynamic or shape[3].is_dynamic:
        return None
    return shape[2].get_length(), shape[3].get_length()


def _is_quantized(model: Model) -> bool:
    """True if all that reads the input first makes steps of it, as int8 exports do."""
    reads = model.input(0).get_target_inputs()
    return all(port.get_node().get_type_name() == "FakeQuantize" for port in reads)


def _fed_bytes(model: Model) -> Model:
    """The graph, fed 1xHxWx3 uint8 RGB: scaling to 0..1 and the planes' order become part of it.

    For int8 graphs, where it changes no bit; others may do their scaling in bfloat16.
    """
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    return steps.build()
