"""Networks of TensorFlow.js as ONNX, with known answers."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest

from ferrari.networks import weight_files
from ferrari.networks.backends import tfjs_graph
from ferrari.networks.network import NetworkRequest, open_here
from ferrari.networks.weight_files import ModelError

RNG = np.random.default_rng(1)
#: Names in the order in which the weights lie in the file; half precision but for the axes.
WEIGHTS = {
    "kernel": RNG.normal(0, 0.5, (3, 3, 3, 4)).astype(np.float16),
    "bias": RNG.normal(0, 1, (1, 1, 1, 4)).astype(np.float16),
    "six": np.array(6, np.float16),
    "nought": np.array(0, np.float16),
    "deep": RNG.normal(0, 1, (3, 2, 4, 1)).astype(np.float16),
    "scale": RNG.normal(0, 1, 4).astype(np.float16),
    "axes": np.array([1, 2], np.int32),
}


def word(text):
    return {"s": base64.b64encode(text.encode()).decode()}


def convolved(name, kind, inputs, stride, **more):
    about = {
        "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}},
        "dilations": {"list": {"i": ["1"] * 4}},
        "padding": word("SAME"),
        "data_format": word("NHWC"),
        **more,
    }
    return {"name": name, "op": kind, "input": inputs, "attr": about}


def node(name, kind, *inputs):
    return {"name": name, "op": kind, "input": list(inputs), "attr": {}}


def described(nodes=None, height=9, width=6):
    """The JSON file of a small network; one of its operations is not on the way to the output."""
    dims = [{"size": str(size)} for size in (-1, height, width, 3)]
    graph = nodes or [
        convolved("conv", "Conv2D", ["x", "kernel"], 2),
        node("biased", "Add", "conv", "bias"),
        node("relu", "Relu", "biased"),
        node("low", "Minimum", "relu", "six"),
        node("both", "Maximum", "low", "nought"),
        convolved("deeper", "DepthwiseConv2dNative", ["both", "deep"], 1),
        node("scaled", "Mul", "deeper", "scale"),
        node("mean", "Mean", "scaled", "axes"),
        node("aside", "Erf", "mean"),
    ]
    first = {"name": "x", "op": "Placeholder", "attr": {"shape": {"shape": {"dim": dims}}}}
    constants = [{"name": name, "op": "Const"} for name in WEIGHTS]
    listed = [
        {"name": name, "shape": list(values.shape), "dtype": "float32",
         "quantization": {"dtype": "float16"}}
        if values.dtype == np.float16
        else {"name": name, "shape": list(values.shape), "dtype": "int32"}
        for name, values in WEIGHTS.items()
    ]  # fmt: skip
    return json.dumps(
        {
            "modelTopology": {"node": [*graph, first, *constants]},
            "weightsManifest": [{"paths": ["net.bin"], "weights": listed}],
        }
    ).encode()


def data():
    return b"".join(values.tobytes() for values in WEIGHTS.values())


def expected(picture):
    """What TensorFlow makes of it: its SAME padding puts what is left over right and below."""
    values = convolution(picture.astype(float), WEIGHTS["kernel"].astype(float), 2)
    values = np.clip(values + WEIGHTS["bias"].astype(float)[0], 0, 6)
    kernel = np.zeros((3, 2, 4, 4))
    for channel in range(4):
        kernel[:, :, channel, channel] = WEIGHTS["deep"][:, :, channel, 0]
    return (convolution(values, kernel, 1) * WEIGHTS["scale"]).mean((0, 1))


def convolution(values, kernel, stride):
    (high, wide), reach = values.shape[:2], kernel.shape[:2]
    out = [-(-side // stride) for side in (high, wide)]
    more = [
        max(0, (o - 1) * stride + k - s) for o, k, s in zip(out, reach, (high, wide), strict=True)
    ]
    padded = np.pad(values, [*((m // 2, m - m // 2) for m in more), (0, 0)])
    found = np.zeros((*out, kernel.shape[3]))
    for row in range(out[0]):
        for column in range(out[1]):
            y, x = row * stride, column * stride
            part = padded[y : y + reach[0], x : x + reach[1]]
            found[row, column] = np.einsum("ijc,ijco->o", part, kernel)
    return found


#: A mean of two by two pixels; nine by six are in the picture.
KSIZE = {"ksize": {"list": {"i": ["1", "2", "2", "1"]}}}
#: Weights of the second network, which has what a network for masks has.
MASKING = {
    "kernel": RNG.normal(0, 1, (3, 3, 3, 4)).astype(np.float16),
    "size": np.array([8, 12], np.int32),
    "up": RNG.normal(0, 1, (2, 2, 1, 4)).astype(np.float16),
}


def masking():
    """Its JSON file: a branch that weighs channels by their mean, and two ways of enlarging."""
    whole = {"ksize": {"list": {"i": ["1", "4", "6", "1"]}}}
    half = {"half_pixel_centers": {"b": True}}
    graph = [
        convolved("conv", "Conv2D", ["x", "kernel"], 1, padding=word("VALID")),
        node("clipped", "Relu6", "conv"),
        {**node("pooled", "AvgPool", "clipped"), "attr": whole},
        node("weights", "Sigmoid", "pooled"),
        node("weighed", "Mul", "clipped", "weights"),
        node("both", "AddV2", "weighed", "clipped"),
        {**node("larger", "ResizeBilinear", "both", "size"), "attr": half},
        convolved("mask", "Conv2DBackpropInput", ["size", "up", "larger"], 2),
    ]
    told = json.loads(described(graph, 6, 8))
    kinds = {np.dtype(np.float16): "float32", np.dtype(np.int32): "int32"}
    told["modelTopology"]["node"] += [{"name": name, "op": "Const"} for name in ("size", "up")]
    told["weightsManifest"][0]["weights"] = [
        {"name": name, "shape": list(values.shape), "dtype": kinds[values.dtype]}
        | ({"quantization": {"dtype": "float16"}} if values.dtype == np.float16 else {})
        for name, values in MASKING.items()
    ]
    return json.dumps(told).encode(), b"".join(values.tobytes() for values in MASKING.values())


def masked(picture):
    """What TensorFlow makes of it."""
    kernel, up = (MASKING[name].astype(float) for name in ("kernel", "up"))
    windows = np.lib.stride_tricks.sliding_window_view(picture.astype(float), (3, 3), (0, 1))
    values = np.clip(np.einsum("yxcij,ijco->yxo", windows, kernel), 0, 6)
    values = values * (1 / (1 + np.exp(-values.mean((0, 1))))) + values
    larger = cv2.resize(values, (12, 8), interpolation=cv2.INTER_LINEAR)
    return np.einsum("yxc,ijoc->yixj", larger, up).reshape(16, 24)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_a_network_for_masks_gives_what_tensorflow_gives(tmp_path, runtime):
    path = tmp_path / "net.onnx"
    path.write_bytes(tfjs_graph.to_onnx(*masking(), "mask"))
    pictures = [RNG.integers(0, 4, (6, 8, 3), np.uint8) for _ in range(3)]
    asked = {"std": (1.0,) * 3, "outputs": (0,), "exact": True, "threads": 1, "batch": 2}
    net = open_here(NetworkRequest.of(path, runtime, "cpu", weight_files.digest(path), **asked))
    assert net.about["batch"] == 2
    for picture, (found,) in zip(pictures, net.stream(pictures), strict=True):
        np.testing.assert_allclose(found[0], masked(picture), atol=1e-3)


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime", "torch"])
def test_it_gives_what_tensorflow_gives(tmp_path, runtime):
    for height, width in ((9, 6), (8, 8)):
        path = tmp_path / f"{height}.onnx"
        path.write_bytes(tfjs_graph.to_onnx(described(None, height, width), data(), "mean"))
        pictures = [RNG.integers(0, 3, (height, width, 3), np.uint8) for _ in range(3)]
        asked = {"std": (1.0,) * 3, "outputs": (0,), "exact": True, "threads": 1, "batch": 2}
        digest = weight_files.digest(path)
        net = open_here(NetworkRequest.of(path, runtime, "cpu", digest, **asked))
        assert net.about["batch"] == 2
        for picture, (found,) in zip(pictures, net.stream(pictures), strict=True):
            np.testing.assert_allclose(found.ravel(), expected(picture), atol=1e-4)


def test_it_has_the_same_bytes_every_time_and_names_its_weights():
    assert tfjs_graph.weight_names(described()) == ["net.bin"]
    assert len({tfjs_graph.to_onnx(described(), data(), "mean") for _ in range(3)}) == 1


@pytest.mark.parametrize(
    ("nodes", "output", "said"),
    [
        ([node("y", "Erf", "x")], "y", "a Erf of TensorFlow.js is not read"),
        ([node("y", "AddN", "x", "bias", "scale")], "y", "joins what is not read"),
        ([node("y", "Mean", "x", "kernel")], "y", "other axes"),
        ([convolved("y", "Conv2D", ["x", "kernel"], 1, padding=word("EXPLICIT"))], "y", "padded"),
        ([{**node("y", "AvgPool", "x"), "attr": KSIZE}], "y", "a mean of parts"),
        ([node("y", "ResizeBilinear", "x", "axes")], "y", "resized in a way"),
        ([node("y", "Relu", "x")], "z", "the network has no z"),
    ],
)
def test_what_is_not_read_is_told(nodes, output, said):
    with pytest.raises(ModelError, match=said):
        tfjs_graph.to_onnx(described(nodes), data(), output)


def test_damaged_files_are_told():
    with pytest.raises(ModelError, match=r"no graph model of TensorFlow\.js"):
        tfjs_graph.to_onnx(b"{}", data(), "mean")
    with pytest.raises(ModelError, match="end too early"):
        tfjs_graph.to_onnx(described(), data()[:-1], "mean")
    with pytest.raises(ModelError, match="bytes of weights"):
        tfjs_graph.to_onnx(described(), data() + b"more", "mean")
