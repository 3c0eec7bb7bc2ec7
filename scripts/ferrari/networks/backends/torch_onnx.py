"""Convolutional ONNX networks through torch, where that is the only runtime that has the card.

What such a graph is made of is a dozen operations that torch has too, and what they shall give is
in ONNX's specification of its operators. A graph with any other is refused by its name.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferrari.networks import network
from ferrari.networks.backends import onnx_file, onnx_graph, torch_runtime
from ferrari.networks.backends.fixed_batches import FixedBatches
from ferrari.networks.network import Batched, Network, NetworkRequest
from ferrari.networks.weight_files import ModelError
from ferrari.processes.devices import ran_on

if TYPE_CHECKING:
    import torch

#: An operation: the values of its inputs (None for one that is left out) and its attributes.
_Operation = Callable[[Sequence[Any], Mapping[str, Any]], Any]


def problem(path: str | os.PathLike) -> str:
    """Why torch cannot run the network at `path`, or ""."""
    if Path(path).suffix != ".onnx":
        return f"{Path(path).name} is no ONNX file"
    unknown = {node.op_type for node in onnx_file.read(path).graph.node} - _OPERATIONS.keys()
    return f"it has a {min(unknown)}" if unknown else ""


def load(request: NetworkRequest) -> Network:
    """The ONNX network asked for, run by torch."""
    net = TorchOnnx(request)
    return Batched(net.about, net.run)


class TorchOnnx(FixedBatches):
    """An ONNX network that torch runs, in the precision that its weights have (on the CPU in full).
    `about` as `Network.about`.
    """

    def __init__(self, request: NetworkRequest) -> None:
        self._torch = torch_runtime.start(request.device, request.threads)
        model, fixed = onnx_graph.prepare(request, shapes)
        super().__init__(request, fixed or request.batch, fixed=fixed is not None)
        torch_runtime.take(request.device, self, self._share)
        with torch_runtime.memory_errors():
            self._run = Graph(model, request.device)
            self._scale = [self._on_device(values) for values in (request.mean, request.std)]
        self.about = network.about(request, ran_on(request.device, "torch"), self._batch)

    def _on_device(self, values: Sequence[float]) -> torch.Tensor:
        made = self._torch.tensor(values, dtype=self._torch.float32, device=self._run.device)
        return made.reshape(1, 3, 1, 1)

    def _compute(self, pictures: np.ndarray) -> list[np.ndarray]:
        with torch_runtime.memory_errors(), self._torch.inference_mode():
            planes = self._torch.from_numpy(pictures).to(self._run.device).permute(0, 3, 1, 2)
            mean, std = self._scale
            outputs = self._run((planes.contiguous().float() - mean) / std)
            return [output.cpu().numpy() for output in outputs]

    def _restart(self) -> None:
        torch_runtime.take(str(self._run.device), self, self._share)


class Graph:
    """The operations of a graph, with its weights on a device."""

    def __init__(self, model: onnx_file.Message, device: str) -> None:
        import torch

        unknown = {node.op_type for node in model.graph.node} - _OPERATIONS.keys()
        if unknown:
            raise ModelError(f"torch does not run a {min(unknown)}; install onnxruntime-gpu")
        self.device = torch.device(device)
        self._half = self.device.type == "cuda"
        self._input = onnx_file.input_name(model)
        self._outputs = [value.name for value in model.graph.output]
        self._nodes = [
            (node.op_type, list(node.input), node.output[0], onnx_file.attributes(node))
            for node in onnx_file.in_order(model)
            if node.op_type != "Constant"
        ]
        self._takes_half = onnx_file.input_kind(model) == onnx_file.HALF
        self._factors = {used[2] for op, used, _, _ in self._nodes if op == "Resize" and used[2:]}
        values = onnx_file.constants(model)
        self._constants = {name: self._constant(name, array) for name, array in values.items()}
        self._last_use = {name: i for i, (_, used, _, _) in enumerate(self._nodes) for name in used}

    def _constant(self, name: str, values: np.ndarray) -> torch.Tensor | list:
        """Weights on the device; sizes, and what picks some of them, as plain numbers."""
        import torch

        if values.dtype == np.int64 or name in self._factors:
            return values.reshape(-1).tolist()
        made = torch.from_numpy(values.copy())
        return (made if self._half else made.float()).to(self.device)

    def __call__(self, tensor: torch.Tensor, seen: dict | None = None) -> list[torch.Tensor]:
        """The outputs for an NxCxHxW input; `seen` gets the shapes of all tensors."""
        values: dict[str, Any] = dict(self._constants)
        values[self._input] = tensor.half() if self._takes_half and self._half else tensor
        for index, (kind, inputs, output, about) in enumerate(self._nodes):
            if kind == "Cast" and not self._half:
                about = {"to": onnx_file.FLOAT}
            values[output] = _OPERATIONS[kind]([values.get(name) for name in inputs], about)
            if seen is not None and hasattr(values[output], "shape"):
                seen[output] = tuple(values[output].shape)
            for name in inputs:  # memory is given back as soon as it can be
                if self._last_use[name] == index and name not in self._outputs:
                    values.pop(name, None)
        return [values[name] for name in self._outputs]


def shapes(model: onnx_file.Message, names: Sequence[str]) -> onnx_graph.Shapes:
    """The shapes of a graph's tensors, found without computing any."""
    import torch

    seen: dict[str, tuple[int, ...]] = {}
    size = [size or 1 for size in onnx_file.input_shape(model)]
    Graph(model, "meta")(torch.empty(size, device="meta"), seen)
    return {name: seen[name] for name in names if name in seen}


