"""ONNX files, read and written.

Of ONNX's format, which is a protocol buffer, only the fields that are needed here are described;
protobuf keeps the others as they are.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from ferrari.networks.weight_files import ModelError

#: An ONNX ModelProto, or a part of one.
Message = Any

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
#: Numbers of fields of _FIELDS that `outline` looks for: of Model, of Graph, of Tensor.
_GRAPH, _NOTE = 7, 14
_INITIALIZER, _INPUT, _OUTPUT = 5, 11, 12
_TENSOR_NAME = 8


def read(path: str | os.PathLike) -> Message:
    """The graph in an ONNX file, with weights that are kept in blocks as floats (`needs_floats`).

    Raises ModelError for a file that is none, or has its weights beside it.
    """
    from google.protobuf.message import DecodeError

    try:
        model = messages()["Model"].FromString(Path(path).read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is no ONNX file, or a damaged one ({error})") from error
    if not model.graph.node:
        raise ModelError(f"{path} is no ONNX file: there is no network in it")
    if any(tensor.data_location for tensor in model.graph.initializer):
        raise ModelError(f"{path} has its weights in files beside it; save it as one file")
    _weights_to_floats(model)
    return model


def outline(path: str | os.PathLike) -> Message:
    """What an ONNX file says of its graph: inputs, outputs, names of weights, notes. No node and no
    weight is read, so that a file of a gigabyte takes milliseconds.

    Raises ModelError for a file that is none, or that is cut off.
    """
    from google.protobuf.message import DecodeError

    model = messages()["Model"]()
    try:
        with _mapped(path) as data:
            for number, begin, end in _parts(data, 0, len(data)):
                if number == _NOTE:
                    model.metadata_props.add().MergeFromString(data[begin:end])
                elif number == _GRAPH:
                    _outline_graph(model.graph, data, begin, end)
    except (DecodeError, IndexError, ValueError) as error:  # ValueError: nothing to map in it
        raise ModelError(f"{path} is no ONNX file, or a damaged one ({error})") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    if not model.graph.output or weights.issuperset(value.name for value in model.graph.input):
        raise ModelError(f"{path} is no ONNX file: there is no network in it")
    return model


def _outline_graph(graph: Message, data: mmap.mmap, begin: int, end: int) -> None:
    values = {_INPUT: graph.input, _OUTPUT: graph.output}
    for number, start, stop in _parts(data, begin, end):
        if number in values:
            values[number].add().MergeFromString(data[start:stop])
        elif number == _INITIALIZER:
            names = [data[a:b] for n, a, b in _parts(data, start, stop) if n == _TENSOR_NAME]
            graph.initializer.add(name=b"".join(names).decode())


def _parts(data: mmap.mmap, begin: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The fields of a protocol buffer: number, and where its bytes begin and end. Raises IndexError
    where they do not end within it.
    https://protobuf.dev/programming-guides/encoding/
    """
    at = begin
    while at < end:
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            size = _varint(data, at)[1] - at
        elif kind == 2:
            size, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            size = 0
        if kind not in (0, 1, 2, 5) or not tag >> 3:
            raise IndexError(f"byte {at} begins no field")
        if at + size > end:
            raise IndexError(f"it ends {at + size - end:,} bytes too early")
        yield tag >> 3, at, at + size
        at += size


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """The number that begins there, and where it ends."""
    number, shift = 0, 0
    while True:
        byte = data[at]
        number, at, shift = number | (byte & 0x7F) << shift, at + 1, shift + 7
        if byte < 0x80:
            return number, at


