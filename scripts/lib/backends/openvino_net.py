"""Networks on the CPU through OpenVINO: ONNX files and OpenVINO's own IR, several at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class OpenVinoNet:
    """One output of one network; `run` keeps every core busy with an asynchronous queue.

    Attributes: `device`, what it runs on and in which precision (OpenVINO takes bfloat16 where the
    CPU has it: twice as fast, alpha differs by less than 0.01); `output_shape`.
    """

    def __init__(self, path: str | os.PathLike, output: int = 0, threads: int = 0) -> None:
        import openvino as ov

        core = ov.Core()
        model = core.read_model(_graph(Path(path)))
        # The other outputs of these nets are training aids: without them nothing computes them.
        model = ov.Model([model.outputs[output]], model.get_parameters(), "net")
        options = {"PERFORMANCE_HINT": "THROUGHPUT"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        compiled = core.compile_model(model, "CPU", options)
        precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.device = f"cpu openvino {precision}"
        self.output_shape = compiled.output(0).get_partial_shape()
        self._queue = ov.AsyncInferQueue(compiled)
        self._results: dict[int, np.ndarray] = {}
        self._queue.set_callback(self._keep)

    def _keep(self, request, index: int) -> None:
        self._results[index] = request.get_output_tensor(0).data.astype(np.float32)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The output of each input (1xCxHxW float32), in their order, float32."""
        self._results = {}
        for index, tensor in enumerate(inputs):
            self._queue.start_async([tensor], index)
        self._queue.wait_all()
        return [self._results[index] for index in range(len(inputs))]


def _graph(path: Path) -> Path:
    """The file to read: an IR folder's `.xml`, else the path itself."""
    if not path.is_dir():
        return path
    graphs = sorted(path.glob("*.xml"))
    if len(graphs) != 1:
        raise ValueError(f"{path} holds {len(graphs)} .xml files, expected one OpenVINO model")
    return graphs[0]
