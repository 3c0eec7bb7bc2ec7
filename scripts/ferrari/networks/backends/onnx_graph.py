"""ONNX graphs changed: fed with pictures, for other batches and sizes than exported.

Changed graphs give the bits that the exported ones give (tests/unit/networks/test_onnx_graph.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ferrari.common.progress import LOGGER
from ferrari.networks.backends import onnx_file
from ferrari.networks.backends.onnx_file import FLOAT, HALF, UINT8, Message
from ferrari.networks.weight_files import ModelError

if TYPE_CHECKING:
    from ferrari.networks.network import NetworkRequest

#: The shapes of tensors by their names, of those whose shape is known.
Shapes = Mapping[str, Sequence[int]]

#: Gives those of a graph's tensors that are named.
ShapesOf = Callable[[Message, Sequence[str]], Shapes]

#: What computes each picture of a batch by itself, whatever their size, if its constants do not
#: run along the batch (Concat and Softmax: if their axis is another).
_ANY_PICTURES = frozenset(
    ("Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "Conv",
     "ConvTranspose", "Div", "Dropout", "GlobalAveragePool", "HardSigmoid", "HardSwish", "Identity",
     "InstanceNormalization", "LeakyRelu", "MaxPool", "Mul", "PRelu", "Relu", "Resize", "Sigmoid",
     "Softmax", "Sub", "Tanh")
)  # fmt: skip
#: What makes a row of values of each picture: by itself, if it leaves the batch's axis in front.
_ROWS_OF_PICTURES = frozenset(("Flatten", "Gemm", "Reshape", "Transpose"))


def keep_outputs(model: Message, indices: Sequence[int]) -> None:
    """Leave a graph only those outputs, in that order, and what they are computed from."""
    if indices:
        kept = [onnx_file.copied(model.graph.output[index]) for index in indices]
        del model.graph.output[:]
        model.graph.output.extend(kept)
    onnx_file.prune(model)


def feed_pictures(model: Message, mean: Sequence[float], std: Sequence[float]) -> None:
    """Feed a graph NxHxWx3 uint8 RGB: (rgb - mean) / std and the planes' order become part of it.

    The floats are those of `input_tensors.scale_table`.
    """
    messages, graph, value = onnx_file.messages(), model.graph, onnx_file.first_input(model)
    name, kind, dims = value.name, value.type.tensor_type.elem_type, onnx_file.input_shape(model)
    steps: list[tuple[str, list, dict]] = [
        ("Transpose", [], {"perm": [0, 3, 1, 2]}),
        ("Cast", [], {"to": FLOAT}),
    ]
    steps += [("Sub", [mean], {})] if any(mean) else []
    steps += [("Div", [std], {})]
    steps += [("Cast", [], {"to": HALF})] if kind == HALF else []
    last = "pictures"
    value.name = last
    nodes = []
    for index, (op, operands, about) in enumerate(steps):
        made = name if index == len(steps) - 1 else f"pictures_{index}"
        node = messages["Node"](op_type=op, input=[last], output=[made], name=f"{made}_{op}")
        for values in operands:
            node.input.append(f"{made}_values")
            onnx_file.add_constant(
                model, node.input[-1], np.array(values, np.float32).reshape(1, 3, 1, 1)
            )
        for key, number in about.items():
            onnx_file.set_attribute(node, key, number)
        nodes.append(node)
        last = made
    nodes += [onnx_file.copied(node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    value.type.tensor_type.elem_type = UINT8
    onnx_file.set_shape(value, [dims[0], dims[2], dims[3], 3])


def prepare(request: NetworkRequest, shapes_of: ShapesOf) -> tuple[Message, int | None]:
    """The graph that a request asks for, and the batch that it is made for, None for any.

    Raises ModelError for a graph of one size that has to take others.
    """
    model = onnx_file.read(request.path)
    keep_outputs(model, request.outputs)
    problem = free(model, shapes_of, request.any_size)
    if problem and request.any_size:
        raise ModelError(
            f"{request.path} takes pictures of one size only: {problem}; set mask.input: square"
        )
    fixed = onnx_file.input_shape(model)[0]
    if problem and fixed == 1 and request.batch > 1:
        LOGGER.info("%s takes one picture at a time: %s", request.path, problem)
    return model, fixed


def free(model: Message, shapes_of: ShapesOf, any_size: bool) -> str:
    """Let a graph that was exported for one picture take any number, and with `any_size` pictures
    of any size that its strides divide (in place). Returns why it cannot, or "".

    The sizes to which such an export enlarges its feature maps are constants; here they become
    factors. `shapes_of` gives the shapes of a graph's tensors.
    """
    wanted = [None, 3, None, None] if any_size else [None, *onnx_file.input_shape(model)[1:]]
    if onnx_file.input_shape(model) == wanted:
        return ""  # its exporter has promised that already
    problem = _enlarge_by_factors(model, shapes_of) or _unfit(model, any_size)
    if problem:
        return problem
    _free_reshapes(model)
    onnx_file.set_shape(onnx_file.first_input(model), wanted)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return ""


def _enlarge_by_factors(model: Message, shapes_of: ShapesOf) -> str:
    resizes = [n for n in model.graph.node if n.op_type == "Resize" and len(n.input) == 4]
    names = [name for node in resizes for name in (node.input[0], node.output[0])]
    shapes = shapes_of(model, names) if names else {}
    for node in resizes:
        before, after = (shapes.get(name, ()) for name in (node.input[0], node.output[0]))
        if len(before) != 4 or len(after) != 4 or tuple(before[:2]) != tuple(after[:2]):
            return f"{node.name} enlarges {list(before)} to {list(after)}"
        factors = np.array(after, np.float32) / np.array(before, np.float32)
        if (np.floor(np.array(before, np.float32) * factors) != after).any():
            return f"{node.name} enlarges by {factors.tolist()}, which rounds to another size"
        onnx_file.add_constant(model, f"{node.output[0]}_factors", factors)
        node.input[2] = f"{node.output[0]}_factors"
        del node.input[3]
    onnx_file.prune(model)
    return ""


def _unfit(model: Message, any_size: bool) -> str:
    """Why a graph's pictures, or their sizes, are not free of those it was exported for, or ""."""
    sizes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    sizes |= {
        node.output[0]: list(onnx_file.attributes(node)["value"].dims)
        for node in model.graph.node
        if node.op_type == "Constant" and "value" in onnx_file.attributes(node)
    }
    numbers = onnx_file.constants(model)
    for node in model.graph.node:
        rows = node.op_type in _ROWS_OF_PICTURES and _leaves_batch(node, numbers, any_size)
        if node.op_type not in _ANY_PICTURES and not rows:
            return f"it has a {node.op_type} ({node.name})"
        axis = onnx_file.attributes(node).get("axis", 1 if node.op_type == "Concat" else -1)
        if node.op_type in ("Concat", "Softmax") and axis in (0, -4):
            return f"{node.name} works along the batch"
        if node.op_type in ("Add", "Sub", "Mul", "Div"):
            for dims in (sizes[name] for name in node.input if name in sizes):
                fixed = dims[:-3] + (dims[-2:] if any_size else [])
                if any(size != 1 for size in fixed):
                    return f"{node.name} has a constant of {dims}"
    return ""


def _leaves_batch(node: Message, numbers: Mapping[str, np.ndarray], any_size: bool) -> bool:
    """Whether one of _ROWS_OF_PICTURES treats each picture by itself (and those of any size)."""
    about = onnx_file.attributes(node)
    if node.op_type == "Transpose":
        return list(about.get("perm", ()))[:1] == [0]
    if node.op_type == "Reshape":
        shape = numbers.get(node.input[1], np.array([])).tolist()
        return node.input[0] not in numbers and shape[:1] in ([0], [1]) and -1 in shape
    if any_size:
        return False
    if node.op_type == "Flatten":
        return about.get("axis", 1) == 1
    return not about.get("transA") and all(name in numbers for name in node.input[1:])


def _free_reshapes(model: Message) -> None:
    """Reshapes that were exported for one picture keep as many as there are."""
    numbers = onnx_file.constants(model)
    for node in model.graph.node:
        if node.op_type == "Reshape" and numbers[node.input[1]][0] == 1:
            shape = numbers[node.input[1]].copy()
            shape[0] = 0  # as many as the input has
            name = f"{node.output[0]}_shape_of_any"
            onnx_file.add_constant(model, name, shape)
            node.input[1] = name
