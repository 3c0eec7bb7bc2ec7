"""Networks on an NVIDIA GPU through ONNX Runtime."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ferrari.networks import network
from ferrari.networks.input_tensors import planes, scale_table
from ferrari.networks.network import Batched, Network, NetworkRequest, Outputs
from ferrari.processes.devices import DeviceError, DeviceMemoryError, asked_apart

#: An ONNX graph of one Relu from x to y, both float[1], opset 13: what a device is tried with.
_TINY = bytes.fromhex(
    "08083a360a0c0a0178120179220452656c75120474696e795a0f0a0178120a0a08080112040a0208"
    "01620f0a0179120a0a08080112040a02080142040a00100d"
)
_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "alloc_failed")


def cuda_problem(path: str | os.PathLike, device: str) -> str:
    """Why ONNX Runtime cannot run the network at `path` on `device` ('cuda:N') and what helps, or
    "". The device is tried once a process, in a child of it.
    """
    if Path(path).suffix != ".onnx":
        return f"{Path(path).name} is no ONNX file, and only those run there; give the ONNX file"
    return runtime_problem(int(device.partition(":")[2] or 0))


@functools.cache
def runtime_problem(index: int) -> str:
    """Why ONNX Runtime cannot use CUDA device `index`, and what helps, or ""."""
    return asked_apart(_tried, index)


def _tried(index: int) -> str:
    try:
        import onnxruntime as ort
    except ImportError as error:
        return f"onnxruntime cannot be imported ({error}); install onnxruntime-gpu"
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this onnxruntime has no CUDA provider; install onnxruntime-gpu in its place"
    ort.set_default_logger_severity(4)  # what it would print is told by the answer
    states = ort.capi.onnxruntime_pybind11_state
    try:
        provider = ("CUDAExecutionProvider", {"device_id": index})
        session = ort.InferenceSession(_TINY, providers=[provider])
        if "CUDAExecutionProvider" not in session.get_providers():
            return (
                "ONNX Runtime cannot load its CUDA provider; install the CUDA and cuDNN libraries "
                "of the version that this onnxruntime-gpu was built for"
            )
        session.run(None, {"x": np.ones(1, np.float32)})
    except (states.Fail, states.RuntimeException, states.EPFail, RuntimeError) as error:
        return f"ONNX Runtime cannot use it ({str(error).splitlines()[0]}); see nvidia-smi"
    return ""


def load(request: NetworkRequest) -> Network:
    """The ONNX network asked for."""
    net = OnnxNetwork(request)
    return Batched(net.about, net.run)


class OnnxNetwork:
    """An ONNX network on a CUDA device. `about` as a `network.Network`'s."""

    def __init__(self, request: NetworkRequest) -> None:
        import onnxruntime as ort

        if Path(request.path).suffix != ".onnx":
            raise DeviceError(
                f"{request.path} is no ONNX file, and only those run on {request.device}; give the "
                "ONNX file, or set mask.device: cpu"
            )
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise DeviceError(
                "this onnxruntime has no CUDA provider; install onnxruntime-gpu in its place, or "
                "set mask.device: cpu"
            )
        index = int(request.device.partition(":")[2] or 0)
        provider = ("CUDAExecutionProvider", {"device_id": index})
        states = ort.capi.onnxruntime_pybind11_state
        self._errors = (states.Fail, states.RuntimeException)
        self._session = ort.InferenceSession(request.path, providers=[provider])
        if "CUDAExecutionProvider" not in self._session.get_providers():
            raise DeviceError(
                f"ONNX Runtime could not use {request.device}; its CUDA libraries are missing"
            )
        self._input = self._session.get_inputs()[0]
        outputs = self._session.get_outputs()
        self._outputs = [outputs[i].name for i in request.outputs or range(len(outputs))]
        self._table = scale_table(request.mean, request.std)
        batch = request.batch if isinstance(self._input.shape[0], str) else 1
        self.about = network.about(request, f"{request.device} onnxruntime", batch)

    def run(self, images_rgb: Sequence[np.ndarray]) -> list[Outputs]:
        """As `network.Run`. Raises DeviceMemoryError if the GPU's memory does not suffice."""
        dtype = np.float16 if self._input.type == "tensor(float16)" else np.float32
        batch = np.concatenate([planes(image, self._table) for image in images_rgb])
        try:
            found = self._session.run(self._outputs, {self._input.name: batch.astype(dtype)})
        except self._errors as error:
            if any(word in str(error).lower() for word in _OUT_OF_MEMORY):
                raise DeviceMemoryError(str(error)) from error
            raise
        return [tuple(output[index] for output in found) for index in range(len(images_rgb))]
