"""ONNX graphs, read and changed: fed with pictures, for other batches and sizes than exported.

Changed graphs give the bits that the exported ones give (tests/unit/networks/test_onnx_graph.py).
Of ONNX's format, which is a protocol buffer, only the fields that are needed here are described;
protobuf keeps the others as they are.
"""

from __future__ import annotations

import ast
import functools
import mmap
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferrari.common.progress import LOGGER
from ferrari.networks.weight_files import ModelError

if TYPE_CHECKING:
    from ferrari.networks.network import NetworkRequest

#: An ONNX ModelProto, or a part of one.
Message = Any
#: The shapes of tensors by their names, of those whose shape is known.
Shapes = Mapping[str, Sequence[int]]

#: Gives those of a graph's tensors that are named.
ShapesOf = Callable[[Message, Sequence[str]], Shapes]

#: Element types of ONNX's tensors.
FLOAT, UINT8, INT8, INT64, HALF = 1, 2, 3, 7, 10
_DTYPES = {
    FLOAT: np.float32, UINT8: np.uint8, INT8: np.int8, INT64: np.int64, HALF: np.float16,
}  # fmt: skip
#: Of each message: its fields with their number and type, and * where there are several.
_FIELDS = {
    "Model": "ir_version 1 int64, graph 7 Graph, opset_import 8 Opset*, metadata_props 14 Entry*",
    "Opset": "domain 1 string, version 2 int64",
    "Entry": "key 1 string, value 2 string",
    "Graph": "node 1 Node*, name 2 string, initializer 5 Tensor*, input 11 Value*, "
    "output 12 Value*, value_info 13 Value*",
    "Node": "input 1 string*, output 2 string*, name 3 string, op_type 4 string, "
    "attribute 5 Attribute*",
    "Attribute": "name 1 string, f 2 float, i 3 int64, s 4 bytes, t 5 Tensor, floats 7 float*, "
    "ints 8 int64*, type 20 int32",
    "Tensor": "dims 1 int64*, data_type 2 int32, float_data 4 float*, int64_data 7 int64*, "
    "name 8 string, raw_data 9 bytes, data_location 14 int32",
    "Value": "name 1 string, type 2 Type",
    "Type": "tensor_type 1 TensorType",
    "TensorType": "elem_type 1 int32, shape 2 Shape",
    "Shape": "dim 1 Dimension*",
    "Dimension": "dim_value 1 int64, dim_param 2 string",
}
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


def read(path: str | os.PathLike) -> Message:
    """The graph in an ONNX file, with weights that are kept in blocks as floats (`needs_floats`).

    Raises ModelError for a file that is none, or has its weights beside it.
    """
    from google.protobuf.message import DecodeError

    try:
        model = _messages()["Model"].FromString(Path(path).read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is no ONNX file, or a damaged one ({error})") from error
    if not model.graph.node:
        raise ModelError(f"{path} is no ONNX file: there is no network in it")
    if any(tensor.data_location for tensor in model.graph.initializer):
        raise ModelError(f"{path} has its weights in files beside it; save it as one file")
    _weights_to_floats(model)
    return model


def needs_floats(path: str | os.PathLike) -> bool:
    """True for an ONNX file that may keep its weights as integers in blocks, each block with a
    scale of its own. That is new in ONNX, and no runtime here takes all such files as they are.
    """
    if not Path(path).stat().st_size:
        return False
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"block_size") >= 0


def _weights_to_floats(model: Message) -> None:
    """Put the floats that they stand for in the place of weights that are integers in blocks."""
    if all(node.op_type != "DequantizeLinear" for node in model.graph.node):
        return
    values = {t.name: t for t in model.graph.initializer}
    floats: dict[str, np.ndarray] = {}
    for node in in_order(model):
        about = attributes(node)
        if node.op_type == "DequantizeLinear" and about.get("block_size"):
            if all(name in values for name in node.input if name):
                floats[node.output[0]] = _dequantized(node, values)
        elif node.op_type == "Reshape" and node.input[0] in floats and node.input[1] in values:
            shape = array(values[node.input[1]]).tolist()
            floats[node.output[0]] = floats[node.input[0]].reshape(shape)
    if not floats:
        return
    nodes = [_copy(node) for node in model.graph.node if node.output[0] not in floats]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for name in floats.keys() & used:
        add_constant(model, name, floats[name])
    fed = _input(model).name
    for index in reversed(range(len(model.graph.input))):
        if model.graph.input[index].name != fed:  # old files list weights too, under names that go
            del model.graph.input[index]
    _prune(model)


def _dequantized(node: Message, values: Mapping[str, Message]) -> np.ndarray:
    """(integer - zero point) * scale: https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html"""
    about = attributes(node)
    integers, scales, *zeros = (
        array(values[name]).astype(np.float32) for name in node.input if name
    )
    axis, size = about.get("axis", 1), about["block_size"]

    def spread(of_blocks: np.ndarray) -> np.ndarray:
        kept = np.arange(integers.shape[axis])
        return np.repeat(of_blocks, size, axis=axis).take(kept, axis=axis)

    return (integers - (spread(zeros[0]) if zeros else 0)) * spread(scales)


