"""ONNX networks through torch: what ONNX Runtime makes of them, on the CPU of both."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ferrari.networks import weight_files
from ferrari.networks.backends import onnx_file, torch_onnx
from ferrari.networks.network import NetworkRequest, open_here
from ferrari.networks.weight_files import ModelError
from tests.shared import shared
from tests.unit.networks import onnx_files


def alphas(runtime, path, pictures, **more):
    """The first output for each picture."""
    asked = {"outputs": (0,), "threads": 2, "any_size": True, "batch": 2, **more}
    digest = weight_files.digest(path)
    net = open_here(NetworkRequest.of(path, runtime, "cpu", digest, **asked))
    assert net.about["device"].startswith(f"cpu {runtime}") and net.about["batch"] == 2
    return [outputs[0].copy() for outputs in net.stream(pictures)]


@pytest.mark.parametrize("kind", [onnx_file.FLOAT, onnx_file.HALF], ids=["float", "half"])
def test_torch_gives_what_onnxruntime_gives_at_any_size(tmp_path, kind):
    path = onnx_files.u_net(tmp_path / "net.onnx", kind=kind)
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (*s, 3), np.uint8) for s in ((64, 64), (64, 64), (32, 96))]
    scale = {"mean": (128.0,) * 3, "std": (256.0,) * 3}
    ours, theirs = (alphas(r, path, pictures, **scale) for r in ("torch", "onnxruntime"))
    allowed = 2e-3 if kind == onnx_file.HALF else 1e-5
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=allowed, rtol=0)
    assert torch_onnx.problem(path) == ""


def test_a_graph_with_another_operation_is_refused_by_its_name(tmp_path):
    nodes = [("Relu", ["x"], "z", {}), ("Softplus", ["z"], "y", {})]
    path = onnx_files.save(tmp_path / "net.onnx", nodes, {}, ["y"])
    assert torch_onnx.problem(path) == "it has a Softplus"
    with pytest.raises(ModelError, match="does not run a Softplus; install onnxruntime-gpu"):
        alphas("torch", path, [], any_size=False)


def test_nodes_may_stand_in_any_order(tmp_path):
    """As converters to half precision leave them, which put their casts at the end."""
    path = onnx_files.u_net(tmp_path / "net.onnx")
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    (wanted,) = alphas("torch", path, [picture])
    model = onnx_file.read(path)
    nodes = list(reversed(onnx_file.in_order(model)))
    kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    path.write_bytes(model.SerializeToString())
    np.testing.assert_array_equal(alphas("torch", path, [picture])[0], wanted)


@pytest.mark.real
def test_isnet_through_torch_is_isnet():
    weights = shared("weights/isnet-general-use.fp16.onnx")
    picture = shared("media/gt/chroma_mdn_man/img/00440.jpg")
    image = cv2.resize(cv2.imread(str(picture)), (448, 512))[..., ::-1].copy()
    entry = weight_files.table()["models"]["isnet"]["input"]
    scale = {"mean": tuple(entry["mean"]), "std": tuple(entry["std"])}
    ours, theirs = (alphas(r, weights, [image], **scale)[0] for r in ("torch", "onnxruntime"))
    assert np.abs(ours - theirs).max() < 0.5 / 255
    assert torch_onnx.problem(weights) == ""
