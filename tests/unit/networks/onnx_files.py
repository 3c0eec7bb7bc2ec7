"""ONNX files of a few nodes, as exporters write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ferrari.networks.backends import onnx_file

OPSET = 13


def save(
    path: Path,
    nodes: Sequence[tuple[str, Sequence[str], str, Mapping]],
    constants: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    shape: Sequence[int | str] = (1, 3, 64, 64),
    kind: int = onnx_file.FLOAT,
    **noted: object,
) -> Path:
    """A network whose input is `x`. A node is its kind, its inputs, its output and its attributes
    (numbers, words, lists of numbers). `noted` is what the exporter notes in the file.
    """
    model = onnx_file.empty(OPSET, version=8)
    graph = model.graph
    graph.name = "net"
    for op, inputs, output, about in nodes:
        node = graph.node.add(op_type=op, name=f"{output}_{op}", input=inputs, output=[output])
        for name, value in about.items():
            if isinstance(value, str):
                node.attribute.add(name=name, s=value.encode(), type=3)
            elif isinstance(value, float):
                node.attribute.add(name=name, f=value, type=1)
            else:
                onnx_file.set_attribute(node, name, value)
    for name, values in constants.items():
        onnx_file.add_constant(model, name, values)
    value = graph.input.add(name="x")
    value.type.tensor_type.elem_type = kind
    for size in shape:
        named = isinstance(size, str)
        value.type.tensor_type.shape.dim.add(**{"dim_param" if named else "dim_value": size})
    for name in outputs:
        graph.output.add(name=name).type.tensor_type.elem_type = kind
    for key, said in noted.items():
        model.metadata_props.add(key=key, value=str(said))
    path.write_bytes(model.SerializeToString())
    return path


def u_net(path: Path, side: int = 64, kind: int = onnx_file.FLOAT, **more: object) -> Path:
    """Halved twice and enlarged to sizes that are constants, one written out and one taken from a
    shape in part, as exporters write ISNet; the second output is a training aid.
    """
    rng = np.random.default_rng(0)
    dtype = onnx_file._DTYPES[kind]

    def weights(count: int, channels: int) -> np.ndarray:
        return (rng.standard_normal((count, channels, 3, 3)) / (3 * channels**0.5)).astype(dtype)

    constants = {
        "w1": weights(8, 3),
        "w2": weights(8, 8),
        "w3": weights(4, 16),
        "w4": weights(1, 8),
        "sizes": np.array([1, 8, side // 2, side // 2], np.int64),
        "start": np.array([0], np.int64),
        "end": np.array([2], np.int64),
        "to": np.array([side, side], np.int64),
    }
    same = {"pads": [1, 1, 1, 1]}
    half = {"kernel_shape": [2, 2], "strides": [2, 2]}
    linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    nodes = [
        ("Conv", ["x", "w1"], "a", same),
        ("Relu", ["a"], "b", {}),
        ("MaxPool", ["b"], "c", half),
        ("MaxPool", ["c"], "d", half),
        ("Conv", ["d", "w2"], "e", same),
        ("Resize", ["e", "", "", "sizes"], "f", linear),
        ("Concat", ["c", "f"], "g", {"axis": 1}),
        ("Conv", ["g", "w3"], "h", same),
        ("Shape", ["h"], "shape", {}),
        ("Slice", ["shape", "start", "end"], "first", {}),
        ("Concat", ["first", "to"], "wanted", {"axis": 0}),
        ("Resize", ["h", "", "", "wanted"], "i", linear),
        ("Concat", ["i", "h2"], "j", {"axis": 1}),
        ("Conv", ["j", "w4"], "k", same),
        ("Sigmoid", ["k"], "alpha", {}),
    ]
    nodes.insert(12, ("Conv", ["b", "w5"], "h2", same))
    constants["w5"] = weights(4, 8)
    return save(path, nodes, constants, ["alpha", "e"], (1, 3, side, side), kind, **more)