@functools.cache
def _messages() -> dict[str, Any]:
    """protobuf's class of each message of _FIELDS."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="onnx.proto", package="onnx", syntax="proto2")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            called, number, kind = field.split()
            label = kinds.LABEL_REPEATED if kind.endswith("*") else kinds.LABEL_OPTIONAL
            made = message.field.add(name=called, number=int(number), label=label)
            kind = kind.removesuffix("*")
            if kind in _FIELDS:
                made.type, made.type_name = kinds.TYPE_MESSAGE, f".onnx.{kind}"
            else:
                made.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"onnx.{name}") for name in _FIELDS}
    return {name: message_factory.GetMessageClass(kind) for name, kind in found.items()}


def notes(model: Message) -> dict[str, Any]:
    """What the exporter noted in a graph; what reads as a Python value is one."""
    found: dict[str, Any] = {}
    for entry in model.metadata_props:
        try:
            found[entry.key] = ast.literal_eval(entry.value)
        except (ValueError, SyntaxError):
            found[entry.key] = entry.value
    return found


def input_shape(model: Message) -> list[int | None]:
    """The sizes of the first input; None for one that may be any."""
    dims = _input(model).type.tensor_type.shape.dim
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in dims]


def input_name(model: Message) -> str:
    """The name of the first input."""
    return _input(model).name


def input_kind(model: Message) -> int:
    """The element type of the first input."""
    return _input(model).type.tensor_type.elem_type


def _input(model: Message) -> Message:
    """The first input that is no weight (old files list those too)."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return next(value for value in model.graph.input if value.name not in weights)


def array(tensor: Message) -> np.ndarray:
    """A tensor's values; ModelError for a kind that no network here has."""
    dtype = _DTYPES.get(tensor.data_type)
    if dtype is None:
        raise ModelError(f"an ONNX tensor of type {tensor.data_type} is not read here")
    if tensor.HasField("raw_data"):
        values = np.frombuffer(tensor.raw_data, np.dtype(dtype).newbyteorder("<")).astype(dtype)
    else:
        values = np.array(list(tensor.int64_data) or list(tensor.float_data), dtype)
    return values.reshape(list(tensor.dims))


def constants(model: Message) -> dict[str, np.ndarray]:
    """By name the values of those weights and constants that are read as integers or floats."""
    found = {t.name: array(t) for t in model.graph.initializer if t.data_type in _DTYPES}
    for node in model.graph.node:
        if node.op_type == "Constant" and attributes(node).get("value") is not None:
            tensor = attributes(node)["value"]
            if tensor.data_type in _DTYPES:
                found[node.output[0]] = array(tensor)
    return found


def in_order(model: Message) -> list[Message]:
    """The nodes, each behind those whose outputs it takes: not every converter leaves them so."""
    makes = {name: i for i, node in enumerate(model.graph.node) for name in node.output}
    needs = {
        i: [makes[name] for name in node.input if name in makes]
        for i, node in enumerate(model.graph.node)
    }
    return [model.graph.node[i] for i in TopologicalSorter(needs).static_order()]


def attributes(node: Message) -> dict[str, Any]:
    """A node's attributes by name: numbers, bytes, lists of numbers, or a tensor."""
    fields = {1: "f", 2: "i", 3: "s", 4: "t", 6: "floats", 7: "ints"}
    return {a.name: getattr(a, fields[a.type]) for a in node.attribute if a.type in fields}


# --- changing a graph ------------------------------------------------------------------------


def keep_outputs(model: Message, indices: Sequence[int]) -> None:
    """Leave a graph only those outputs, in that order, and what they are computed from."""
    if indices:
        kept = [_copy(model.graph.output[index]) for index in indices]
        del model.graph.output[:]
        model.graph.output.extend(kept)
    _prune(model)


def _copy(message: Message) -> Message:
    made = type(message)()
    made.CopyFrom(message)
    return made


