"""Networks on an NVIDIA GPU through ONNX Runtime."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ferrari.common.errors import FerrariError
from ferrari.networks import network
from ferrari.networks.backends import onnx_file, onnx_graph
from ferrari.networks.backends.fixed_batches import FixedBatches
from ferrari.networks.network import Batched, Network, NetworkRequest
from ferrari.processes.devices import DeviceError, asked_apart, device_errors, index_of, ran_on

#: An ONNX graph of one Relu from x to y, both float[1], opset 13: what a device is tried with.
_TINY = bytes.fromhex(
    "08083a360a0c0a0178120179220452656c75120474696e795a0f0a0178120a0a08080112040a0208"
    "01620f0a0179120a0a08080112040a02080142040a00100d"
)

#: In what ONNX Runtime says of a failure, which begins with places in its source and ends with the
#: host's name: the error of a library of CUDA's, and a library that is missing.
_FAILURE = re.compile(r"\b(?:CUDA|CUDNN|CUBLAS|CUFFT) failure \d+:.*?(?= ; |$)", re.MULTILINE)
_MISSING = re.compile(r"(?<=with error: ).*")
_PLACE = re.compile(r"^(?:\S+\.(?:cc|cu|h):\d+\s+)?(?:onnxruntime::\S+\s+)?")


def reason(text: str) -> str:
    """Why something failed, of all that ONNX Runtime says of it."""
    found = _FAILURE.search(text) or _MISSING.search(text)
    return found[0].strip() if found else _PLACE.sub("", text.strip()).partition("\n")[0]


@functools.cache
def runtime_problem(index: int) -> str:
    """Why ONNX Runtime cannot use CUDA device `index`, and what helps, or ""."""
    return asked_apart(_tried, index)


def _runtime() -> ModuleType:
    """onnxruntime, with the libraries of CUDA and cuDNN that are installed as Python packages."""
    import onnxruntime as ort

    with contextlib.redirect_stdout(io.StringIO()):  # it prints what it misses; a session tells too
        ort.preload_dlls()
    return ort


def _errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises when a device fails."""
    states = sys.modules["onnxruntime"].capi.onnxruntime_pybind11_state
    return states.Fail, states.RuntimeException, states.EPFail


@contextlib.contextmanager
def _device_errors() -> Iterator[None]:
    """As `devices.device_errors`; errors of CUDA's libraries become RuntimeError, and say no more
    than what it is: a row may hold it.
    """
    kinds: tuple[type[Exception], ...] = (*_errors(), RuntimeError)
    with device_errors(*_errors()):
        try:
            yield
        except kinds as error:
            if isinstance(error, FerrariError) or not _FAILURE.search(str(error)):
                raise
            raise RuntimeError(f"ONNX Runtime: {reason(str(error))}") from error


def _opened(ort: ModuleType, graph: bytes, provider: tuple[str, dict], **more: object) -> Any:
    """A session on a provider that raises what fails there. Left to itself, ONNX Runtime prints it
    as "EP Error" and takes the CPU, also for a run, and nobody would know.
    """
    return ort.InferenceSession(graph, providers=[provider], enable_fallback=0, **more)