# --- operations ------------------------------------------------------------------------------


def _functional() -> Any:
    import torch

    return torch.nn.functional


def _same_pads(about: Mapping[str, Any], op: str) -> list[int]:
    """The padding of each axis; ModelError where it differs from side to side."""
    pads = list(about.get("pads", [0, 0, 0, 0]))
    if pads[:2] != pads[2:] or about.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ModelError(f"torch does not run a {op} that is padded unevenly")
    return pads[:2]


def _conv(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    top, left, bottom, right = about.get("pads", [0, 0, 0, 0])
    if (top, left) != (bottom, right):
        x = [_functional().pad(x[0], [left, right, top, bottom]), *x[1:]]
        about = {**about, "pads": [0, 0, 0, 0]}
    return _functional().conv2d(
        *x,
        stride=list(about.get("strides", [1, 1])),
        padding=_same_pads(about, "Conv"),
        dilation=list(about.get("dilations", [1, 1])),
        groups=about.get("group", 1),
    )


def _conv_transpose(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    if {"output_shape", "output_padding", "auto_pad"} & about.keys():
        raise ModelError("torch does not run a ConvTranspose that is told its output's size")
    return _functional().conv_transpose2d(
        *x,
        stride=list(about.get("strides", [1, 1])),
        padding=_same_pads(about, "ConvTranspose"),
        dilation=list(about.get("dilations", [1, 1])),
        groups=about.get("group", 1),
    )


def _max_pool(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    return _functional().max_pool2d(
        x[0],
        list(about["kernel_shape"]),
        list(about.get("strides", [1, 1])),
        _same_pads(about, "MaxPool"),
        list(about.get("dilations", [1, 1])),
        ceil_mode=bool(about.get("ceil_mode", 0)),
    )


#: Modes of ONNX's Resize that are torch's "bilinear" without aligned corners.
_BILINEAR = ((b"linear", b"half_pixel"), (b"linear", b"pytorch_half_pixel"))


def _resize(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    mode, how = about.get("mode", b"nearest"), about.get("coordinate_transformation_mode")
    to_nearest = (mode, how) == (b"nearest", b"asymmetric")
    if to_nearest and about.get("nearest_mode") != b"floor":
        raise ModelError("torch does not run a Resize to the nearest that is not rounded down")
    if not to_nearest and (mode, how) not in _BILINEAR:
        raise ModelError(f"torch does not run a Resize of {mode!r}, {how!r}")
    given = list(x) + [None] * (4 - len(x))
    if given[3] is not None:
        size = list(given[3])[2:]
    else:
        size = [int(side * scale) for side, scale in zip(x[0].shape[2:], given[2][2:], strict=True)]
    if to_nearest:
        return _functional().interpolate(x[0], size=size, mode="nearest")
    return _functional().interpolate(x[0], size=size, mode="bilinear", align_corners=False)


def _cast(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    if about["to"] not in (onnx_file.FLOAT, onnx_file.HALF) or isinstance(x[0], list):
        return x[0]
    return x[0].half() if about["to"] == onnx_file.HALF else x[0].float()


def _clip(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    low, high = [*x[1:], None, None][:2]
    return x[0].clamp(min=about.get("min", low), max=about.get("max", high))


def _concat(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    import torch

    if isinstance(x[0], list):
        return [size for part in x for size in part]
    return torch.cat(list(x), about["axis"])


def _slice(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    if not isinstance(x[0], list):
        raise ModelError("torch does not run a Slice of pictures")
    (start,), (end,) = x[1], x[2]
    return x[0][start:end]


def _batch_normalization(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    values, weight, bias, mean, variance = x
    if about.get("training_mode"):
        raise ModelError("torch does not run a BatchNormalization that is still in training")
    return _functional().batch_norm(
        values, mean, variance, weight, bias, eps=about.get("epsilon", 1e-5)
    )


def _gemm(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    one, other = (
        matrix.T if about.get(key) else matrix
        for matrix, key in zip(x[:2], ("transA", "transB"), strict=True)
    )
    product = about.get("alpha", 1.0) * (one @ other)
    return product + about.get("beta", 1.0) * x[2] if len(x) > 2 else product


def _prelu(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    return x[0].clamp(min=0) + x[1] * x[0].clamp(max=0)


def _reshape(x: Sequence[Any], about: Mapping[str, Any]) -> Any:
    return x[0].reshape([size or x[0].shape[axis] for axis, size in enumerate(x[1])])


_OPERATIONS: Mapping[str, _Operation] = {
    "Add": lambda x, about: x[0] + x[1],
    "BatchNormalization": _batch_normalization,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Constant": lambda x, about: None,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": lambda x, about: x[0] / x[1],
    "Dropout": lambda x, about: x[0],
    "Flatten": lambda x, about: x[0].flatten(about.get("axis", 1)),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, about: x[0].mean((2, 3), keepdim=True),
    "Identity": lambda x, about: x[0],
    "MaxPool": _max_pool,
    "Mul": lambda x, about: x[0] * x[1],
    "PRelu": _prelu,
    "Relu": lambda x, about: x[0].relu(),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda x, about: list(x[0].shape),
    "Sigmoid": lambda x, about: x[0].sigmoid(),
    "Slice": _slice,
    "Sub": lambda x, about: x[0] - x[1],
    "Transpose": lambda x, about: x[0].permute(list(about["perm"])),
}
