"""What goes wrong with weights of the user's own is told of the weights, and not as a defect."""

from __future__ import annotations

import numpy as np
import pytest

from ferrari.common.atomic_files import sha256_path
from ferrari.jobs import error_advice
from ferrari.networks import network, segmenters, weight_files
from ferrari.networks.backends import yolo_finder
from ferrari.networks.network import NetworkRequest, open_here
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import ModelError
from tests.unit.networks import onnx_files
from tests.unit.networks.test_segmenters import ALPHA, UNIT, save_net

PICTURE = np.zeros((32, 32, 3), np.uint8)


def opened(path, runtime):
    return open_here(NetworkRequest.of(path, runtime, "cpu", sha256_path(path), outputs=(0,)))


@pytest.mark.parametrize("runtime", ["openvino", "onnxruntime"])
def test_a_picture_that_they_do_not_take_is_told_of_them(tmp_path, runtime):
    net = opened(onnx_files.u_net(tmp_path / "net.onnx", side=64), runtime)
    told = f"{runtime} could not run a picture through the weights {tmp_path / 'net.onnx'}, which"
    with pytest.raises(ModelError) as refused:
        list(net.stream([PICTURE]))
    assert str(refused.value).startswith(f"{told} models.yaml does not list: ")
    assert "They are damaged, or a network for something else" in str(refused.value)
    assert "defect" not in error_advice.of_error(refused.value)


@pytest.mark.parametrize("runtime", ["openvino", "openvino-yolo"])
def test_what_cannot_be_loaded_is_told_of_them(tmp_path, runtime):
    path = tmp_path / "net.onnx"
    path.write_bytes(bytes(range(99)))
    with pytest.raises(ModelError, match=f"^{runtime} could not load the weights {path}"):
        opened(path, runtime)


def test_what_goes_wrong_before_them_is_none_of_theirs(tmp_path):
    net = opened(onnx_files.u_net(tmp_path / "net.onnx", side=64), "openvino")

    def pictures():
        yield np.zeros((64, 64, 3), np.uint8)
        raise KeyError("a fault of ours")

    with pytest.raises(KeyError, match="a fault of ours"):
        list(net.stream(pictures()))


@pytest.mark.parametrize(
    "error", [OSError(5, "disk"), MemoryError(), RuntimeError("CUDA error: an illegal access")]
)
def test_a_fault_of_the_machine_is_none_of_theirs(tmp_path, monkeypatch, error):
    def fail(request):
        raise error

    monkeypatch.setitem(network._RUNTIMES, "openvino", fail)
    with pytest.raises(type(error)) as raised:
        opened(onnx_files.u_net(tmp_path / "net.onnx"), "openvino")
    assert raised.value is error


def test_listed_weights_are_ours_to_answer_for(tmp_path, monkeypatch):
    path = onnx_files.u_net(tmp_path / "net.onnx", side=64)
    monkeypatch.setattr(weight_files, "pins", lambda: frozenset({sha256_path(path)}))
    with pytest.raises(RuntimeError) as raised:
        list(opened(path, "openvino").stream([PICTURE]))
    assert not isinstance(raised.value, ModelError)


def test_an_output_that_is_no_alpha_is_told_and_makes_no_mask(tmp_path):
    """Of a file that says nothing of its output; as a mask it was stripes."""

    def make(node, op):
        plane = op.gather(node, op.constant([0]), op.constant(1))
        return [op.reshape(plane, op.constant([1, 256, 1]), False)]

    path = save_net(tmp_path / "net", make)
    asked = segmenters.Asked({"input": UNIT, "output": ALPHA})
    net = segmenters.load("isnet", path, "cpu", asked, threads=1)
    with pytest.raises(ModelError) as refused:
        list(net.alpha([PICTURE]))
    assert f"{path} gives 256 x 1 for a picture of 16 x 16, which is no alpha of it: " in str(
        refused.value
    )


def test_a_yolo_network_for_poses_is_told_when_it_is_loaded(tmp_path):
    """It would find nobody: what stands behind its boxes is no score of a class."""
    nodes = [("Identity", ["x"], "y", {})]
    notes = {"names": {0: "person"}, "task": "pose"}
    path = onnx_files.save(tmp_path / "net.onnx", nodes, {}, ["y"], **notes)
    place = Place("cpu", "onnxruntime")
    with pytest.raises(ModelError, match=r"is a YOLO network for another task \(pose\)"):
        yolo_finder.open_yolo(path, place, sha256_path(path), open_here, "person")
