"""YOLO exports on the CPU through OpenVINO, without ultralytics and torch.

Those two take five seconds to import, and then run such an export through OpenVINO too, one picture
at a time. What they do around it is in `yolo_finder`.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferrari.common.errors import FerrariError
from ferrari.networks import network
from ferrari.networks.backends.openvino_runtime import Compiled, read_graph
from ferrari.networks.input_tensors import planes, scale_table

if TYPE_CHECKING:
    from openvino import Model

    from ferrari.networks.network import NetworkRequest, Outputs


class UnknownExportError(FerrariError, ValueError):
    """An export that is none of ultralytics', or that is made for something else."""


_OUTPUTS = {"detect": 1, "segment": 2}  # a graph's outputs, by what it is for


def runs(path: str | os.PathLike) -> bool:
    """True for weights that this can read: an OpenVINO folder, or an ONNX file."""
    path = Path(path)
    return path.suffix == ".onnx" or (path.is_dir() and len(list(path.glob("*.xml"))) == 1)


class OpenVinoYolo:
    """A detection or segmentation export as a `network.Network`, pictures of any sizes together."""

    def __init__(self, request: NetworkRequest) -> None:
        """Raises UnknownExportError for what this cannot run."""
        path = request.path
        model = read_graph(path)
        about = _metadata(path, model)
        _require_known(path, model, about)
        self._table = None if _is_quantized(model) else scale_table(request.mean, request.std)
        how = {
            "names": about["names"],
            "stride": int(about.get("stride", 32)),
            "size": _fixed_size(model),
            "end2end": bool(about.get("end2end")),
            "task": about.get("task", "detect"),
        }
        # ONNX files run in the precision that they have in ONNX Runtime, which ultralytics uses.
        exact = Path(path).suffix == ".onnx"
        fed = model if self._table is not None else _fed_bytes(model)
        self._net = Compiled(fed, request.threads, exact)
        self.about = network.about(request, self._net.device, request.batch, yolo=how)

    def stream(self, images_rgb: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """As Network's."""
        table = self._table
        inputs = (image[None] if table is None else planes(image, table) for image in images_rgb)
        for outputs in self._net.in_order(inputs):
            yield tuple(output[0] for output in outputs)


def load(request: NetworkRequest) -> OpenVinoYolo:
    """The export asked for."""
    return OpenVinoYolo(request)


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