def _prune(model: Message) -> None:
    """Drop the nodes, and what is noted of tensors, that no output needs."""
    makes = {name: node for node in model.graph.node for name in node.output}
    wanted, needed = [value.name for value in model.graph.output], set()
    while wanted:
        name = wanted.pop()
        if name not in needed:
            needed.add(name)
            wanted += makes[name].input if name in makes else []
    nodes = [_copy(node) for node in model.graph.node if needed & set(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for listed in (model.graph.initializer, model.graph.value_info):
        for index in reversed([i for i, one in enumerate(listed) if one.name not in needed]):
            del listed[index]


def feed_pictures(model: Message, mean: Sequence[float], std: Sequence[float]) -> None:
    """Feed a graph NxHxWx3 uint8 RGB: (rgb - mean) / std and the planes' order become part of it.

    The floats are those of `input_tensors.scale_table`.
    """
    messages, graph, value = _messages(), model.graph, _input(model)
    name, kind, dims = value.name, value.type.tensor_type.elem_type, input_shape(model)
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
            add_constant(model, node.input[-1], np.array(values, np.float32).reshape(1, 3, 1, 1))
        for key, number in about.items():
            _set_attribute(node, key, number)
        nodes.append(node)
        last = made
    nodes += [_copy(node) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    value.type.tensor_type.elem_type = UINT8
    _set_shape(value, [dims[0], dims[2], dims[3], 3])


def empty(operators: int, version: int) -> Message:
    """A graph of nothing, in that version of ONNX's operators and of its format."""
    model = _messages()["Model"](ir_version=version)
    model.opset_import.add(domain="", version=operators)
    return model


def add_input(model: Message, name: str, shape: Sequence[int]) -> None:
    """Feed a graph floats of that shape."""
    value = model.graph.input.add(name=name)
    value.type.tensor_type.elem_type = FLOAT
    _set_shape(value, shape)


def add_node(
    model: Message, kind: str, inputs: Sequence[str], output: str, about: Mapping[str, Any]
) -> None:
    """Have a graph compute one tensor more; `about` are the node's attributes, whole numbers."""
    node = model.graph.node.add(op_type=kind, name=output, input=inputs, output=[output])
    for name, value in about.items():
        _set_attribute(node, name, value)


def add_constant(model: Message, name: str, values: np.ndarray) -> None:
    """Give a graph a tensor of weights."""
    kind = next(number for number, dtype in _DTYPES.items() if dtype == values.dtype)
    model.graph.initializer.add(
        name=name, data_type=kind, dims=list(values.shape), raw_data=values.tobytes()
    )


def _set_attribute(node: Message, name: str, value: int | list[int]) -> None:
    if isinstance(value, list):
        node.attribute.add(name=name, ints=value, type=7)
    else:
        node.attribute.add(name=name, i=value, type=2)


def _set_shape(value: Message, dims: Iterable[int | None]) -> None:
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for index, size in enumerate(dims):
        if size is None:
            shape.dim.add(dim_param=f"{value.name}_{index}")
        else:
            shape.dim.add(dim_value=size)


def prepare(request: NetworkRequest, shapes_of: ShapesOf) -> tuple[Message, int | None]:
    """The graph that a request asks for, and the batch that it is made for, None for any.

    Raises ModelError for a graph of one size that has to take others.
    """
    model = read(request.path)
    keep_outputs(model, request.outputs)
    problem = free(model, shapes_of, request.any_size)
    if problem and request.any_size:
        raise ModelError(
            f"{request.path} takes pictures of one size only: {problem}; set mask.input: square"
        )
    fixed = input_shape(model)[0]
    if problem and fixed == 1 and request.batch > 1:
        LOGGER.info("%s takes one picture at a time: %s", request.path, problem)
    return model, fixed


def free(model: Message, shapes_of: ShapesOf, any_size: bool) -> str:
    """Let a graph that was exported for one picture take any number, and with `any_size` pictures
    of any size that its strides divide (in place). Returns why it cannot, or "".

    The sizes to which such an export enlarges its feature maps are constants; here they become
    factors. `shapes_of` gives the shapes of a graph's tensors.
    """
    wanted = [None, 3, None, None] if any_size else [None, *input_shape(model)[1:]]
    if input_shape(model) == wanted:
        return ""  # its exporter has promised that already
    problem = _enlarge_by_factors(model, shapes_of) or _unfit(model, any_size)
    if problem:
        return problem
    _free_reshapes(model)
    _set_shape(_input(model), wanted)
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
        add_constant(model, f"{node.output[0]}_factors", factors)
        node.input[2] = f"{node.output[0]}_factors"
        del node.input[3]
    _prune(model)
    return ""


def _unfit(model: Message, any_size: bool) -> str:
    """Why a graph's pictures, or their sizes, are not free of those it was exported for, or ""."""
    sizes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    sizes |= {
        node.output[0]: list(attributes(node)["value"].dims)
        for node in model.graph.node
        if node.op_type == "Constant" and "value" in attributes(node)
    }
    numbers = constants(model)
    for node in model.graph.node:
        rows = node.op_type in _ROWS_OF_PICTURES and _leaves_batch(node, numbers, any_size)
        if node.op_type not in _ANY_PICTURES and not rows:
            return f"it has a {node.op_type} ({node.name})"
        axis = attributes(node).get("axis", 1 if node.op_type == "Concat" else -1)
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
    about = attributes(node)
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
    numbers = constants(model)
    for node in model.graph.node:
        if node.op_type == "Reshape" and numbers[node.input[1]][0] == 1:
            shape = numbers[node.input[1]].copy()
            shape[0] = 0  # as many as the input has
            name = f"{node.output[0]}_shape_of_any"
            add_constant(model, name, shape)
            node.input[1] = name
