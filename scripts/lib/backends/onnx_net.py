"""Networks on an NVIDIA GPU through ONNX Runtime."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from scripts.lib.devices import DeviceError, DeviceMemoryError

_OUT_OF_MEMORY = ("failed to allocate memory", "out of memory", "alloc_failed")


class OnnxNet:
    """One output of one ONNX network on `device` ('cuda:N'); batches where the graph takes them."""

    def __init__(self, path: str | os.PathLike, output: int = 0, device: str = "cuda:0") -> None:
        import onnxruntime as ort

        if Path(path).suffix != ".onnx":
            raise DeviceError(
                f"{path} is no ONNX file, and only those run on {device}; give the "
                "ONNX file, or set mask.device: cpu"
            )
        if "CUDAExecutionProvider" not in ort.get_available_providers():
            raise DeviceError(
                "this onnxruntime has no CUDA provider; install onnxruntime-gpu in its place, or "
                "set mask.device: cpu"
            )
        index = int(device.partition(":")[2] or 0)
        provider = ("CUDAExecutionProvider", {"device_id": index})
        states = ort.capi.onnxruntime_pybind11_state
        self._errors = (states.Fail, states.RuntimeException)
        self._session = ort.InferenceSession(os.fspath(path), providers=[provider])
        if "CUDAExecutionProvider" not in self._session.get_providers():
            raise DeviceError(
                f"ONNX Runtime could not use {device}; its CUDA libraries are missing"
            )
        self._input = self._session.get_inputs()[0]
        self._output = self._session.get_outputs()[output].name
        self.device = f"{device} onnxruntime"
        self.output_shape = self._session.get_outputs()[output].shape

    def stream(self, inputs: Iterable[np.ndarray]) -> list[np.ndarray]:
        """`run`, for inputs that come one by one: the GPU takes them together."""
        return self.run(list(inputs))

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The output of each input (1xCxHxW float32), in their order, float32.

        Raises DeviceMemoryError if the GPU's memory does not suffice.
        """
        together = isinstance(self._input.shape[0], str) and len({x.shape for x in inputs}) == 1
        batches = [np.concatenate(inputs)] if together and len(inputs) > 1 else list(inputs)
        dtype = np.float16 if self._input.type == "tensor(float16)" else np.float32
        outputs: list[np.ndarray] = []
        for batch in batches:
            result = self._call(batch.astype(dtype, copy=False))
            outputs.extend(result[i : i + 1] for i in range(len(result)))
        return outputs

    def _call(self, batch: np.ndarray) -> np.ndarray:
        try:
            result = self._session.run([self._output], {self._input.name: batch})[0]
        except self._errors as error:
            if any(word in str(error).lower() for word in _OUT_OF_MEMORY):
                raise DeviceMemoryError(str(error)) from error
            raise
        return result.astype(np.float32)
