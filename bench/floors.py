"""Networks with nothing around them: what no pipeline on this machine can beat with that file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def network(
    graph: str, output: int | None, inputs: int, size: int | list[list[int]], threads: int
) -> Callable:
    """Work that runs `inputs` ready tensors through a compiled network's asynchronous queue.

    `output` None keeps all outputs. A dynamic input is fed `size` x `size`; a list of [height,
    width], by turns, is for a network that was exported for one size and shall take those.
    Compiling and a first run are not part of the work.
    """
    import openvino as ov

    sizes = size if isinstance(size, list) else [[size, size]]
    compiled = _compiled(graph, output, threads, any_size=isinstance(size, list))
    rng = np.random.default_rng(1)
    tensors = [
        rng.random(
            [
                own if own > 0 else free
                for own, free in zip(_sizes(compiled.input(0)), (1, 3, *each), strict=True)
            ],
            np.float32,
        )
        for each in sizes
    ]
    queue = ov.AsyncInferQueue(compiled)
    _run(queue, tensors, max(len(queue), len({tensor.shape for tensor in tensors})))
    return lambda: _run(queue, tensors, inputs)


def _run(queue, tensors: list[np.ndarray], inputs: int) -> dict[str, int]:
    for index in range(inputs):
        queue.start_async([tensors[index % len(tensors)]])
    queue.wait_all()
    return {"inputs": inputs, "requests": len(queue)}


def _compiled(graph: str, output: int | None, threads: int, any_size: bool = False):
    import openvino as ov

    from ferrari.networks.backends.openvino_runtime import free_size

    path, core = Path(graph), ov.Core()
    model = core.read_model(next(path.glob("*.xml")) if path.is_dir() else path)
    if output is not None:
        model = ov.Model([model.outputs[output]], model.get_parameters(), "net")
    if any_size:
        free_size(model)
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": threads}
    return core.compile_model(model, "CPU", options)


def _sizes(port) -> list[int]:
    return [size.get_length() if size.is_static else -1 for size in port.get_partial_shape()]


def write_plain_alphas(
    pictures: list[Path], out: Path, weights: str, entry: dict, aspect: bool
) -> None:
    """Write HxW uint8 PNGs of each picture's alpha: one request, full precision, all outputs.

    With `aspect` the pictures are fed at their own shape, to a graph made for that size alone.
    """
    import cv2

    from ferrari.networks.backends.alpha_net import network_size

    mean, std = (np.asarray(entry["input"][key], np.float32) for key in ("mean", "std"))
    nets: dict[tuple[int, int], Callable] = {}
    for picture in pictures:
        rgb = cv2.cvtColor(cv2.imread(str(picture), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        height, width = rgb.shape[:2]
        high, wide = network_size(entry["input"], height, width, aspect)
        if (high, wide) not in nets:
            nets[high, wide] = _plain_net(weights, high, wide)
        shrinks = high * wide < height * width
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        ready = (cv2.resize(rgb, (wide, high), interpolation=how).astype(np.float32) - mean) / std
        result = nets[high, wide]([ready.transpose(2, 0, 1)[None]])[entry["output"]["index"]]
        alpha = np.clip(result.reshape(result.shape[-2:]), 0, 1).astype(np.float32)
        how = cv2.INTER_AREA if height * width < alpha.size else cv2.INTER_LINEAR
        alpha = cv2.resize(alpha, (width, height), interpolation=how)
        cv2.imwrite(str(out / f"{picture.stem}.png"), np.round(alpha * 255).astype(np.uint8))


def _plain_net(weights: str, high: int, wide: int) -> Callable:
    """The network for one size: as it was exported, or with each size in it scaled."""
    import openvino as ov

    from ferrari.networks.backends.openvino_runtime import free_size

    model = ov.Core().read_model(weights)
    if model.input(0).get_partial_shape() != ov.PartialShape([1, 3, high, wide]):
        free_size(model)
        model.reshape([1, 3, high, wide])
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return ov.Core().compile_model(model, "CPU", options)
