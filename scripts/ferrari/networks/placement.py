"""Where a network's weights run, and through which runtime, for a setting `device`.

Each kind of weights has the runtimes that can have it on a card, the best first. `auto` takes the
first that works there, and else the CPU; the log says once which it is and why.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ferrari.processes import devices
from ferrari.processes.devices import DeviceError, index_of

#: Why a runtime cannot use a device ('cuda:N') and what helps, or "".
_Problem = Callable[[str], str]


@dataclass(frozen=True)
class Place:
    """A device ('cpu' or 'cuda:N') and the runtime there, as NetworkRequest names it."""

    device: str
    runtime: str


MATTING_ON_CPU = Place("cpu", "numba")


def of_alpha_net(path: str | os.PathLike, device: str) -> Place:
    """Of a network that gives an alpha, scores or faces; DeviceError if `device` cannot be had."""
    return _place(device, "openvino", _alpha_runtimes(Path(path)))


def of_yolo(path: str | os.PathLike, device: str) -> Place:
    """Of YOLO weights; DeviceError for a device that cannot be had."""
    from ferrari.networks.backends import openvino_yolo

    path = Path(path)
    place = _place(device, "ultralytics", _yolo_runtimes(path))
    if place.device == "cpu" and path.suffix == ".engine":
        raise DeviceError(
            f"{path.name} is a TensorRT engine, which runs on an NVIDIA GPU alone, and "
            f"{_engine_problem() or 'there is none that works'}; give the .pt or .onnx that it was "
            "made from"
        )
    if place.device == "cpu" and openvino_yolo.runs(path):
        return Place("cpu", "openvino-yolo")
    return place


def of_torch(device: str) -> Place:
    """Of what torch alone runs (SAM, a captioner); DeviceError as above."""
    return _place(device, "torch", [("torch", _torch)])


def of_matting(segmenter: str, device: str) -> Place:
    """Of the equation of matting, whose segmenter runs on a device ('cpu', 'cuda:N'): beside it, if
    torch can use that card. DeviceError as above.
    """
    place = of_torch("cpu" if segmenter == "cpu" else device)
    return MATTING_ON_CPU if place.device == "cpu" else place


def _place(device: str, on_cpu: str, runtimes: Sequence[tuple[str, _Problem]]) -> Place:
    works: list[str] = []

    def problem(cuda: str) -> str:
        answers = []
        for runtime, asked in runtimes:
            answers.append(asked(cuda))
            if not answers[-1]:
                works.append(runtime)
                return ""
        return "; and ".join(answers)

    found = devices.resolve(device, problem)
    return Place(found, on_cpu if found == "cpu" else works[0])


def _alpha_runtimes(path: Path) -> list[tuple[str, _Problem]]:
    from ferrari.networks.backends import onnx_runtime

    if path.suffix != ".onnx":
        why = f"{path.name} is no ONNX file, and only those run there; give the ONNX file"
        return [("onnxruntime", lambda cuda: why)]
    return [
        ("onnxruntime", lambda cuda: onnx_runtime.runtime_problem(index_of(cuda))),
        ("torch", partial(_torch_onnx, path)),
    ]


def _yolo_runtimes(path: Path) -> list[tuple[str, _Problem]]:
    from ferrari.networks.backends import onnx_runtime

    if path.name.endswith("_openvino_model") or (path.is_dir() and any(path.glob("*.xml"))):
        why = f"{path.name} is an OpenVINO export, and those run on the CPU; give a .pt file"
        return [("ultralytics", lambda cuda: why)]
    if path.suffix == ".onnx":
        return [("onnxruntime", lambda cuda: onnx_runtime.runtime_problem(index_of(cuda)))]
    if path.suffix == ".engine" and (why := _engine_problem()):
        return [("ultralytics", lambda cuda: why)]
    return [("ultralytics", _torch)]


def _torch(cuda: str) -> str:
    from ferrari.networks.backends import torch_runtime

    return torch_runtime.problem(index_of(cuda))


def _torch_onnx(path: Path, cuda: str) -> str:
    from ferrari.networks.backends import torch_onnx

    # Weights that are still to be fetched are listed ones; what they are made of is seen then.
    return _torch(cuda) or (torch_onnx.problem(path) if path.exists() else "")


def _engine_problem() -> str:
    if importlib.util.find_spec("tensorrt"):
        return ""
    return "TensorRT is not installed; install the tensorrt that made the engine"
