"""Which runtime has which weights, on a machine whose card works with some of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferrari.networks import placement, segmenters
from ferrari.networks.backends import onnx_runtime, torch_runtime
from ferrari.networks.placement import Place
from ferrari.processes import devices
from ferrari.processes.devices import DeviceError
from tests.unit.networks import onnx_files


@pytest.fixture
def card(monkeypatch):
    """A machine with two cards; `works` are the runtimes that can use them."""

    def with_runtimes(*works):
        monkeypatch.setattr(devices, "cuda_devices", lambda: 2)
        for name, module, asked in (
            ("onnxruntime", onnx_runtime, "runtime_problem"),
            ("torch", torch_runtime, "problem"),
        ):
            why = "" if name in works else f"{name} cannot use it; install another {name}"
            monkeypatch.setattr(module, asked, lambda index, why=why: why)

    return with_runtimes


@pytest.fixture
def net(tmp_path):
    return onnx_files.u_net(tmp_path / "net.onnx")


def test_an_alpha_network_takes_the_best_runtime_that_works(card, net, tmp_path):
    card("onnxruntime", "torch")
    assert placement.of_alpha_net(net, "auto") == Place("cuda:0", "onnxruntime")
    assert placement.of_alpha_net(net, "cuda:1") == Place("cuda:1", "onnxruntime")
    assert placement.of_alpha_net(net, "cpu") == Place("cpu", "openvino")
    card("torch")
    assert placement.of_alpha_net(net, "auto") == Place("cuda:0", "torch")
    other = [("Softplus", ["x"], "y", {})]
    strange = onnx_files.save(tmp_path / "strange.onnx", other, {}, ["y"])
    assert placement.of_alpha_net(strange, "auto") == Place("cpu", "openvino")
    with pytest.raises(DeviceError, match=r"install another onnxruntime; and it has a Softplus"):
        placement.of_alpha_net(strange, "cuda")
    card()
    with pytest.raises(DeviceError, match=r"another onnxruntime; and torch cannot use it; install"):
        placement.of_alpha_net(net, "cuda")


@pytest.mark.parametrize(
    ("file", "works", "found"),
    [
        ("a.pt", ("torch",), Place("cuda:0", "ultralytics")),
        ("a.pt", ("onnxruntime",), Place("cpu", "ultralytics")),
        ("a.onnx", ("onnxruntime",), Place("cuda:0", "onnxruntime")),
        ("a.onnx", ("torch",), Place("cpu", "openvino-yolo")),
        ("a_openvino_model", ("onnxruntime", "torch"), Place("cpu", "ultralytics")),
    ],
)
def test_yolo_weights_run_where_their_kind_can(card, tmp_path, file, works, found):
    card(*works)
    assert placement.of_yolo(tmp_path / file, "auto") == found


def test_an_export_for_the_cpu_takes_the_fast_way_there_though_there_is_a_card(card):
    card("onnxruntime", "torch")
    demo = Path(__file__).parents[3] / "models/demo/person-seg_openvino_model"
    assert placement.of_yolo(demo, "auto") == Place("cpu", "openvino-yolo")
    with pytest.raises(DeviceError, match="those run on the CPU"):
        placement.of_yolo(demo, "cuda")


def test_an_engine_needs_tensorrt_and_a_card(card, monkeypatch):
    card("torch")
    with pytest.raises(DeviceError, match=r"TensorRT is not installed.*\.pt or \.onnx"):
        placement.of_yolo("a.engine", "auto")
    monkeypatch.setattr(placement.importlib.util, "find_spec", lambda name: name == "tensorrt")
    assert placement.of_yolo("a.engine", "auto") == Place("cuda:0", "ultralytics")
    with pytest.raises(DeviceError, match="NVIDIA GPU alone"):
        placement.of_yolo("a.engine", "cpu")


def test_both_networks_of_a_pair_run_on_the_same_device(card, net):
    card("onnxruntime", "torch")
    assert segmenters.place_of("ram", [net, "sam.pt"], "auto").device == "cuda:0"
    card("onnxruntime")
    assert segmenters.place_of("ram", [net, "sam.pt"], "auto") == Place("cpu", "openvino")
    with pytest.raises(DeviceError, match="another torch"):
        segmenters.place_of("ram", [net, "sam.pt"], "cuda")