@contextlib.contextmanager
def _mapped(path: str | os.PathLike) -> Iterator[mmap.mmap]:
    """A file as bytes of which only those are read that are looked at. ValueError for an empty
    one.
    """
    with open(path, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


def needs_floats(path: str | os.PathLike) -> bool:
    """True for an ONNX file that may keep its weights as integers in blocks, each block with a
    scale of its own. That is new in ONNX, and no runtime here takes all such files as they are.
    """
    if not Path(path).stat().st_size:
        return False
    with _mapped(path) as data:
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
    nodes = [copied(node) for node in model.graph.node if node.output[0] not in floats]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    for name in floats.keys() & used:
        add_constant(model, name, floats[name])
    fed = first_input(model).name
    for index in reversed(range(len(model.graph.input))):
        if model.graph.input[index].name != fed:  # old files list weights too, under names that go
            del model.graph.input[index]
    prune(model)


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
def messages() -> dict[str, Any]:
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


def shape(value: Message) -> list[int | None] | None:
    """The sizes of an input or an output; None for one that may be any (some exporters write 0 or
    -1 then), or for all of it where the file does not say.
    """
    about = value.type.tensor_type
    if not about.HasField("shape"):
        return None
    return [dim.dim_value if dim.dim_value > 0 else None for dim in about.shape.dim]


def input_shape(model: Message) -> list[int | None]:
    """The sizes of the first input; None for one that may be any."""
    return shape(first_input(model)) or []


def input_name(model: Message) -> str:
    """The name of the first input."""
    return first_input(model).name


def input_kind(model: Message) -> int:
    """The element type of the first input."""
    return first_input(model).type.tensor_type.elem_type


def first_input(model: Message) -> Message:
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


# --- writing ---------------------------------------------------------------------------------


def empty(operators: int, version: int) -> Message:
    """A graph of nothing, in that version of ONNX's operators and of its format."""
    model = messages()["Model"](ir_version=version)
    model.opset_import.add(domain="", version=operators)
    return model


def add_input(model: Message, name: str, shape: Sequence[int]) -> None:
    """Feed a graph floats of that shape."""
    value = model.graph.input.add(name=name)
    value.type.tensor_type.elem_type = FLOAT
    set_shape(value, shape)


def add_node(
    model: Message, kind: str, inputs: Sequence[str], output: str, about: Mapping[str, Any]
) -> None:
    """Have a graph compute one tensor more; `about` are the node's attributes."""
    node = model.graph.node.add(op_type=kind, name=output, input=inputs, output=[output])
    for name, value in about.items():
        set_attribute(node, name, value)


def add_constant(model: Message, name: str, values: np.ndarray) -> None:
    """Give a graph a tensor of weights."""
    kind = next(number for number, dtype in _DTYPES.items() if dtype == values.dtype)
    model.graph.initializer.add(
        name=name, data_type=kind, dims=list(values.shape), raw_data=values.tobytes()
    )


def set_attribute(node: Message, name: str, value: int | list[int] | str) -> None:
    """Give a node an attribute: a whole number, or several, or a word."""
    if isinstance(value, list):
        node.attribute.add(name=name, ints=value, type=7)
    elif isinstance(value, str):
        node.attribute.add(name=name, s=value.encode(), type=3)
    else:
        node.attribute.add(name=name, i=value, type=2)


def set_shape(value: Message, dims: Iterable[int | None]) -> None:
    """Say of which size a tensor is; None for a size that may be any."""
    shape = value.type.tensor_type.shape
    del shape.dim[:]
    for index, size in enumerate(dims):
        if size is None:
            shape.dim.add(dim_param=f"{value.name}_{index}")
        else:
            shape.dim.add(dim_value=size)


def copied(message: Message) -> Message:
    """The same message, which is part of nothing yet."""
    made = type(message)()
    made.CopyFrom(message)
    return made


def prune(model: Message) -> None:
    """Drop the nodes, and what is noted of tensors, that no output needs."""
    makes = {name: node for node in model.graph.node for name in node.output}
    wanted, needed = [value.name for value in model.graph.output], set()
    while wanted:
        name = wanted.pop()
        if name not in needed:
            needed.add(name)
            wanted += makes[name].input if name in makes else []
    nodes = [copied(node) for node in model.graph.node if needed & set(node.output)]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    for listed in (model.graph.initializer, model.graph.value_info):
        for index in reversed([i for i, one in enumerate(listed) if one.name not in needed]):
            del listed[index]
