"""Convolutional networks of TensorFlow.js as ONNX, which every runtime here takes.

A graph model of TensorFlow.js is a JSON file, which lists operations and weights, and binary files
that hold the weights one behind the other. Its pictures have their colours last; ONNX's have them
first, and so have the weights that come out.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferrari.networks.backends import onnx_file
from ferrari.networks.weight_files import ModelError

#: Version of ONNX's operators that the result is written for, and of its format.
_OPERATORS, _FORMAT = 13, 8


def weight_names(described: bytes) -> list[str]:
    """The binary files that a JSON file names, in their order."""
    return [path for group in _parsed(described)["weightsManifest"] for path in group["paths"]]


def to_onnx(described: bytes, weights: bytes, output: str) -> bytes:
    """The ONNX file that gives `output` of a network for one picture; the same bytes every time.

    `weights` are the binary files joined. Raises ModelError for a network with other operations.
    """
    graph = _parsed(described)
    nodes = {node["name"]: node for node in graph["modelTopology"]["node"]}
    if output not in nodes:
        raise ModelError(f"the network has no {output}")
    return _Converter(nodes, _weights(graph, weights)).written(output)


def _parsed(described: bytes) -> dict:
    try:
        graph = json.loads(described)
        _ = graph["modelTopology"]["node"], graph["weightsManifest"]
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"this is no graph model of TensorFlow.js: {error!r}") from error
    return graph


def _weights(graph: Mapping, data: bytes) -> dict[str, np.ndarray]:
    """By name the weights, those in half precision as float32."""
    found, at = {}, 0
    for listed in (one for group in graph["weightsManifest"] for one in group["weights"]):
        kind = np.dtype(listed.get("quantization", listed)["dtype"]).newbyteorder("<")
        count = math.prod(listed["shape"])
        if kind not in (np.float16, np.float32, np.int32) or len(data) < at + count * kind.itemsize:
            raise ModelError(f"the weights {listed['name']} are {kind}, or end too early")
        values = np.frombuffer(data, kind, count, at).astype(listed["dtype"])
        found[listed["name"]] = values.reshape(listed["shape"])
        at += count * kind.itemsize
    if at != len(data):
        raise ModelError(f"{len(data)} bytes of weights, and the network lists {at}")
    return found


class _Converter:
    """Writes a graph from its input on; the spatial size at each node is known as it goes."""

    def __init__(self, nodes: Mapping[str, Mapping], weights: Mapping[str, np.ndarray]) -> None:
        self._nodes, self._weights = nodes, weights
        self._sizes: dict[str, tuple[int, int]] = {}
        self._model = onnx_file.empty(_OPERATORS, _FORMAT)

    def written(self, output: str) -> bytes:
        """The file for what `output` needs."""
        graph = self._model.graph
        graph.name = "net"
        for name in self._needed(output):
            node = self._nodes[name]
            if node["op"] == "Const":
                continue
            if node["op"] not in _OPERATIONS:
                raise ModelError(f"a {node['op']} of TensorFlow.js is not read here ({name})")
            _OPERATIONS[node["op"]](self, node)
        graph.output.add(name=output).type.tensor_type.elem_type = onnx_file.FLOAT
        return self._model.SerializeToString(deterministic=True)

    def _needed(self, output: str) -> list[str]:
        """The nodes that one needs, each behind its inputs."""
        order: dict[str, None] = {}
        waiting = [output]
        while waiting:
            inputs = self._nodes[waiting[-1]].get("input", [])
            missing = [name for name in inputs if name not in order]
            if missing:
                waiting += missing
            else:
                order[waiting.pop()] = None
        return list(order)

    def _add(self, kind: str, node: Mapping, inputs: list[str], **attributes: Any) -> None:
        name = node["name"]
        onnx_file.add_node(self._model, kind, inputs, name, attributes)
        self._sizes[name] = self._sizes[node["input"][0]]

    def _constant(self, node: Mapping, name: str, values: np.ndarray) -> str:
        """The name under which `node` gets a weight in the shape that ONNX has it in."""
        made = f"{node['name']}:{name}"
        onnx_file.add_constant(self._model, made, np.ascontiguousarray(values, np.float32))
        return made

    def placeholder(self, node: Mapping) -> None:
        """The input: one picture."""
        shape = [int(dim["size"]) for dim in node["attr"]["shape"]["shape"]["dim"]]
        _, high, wide, colours = shape
        onnx_file.add_input(self._model, node["name"], [1, colours, high, wide])
        self._sizes[node["name"]] = high, wide

    def convolution(self, node: Mapping) -> None:
        """Conv2D and DepthwiseConv2dNative; kernels have (height, width, in, out or multiplier)."""
        source, kernel = node["input"]
        weights = self._weights[kernel].transpose(3, 2, 0, 1)
        groups = 1
        if node["op"] == "DepthwiseConv2dNative":
            groups = weights.shape[1]
            weights = weights.swapaxes(0, 1).reshape(-1, 1, *weights.shape[2:])
        strides = _numbers(node, "strides")[1:3]
        pads, size = _padding(node, self._sizes[source], weights.shape[2:], strides)
        about = {"group": groups, "pads": pads, "strides": strides}
        self._add("Conv", node, [source, self._constant(node, "kernel", weights)], **about)
        self._sizes[node["name"]] = size

    def enlarging_convolution(self, node: Mapping) -> None:
        """Conv2DBackpropInput whose kernel is its stride; kernels have (height, width, out, in)."""
        _, kernel, source = node["input"]
        weights = self._weights[kernel].transpose(3, 2, 0, 1)
        strides = _numbers(node, "strides")[1:3]
        if list(weights.shape[2:]) != strides:
            raise ModelError(f"{node['name']} enlarges with a kernel that is not its stride")
        inputs = [source, self._constant(node, "kernel", weights)]
        onnx_file.add_node(self._model, "ConvTranspose", inputs, node["name"], {"strides": strides})
        high, wide = self._sizes[source]
        self._sizes[node["name"]] = high * strides[0], wide * strides[1]

    def elementwise(self, node: Mapping) -> None:
        """Add and Mul: with a number for each channel, or of branches."""
        kind = "Mul" if node["op"] == "Mul" else "Add"
        sources = [name for name in node["input"] if name not in self._weights]
        constants = [name for name in node["input"] if name in self._weights]
        if len(sources) == 1 and len(constants) == 1:
            values = self._weights[constants[0]].reshape(1, -1, 1, 1)
            inputs = [sources[0], self._constant(node, "values", values)]
        elif len(sources) == 2:
            inputs = sources
        else:
            raise ModelError(f"{node['name']} joins what is not read here")
        onnx_file.add_node(self._model, kind, inputs, node["name"], {})
        self._sizes[node["name"]] = max(self._sizes[name] for name in sources)

    def clip(self, node: Mapping) -> None:
        """Minimum and Maximum with one number."""
        source, bound = node["input"]
        name = self._constant(node, "bound", self._weights[bound].reshape(()))
        self._add("Clip", node, [source, *([name] if node["op"] == "Maximum" else ["", name])])

    def activation(self, node: Mapping) -> None:
        """Relu and Sigmoid."""
        self._add(node["op"], node, [node["input"][0]])

    def relu6(self, node: Mapping) -> None:
        """Relu6."""
        bounds = [self._constant(node, name, np.array(n)) for name, n in (("low", 0), ("high", 6))]
        self._add("Clip", node, [node["input"][0], *bounds])

    def pool(self, node: Mapping) -> None:
        """AvgPool of the whole picture, a pixel for each channel."""
        source = node["input"][0]
        if tuple(_numbers(node, "ksize")[1:3]) != self._sizes[source]:
            raise ModelError(f"{node['name']} is a mean of parts of the picture")
        self._add("GlobalAveragePool", node, [source])
        self._sizes[node["name"]] = 1, 1

    def enlarge(self, node: Mapping) -> None:
        """ResizeBilinear by whole factors, pixels taken for areas."""
        source, wanted = node["input"]
        size = [int(side) for side in self._weights[wanted].reshape(-1)]
        half = node["attr"].get("half_pixel_centers", {}).get("b", False)
        factors = [after / before for after, before in zip(size, self._sizes[source], strict=True)]
        if not half or any(factor != int(factor) for factor in factors):
            raise ModelError(f"{node['name']} is resized in a way not read here")
        scales = self._constant(node, "scales", np.array([1, 1, *factors]))
        about = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        self._add("Resize", node, [source, "", scales], **about)
        self._sizes[node["name"]] = size[0], size[1]

    def mean(self, node: Mapping) -> None:
        """The mean of all pixels, a number for each channel."""
        source, axes = node["input"]
        if sorted(self._weights[axes].reshape(-1).tolist()) != [1, 2]:
            raise ModelError(f"{node['name']} is a mean of other axes than height and width")
        pooled = f"{node['name']}:pooled"
        onnx_file.add_node(self._model, "GlobalAveragePool", [source], pooled, {})
        self._add("Flatten", node, [pooled], axis=1)


_OPERATIONS: Mapping[str, Callable[[_Converter, Mapping], None]] = {
    "Add": _Converter.elementwise,
    "AddN": _Converter.elementwise,
    "AddV2": _Converter.elementwise,
    "AvgPool": _Converter.pool,
    "Conv2D": _Converter.convolution,
    "Conv2DBackpropInput": _Converter.enlarging_convolution,
    "DepthwiseConv2dNative": _Converter.convolution,
    "Maximum": _Converter.clip,
    "Mean": _Converter.mean,
    "Minimum": _Converter.clip,
    "Mul": _Converter.elementwise,
    "Placeholder": _Converter.placeholder,
    "Relu": _Converter.activation,
    "Relu6": _Converter.relu6,
    "ResizeBilinear": _Converter.enlarge,
    "Sigmoid": _Converter.activation,
}


def _numbers(node: Mapping, name: str) -> list[int]:
    return [int(number) for number in node["attr"][name]["list"]["i"]]


def _word(node: Mapping, name: str) -> str:
    return base64.b64decode(node["attr"][name]["s"]).decode()


def _padding(
    node: Mapping, size: tuple[int, int], kernel: tuple[int, ...], strides: list[int]
) -> tuple[list[int], tuple[int, int]]:
    """TensorFlow's SAME or VALID as ONNX's pads (what is left over goes to the right and below),
    and the size that comes out. Raises ModelError for what is laid out or dilated otherwise.
    """
    plain = _word(node, "data_format") == "NHWC" and set(_numbers(node, "dilations")) == {1}
    how = _word(node, "padding")
    if not plain or how not in ("SAME", "VALID"):
        raise ModelError(f"{node['name']} is padded, dilated or laid out in a way not read here")
    if how == "VALID":
        inside = ((s - k) // t + 1 for s, k, t in zip(size, kernel, strides, strict=True))
        high, wide = inside
        return [0, 0, 0, 0], (high, wide)
    high, wide = (-(-side // stride) for side, stride in zip(size, strides, strict=True))
    missing = [
        max(0, (after - 1) * stride + reach - before)
        for after, stride, reach, before in zip((high, wide), strides, kernel, size, strict=True)
    ]
    return [m // 2 for m in missing] + [m - m // 2 for m in missing], (high, wide)
