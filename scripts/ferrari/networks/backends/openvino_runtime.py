"""Networks on the CPU through OpenVINO: ONNX files and OpenVINO's own IR, several at a time."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ferrari.networks import network
from ferrari.networks.backends import onnx_file
from ferrari.networks.input_tensors import planes, scale_table
from ferrari.networks.weight_files import ModelError

if TYPE_CHECKING:
    from openvino import Model

    from ferrari.networks.network import NetworkRequest, Outputs


#: Of OpenVINO, what converts models of other frameworks.
_CONVERTER = "openvino.tools.ovc"


def read_graph(path: str | os.PathLike) -> Model:
    """What is in an ONNX file, an `.xml`, or the folder that holds one `.xml`."""
    with _without_converter():
        import openvino as ov

    file = _graph_file(Path(path))
    if file.suffix == ".onnx" and onnx_file.needs_floats(file):
        return ov.Core().read_model(io.BytesIO(onnx_file.read(file).SerializeToString()))
    return ov.Core().read_model(file)


@contextlib.contextmanager
def _without_converter() -> Iterator[None]:
    """OpenVINO imports its converter if it is there, which takes two thirds of the whole import,
    and brings a client for telemetry. Who wants it can import it by its own name afterwards.
    """
    if _CONVERTER in sys.modules or "openvino" in sys.modules:
        yield
        return
    sys.modules[_CONVERTER] = None  # type: ignore[assignment] # Python's way to hide a module
    try:
        yield
    finally:
        del sys.modules[_CONVERTER]


def _graph_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    graphs = sorted(path.glob("*.xml"))
    if len(graphs) != 1:
        raise ModelError(f"{path} holds {len(graphs)} .xml files, expected one OpenVINO model")
    return graphs[0]


class Compiled:
    """A compiled graph whose requests are kept busy.

    Attributes: `device`, what it runs on and in which precision (OpenVINO takes bfloat16 where the
    CPU has it: twice as fast, alpha differs by less than 0.01).
    """

    def __init__(self, model: Model, threads: int = 0, exact: bool = False) -> None:
        """`threads` 0: as many as there are cores; `exact`: full precision on any CPU."""
        import openvino as ov

        # Pinned, each process would take the first cores of the machine, whichever other jobs are
        # there already: OpenVINO knows of one process alone.
        options = {"PERFORMANCE_HINT": "THROUGHPUT", "ENABLE_CPU_PINNING": False}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        if exact:
            options["INFERENCE_PRECISION_HINT"] = "f32"
        self._compiled = ov.Core().compile_model(model, "CPU", options)
        precision = self._compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.device = f"cpu openvino {precision}"
        # One more than run at a time: none of them waits for Python to hand it its next input.
        advised = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        self._free = deque(self._compiled.create_infer_request() for _ in range(advised + 1))

    def in_order(self, inputs: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """All outputs of each input, in their order. They are the network's own memory: what is to
        outlive the next step must be copied. `inputs` is drawn on while the network computes.
        """
        running: deque = deque()
        try:
            for tensor in inputs:
                if not self._free:
                    yield from self._finish(running)
                request = self._free.popleft()
                request.start_async([tensor], share_inputs=True)
                running.append((request, tensor))  # whose memory is lent until it is done
            while running:
                yield from self._finish(running)
        finally:
            while running:  # whoever asked has stopped listening
                next(self._finish(running))

    def _finish(self, running: deque) -> Iterator[list[np.ndarray]]:
        request, _lent = running.popleft()
        try:
            request.wait()
            yield [tensor.data for tensor in request.output_tensors]
        finally:
            self._free.append(request)


class OpenVinoNet:
    """Some outputs of one network. Attributes: `device`, as Compiled's.

    The other outputs of nets for an alpha are training aids: without them nothing computes them.
    With `any_size` the network takes inputs of any height and width that its strides divide, though
    it was exported for one.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        outputs: Sequence[int] = (0,),
        threads: int = 0,
        any_size: bool = False,
        exact: bool = False,
    ) -> None:
        """`outputs` are indices, () for all; `exact` as Compiled's."""
        import openvino as ov

        model = read_graph(path)
        wanted = [model.outputs[index] for index in outputs] or model.outputs
        model = ov.Model(wanted, model.get_parameters(), "net")
        if any_size:
            free_size(model)
        self._net = Compiled(model, threads, exact)
        self.device = self._net.device

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The first output of each input (1xCxHxW float32), in their order, float32."""
        return [outputs[0] for outputs in self.stream(inputs)]

    def stream(self, inputs: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """All outputs, float32, one input after the other; an input is asked for while the network
        computes the last ones.
        """
        for outputs in self._net.in_order(inputs):
            yield [output.astype(np.float32) for output in outputs]  # copies


class OpenVinoNetwork:
    """A network that takes floats, as a `network.Network`, pictures of any sizes together."""

    def __init__(self, request: NetworkRequest) -> None:
        self._net = OpenVinoNet(
            request.path, request.outputs, request.threads, request.any_size, request.exact
        )
        self._table = scale_table(request.mean, request.std)
        self.about = network.about(request, self._net.device, request.batch)

    def stream(self, images_rgb: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """As Network's."""
        for outputs in self._net.stream(planes(image, self._table) for image in images_rgb):
            yield tuple(output[0] for output in outputs)


def load(request: NetworkRequest) -> OpenVinoNetwork:
    """The network asked for."""
    return OpenVinoNetwork(request)


def free_size(model: Model) -> None:
    """Make a convolutional graph that was exported for one input size take any (in place).

    Such an export has the sizes to which it enlarges its feature maps as constants; here they
    become factors. An input of the old size gives the same bits as before.
    """
    import openvino as ov
    from openvino import opset11

    axes = [2, 3]
    for node in model.get_ordered_ops():
        if node.get_type_name() != "Interpolate":
            continue
        source, how = node.input_value(0), node.get_attributes()
        before, after = source.get_shape(), node.output(0).get_shape()
        factors = [after[axis] / before[axis] for axis in axes]
        scaled = opset11.interpolate(
            source,
            opset11.constant(np.array(factors, np.float32)),
            how["mode"],
            "scales",
            how["pads_begin"],
            how["pads_end"],
            how["coordinate_transformation_mode"],
            how["nearest_mode"],
            how["antialias"],
            how["cube_coeff"],
            opset11.constant(np.array(axes, np.int64)),
        )
        node.output(0).replace(scaled.output(0))
    model.reshape(ov.PartialShape([1, 3, -1, -1]))
