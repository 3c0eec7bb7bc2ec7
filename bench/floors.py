"""Networks with nothing around them: what no pipeline on this machine can beat with that file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def network(graph: str, output: int | None, inputs: int, size: int, threads: int) -> Callable:
    """Work that runs `inputs` ready tensors through a compiled network's asynchronous queue.

    `output` None keeps all outputs. A dynamic input is fed `size` x `size`. Compiling and a first
    run are not part of the work.
    """
    import openvino as ov

    compiled = _compiled(graph, output, threads)
    shape = [
        size if size > 0 else free
        for size, free in zip(_sizes(compiled.input(0)), (1, 3, size, size), strict=True)
    ]
    rng = np.random.default_rng(1)
    tensors = [rng.random(shape, np.float32) for _ in range(4)]
    queue = ov.AsyncInferQueue(compiled)
    _run(queue, tensors, len(queue))
    return lambda: _run(queue, tensors, inputs)


def _run(queue, tensors: list[np.ndarray], inputs: int) -> dict[str, int]:
    for index in range(inputs):
        queue.start_async([tensors[index % len(tensors)]])
    queue.wait_all()
    return {"inputs": inputs, "requests": len(queue)}


def _compiled(graph: str, output: int | None, threads: int):
    import openvino as ov

    path, core = Path(graph), ov.Core()
    model = core.read_model(next(path.glob("*.xml")) if path.is_dir() else path)
    if output is not None:
        model = ov.Model([model.outputs[output]], model.get_parameters(), "net")
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": threads}
    return core.compile_model(model, "CPU", options)


def _sizes(port) -> list[int]:
    return [size.get_length() if size.is_static else -1 for size in port.get_partial_shape()]


def write_plain_alphas(pictures: list[Path], out: Path, weights: str, entry: dict) -> None:
    """Write HxW uint8 PNGs of each picture's alpha: one request, full precision, all outputs."""
    import cv2
    import openvino as ov

    core = ov.Core()
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(core.read_model(weights), "CPU", options)
    high, wide = entry["input"]["size"]
    mean, std = (np.asarray(entry["input"][key], np.float32) for key in ("mean", "std"))
    for picture in pictures:
        rgb = cv2.cvtColor(cv2.imread(str(picture), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        height, width = rgb.shape[:2]
        shrinks = high * wide < height * width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        ready = (cv2.resize(rgb, (wide, high), interpolation=how).astype(np.float32) - mean) / std
        result = compiled([ready.transpose(2, 0, 1)[None]])[entry["output"]["index"]]
        alpha = np.clip(result.reshape(result.shape[-2:]), 0, 1).astype(np.float32)
        how = cv2.INTER_AREA if height * width < alpha.size else cv2.INTER_LINEAR
        alpha = cv2.resize(alpha, (width, height), interpolation=how)
        cv2.imwrite(str(out / f"{picture.stem}.png"), np.round(alpha * 255).astype(np.uint8))