@contextlib.contextmanager
def _printed() -> Iterator[list[str]]:
    """Takes what is printed to standard error meanwhile, by native libraries too."""
    said: list[str] = []
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as taken:
        os.dup2(taken.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(before)
            taken.seek(0)
            said += taken.read().decode(errors="replace").splitlines()


def _tried(index: int) -> str:
    try:
        ort = _runtime()
    except ImportError as error:
        return f"onnxruntime cannot be imported ({error}); install onnxruntime-gpu"
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this onnxruntime has no CUDA provider; install onnxruntime-gpu in its place"
    ort.set_default_logger_severity(3)  # what it prints then is told by the answer
    states = ort.capi.onnxruntime_pybind11_state
    try:
        provider = ("CUDAExecutionProvider", {"device_id": index})
        with _printed() as said:
            session = _opened(ort, _TINY, provider)
        if "CUDAExecutionProvider" not in session.get_providers():
            why = next((f" ({reason(line)})" for line in said if _MISSING.search(line)), "")
            return (
                f"ONNX Runtime cannot load its CUDA provider{why}; install the CUDA and cuDNN "
                "libraries of the version that this onnxruntime-gpu was built for"
            )
        session.run(None, {"x": np.ones(1, np.float32)})
    except (states.Fail, states.RuntimeException, states.EPFail, RuntimeError) as error:
        return f"ONNX Runtime cannot use it ({reason(str(error))}); see nvidia-smi"
    return ""


def load(request: NetworkRequest) -> Network:
    """The ONNX network asked for."""
    net = OnnxNetwork(request)
    return Batched(net.about, net.run)


class OnnxNetwork(FixedBatches):
    """An ONNX network on a CUDA device (or, for tests, on the CPU). `about` as `Network.about`."""

    def __init__(self, request: NetworkRequest) -> None:
        self._graph, self._outputs, how, batch = _graph(request)
        super().__init__(request, batch or request.batch, fixed=batch is not None)
        self._device, self._threads = request.device, request.threads
        self._session: Any = self._started()
        about: dict = {"yolo": how} if how else {}
        where = ran_on(request.device, "onnxruntime")
        self.about = network.about(request, where, self._batch, **about)

    def _compute(self, pictures: np.ndarray) -> list[np.ndarray]:
        self._session = self._session or self._started()
        name = self._session.get_inputs()[0].name
        with _device_errors():
            return self._session.run(self._outputs, {name: pictures})

    def _restart(self) -> None:
        self._session = None

    def _started(self) -> Any:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        if self._threads:
            options.intra_op_num_threads = self._threads
        provider = _provider(self._device, self._share)
        with _device_errors():
            session = _opened(ort, self._graph, provider, sess_options=options)
        if session.get_providers()[0] != provider[0]:
            raise DeviceError(
                f"ONNX Runtime could not use {self._device}; its CUDA libraries are missing"
            )
        return session


def _provider(device: str, limit: int) -> tuple[str, dict]:
    """What runs a session: CUDA with the same results in each process, in `limit` bytes (0: any).

    Searching by timing would choose other algorithms in another process, and so other bytes.
    """
    if device == "cpu":
        return "CPUExecutionProvider", {}
    ort = _runtime()
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        raise DeviceError(
            "this onnxruntime has no CUDA provider; install onnxruntime-gpu in its place, or set "
            "device: cpu in the network's section of the settings"
        )
    options = {
        "device_id": index_of(device),
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_tf32": 0,
        "arena_extend_strategy": "kSameAsRequested",
    }
    return "CUDAExecutionProvider", options | ({"gpu_mem_limit": limit} if limit else {})


def _graph(request: NetworkRequest) -> tuple[bytes, list[str], dict, int | None]:
    """The graph to run, its outputs' names, what `about` says of a YOLO network, and the batch that
    it was exported for, None for any.
    """
    path = Path(request.path)
    if path.suffix != ".onnx":
        raise DeviceError(
            f"{path} is no ONNX file, and only those run on {request.device}; give the ONNX file, "
            "or set device: cpu in the network's section of the settings"
        )
    model, fixed = onnx_graph.prepare(request, _shapes)
    how = _yolo_notes(model)
    onnx_graph.feed_pictures(model, request.mean, request.std)
    outputs = [value.name for value in model.graph.output]
    return model.SerializeToString(), outputs, how, fixed


def _yolo_notes(model: onnx_file.Message) -> dict[str, object]:
    """What `yolo_finder` needs to know of an export of ultralytics; {} for other networks."""
    noted = onnx_file.notes(model)
    if "names" not in noted:
        return {}
    size = onnx_file.input_shape(model)[2:]
    return {
        "names": noted["names"],
        "stride": int(noted.get("stride", 32)),
        "size": None if None in size else tuple(size),
        "end2end": bool(noted.get("end2end") or (noted.get("args") or {}).get("nms")),
        "task": noted.get("task", "detect"),
    }


def _shapes(model: onnx_file.Message, names: Sequence[str]) -> onnx_graph.Shapes:
    """Shapes of a graph's tensors, as ONNX Runtime infers them."""
    import onnxruntime as ort

    asked = type(model)()
    asked.CopyFrom(model)
    listed = {value.name for value in asked.graph.output}
    for name in dict.fromkeys(names):
        if name not in listed:
            asked.graph.output.add(name=name)
    options = ort.SessionOptions()
    # Sizes are computed in the graph from shapes that are known: they are constants once folded.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = ort.InferenceSession(
        asked.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found = {value.name: value.shape for value in session.get_outputs()}
    return {n: s for n, s in found.items() if all(isinstance(size, int) for size in s)}
