"""A network apart from what is done around it, so that it may run in another process.

A detector or segmenter has three parts. What prepares pictures and what reads a network's outputs
runs on the CPU, in the job; the network between them runs where its device is:

    net = open_here(request)                 # or in the process that has the card
    for outputs in net.stream(images): ...   # HxWx3 uint8 RGB in, the network's outputs out

A `NetworkRequest` says all there is to know to load a network, and pickles. Calling it is a `Load`
as `processes.model_process` has it, whose `run` takes pictures of one shape. (SAM's pictures, and
those of matting, come with what is asked of them in one array: `backends.sam`, `closed_form`.)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ferrari.common import near_paths
from ferrari.common.atomic_files import file_states
from ferrari.common.errors import FerrariError
from ferrari.networks import weight_files
from ferrari.networks.placement import Place
from ferrari.networks.weight_files import ModelError
from ferrari.processes import devices

#: What a network makes of one picture: an array for each of its outputs, without the batch's axis.
Outputs = tuple[np.ndarray, ...]
#: Turns HxWx3 uint8 RGB pictures of one shape, at most `about["batch"]`, into as many Outputs.
Run = Callable[[Sequence[np.ndarray]], list[Outputs]]


class Network(Protocol):
    """A loaded network. `about` has at least

    `device`: where it really runs, as rows give it (`devices.ran_on`); `weights_sha256`; `batch`;
    of a YOLO network also `yolo` (see `yolo_finder`).
    """

    @property
    def about(self) -> Mapping: ...

    def stream(self, images_rgb: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """The outputs of each HxWx3 uint8 RGB picture, in their order. They may be memory of the
        network's own: what is to outlive the next step must be copied.
        """
        ...


@dataclass(frozen=True)
class NetworkRequest:
    """A network to be loaded: `path` by `runtime` (a key of _RUNTIMES) on `device`.

    `states` are what the weights' files looked like (`file_states`): a network is not lent to jobs
    that mean other weights. `sha256` is what the weights must have ("": anything): it was asked for
    by whoever made sure that they may be loaded. The network is fed (rgb - mean) / std. `outputs`
    are the indices of those that are wanted, () for all. `any_size`: it shall take other sizes than
    the one that it was exported for. `batch`: pictures at once, where the network allows it.
    `class_name`: the only class that is asked of a YOLO network, "" for all. `exact`: in full
    precision on any CPU (on a card it is the weights' own).
    """

    path: str
    runtime: str
    device: str
    sha256: str
    states: tuple[tuple[str, int, int, int], ...] = ()
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)
    outputs: tuple[int, ...] = ()
    any_size: bool = False
    batch: int = 1
    class_name: str = ""
    exact: bool = False
    threads: int = 0
    cache: str = "cache"

    @classmethod
    def of(
        cls, path: str | os.PathLike, runtime: str, device: str, sha256: str, **more: object
    ) -> NetworkRequest:
        """A request for weights as they lie there now."""
        states = tuple(file_states([path]))
        return cls(os.fspath(path), runtime, device, sha256, states, **more)  # type: ignore[arg-type]

    @classmethod
    def of_entry(
        cls, path: str | os.PathLike, entry: Mapping, place: Place, sha256: str, **more: object
    ) -> NetworkRequest:
        """A request for weights whose input and output an entry of models.yaml describes."""
        given, index = entry["input"], entry["output"]["index"]
        scale = {"mean": tuple(given["mean"]), "std": tuple(given["std"])}
        return cls.of(path, place.runtime, place.device, sha256, **scale, outputs=(index,), **more)

    def __call__(self) -> tuple[Mapping, Run]:
        """Load it in this process: what rows say of it, and what serves calls.

        Raises ModelError for weights that are not the ones meant, DeviceError for a device or a
        runtime that is not there.
        """
        net = open_here(self)
        return net.about, lambda images: [_owned(outputs) for outputs in net.stream(images)]


#: The runtime of what has no weights (its `path` is ""): the equation of matting on a card.
CLOSED_FORM = "closed-form"
#: Whoever opens networks: this process (`open_here`), or a client of the one that has the card.
Opener = Callable[[NetworkRequest], Network]


def open_here(request: NetworkRequest) -> Network:
    """The network, loaded in this process. What goes wrong with weights that the list does not have
    is told of the weights, as a ModelError.
    """
    if request.sha256:
        found = weight_files.digest(request.path)
        weight_files.require_digest(Path(request.path), found, request.sha256)
    if not request.path or request.sha256 in weight_files.pins():
        return _RUNTIMES[request.runtime](request)
    with _told_of_weights(request, "load"):
        return _Unlisted(request, _RUNTIMES[request.runtime](request))


class _Unlisted:
    """A network of weights that are not known here: as its `net`."""

    def __init__(self, request: NetworkRequest, net: Network) -> None:
        self._request, self._net = request, net
        self.about = net.about

    def stream(self, images_rgb: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """As Network's."""
        ours: list[Exception] = []
        with _told_of_weights(self._request, "run a picture through", ours):
            yield from self._net.stream(_noting(images_rgb, ours))


def _noting(images_rgb: Iterable[np.ndarray], errors: list[Exception]) -> Iterator[np.ndarray]:
    try:
        yield from images_rgb
    except Exception as error:
        errors.append(error)
        raise


@contextlib.contextmanager
def _told_of_weights(
    request: NetworkRequest, what: str, ours: Sequence[Exception] = ()
) -> Iterator[None]:
    """Turns what a runtime raises over weights into a ModelError; not the errors `ours`, nor those
    of the machine, of a device that is lost or whose memory ran out.
    """
    try:
        yield
    except (FerrariError, OSError, ImportError, MemoryError):
        raise
    except Exception as error:
        if error in ours or devices.context_is_lost(str(error)):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise ModelError(
            f"{request.runtime} could not {what} the weights {near_paths.told(request.path)}, "
            f"which {weight_files.TABLE.name} does not list: {said}. They are damaged, or a "
            "network for something else: give others in the setting that names them"
        ) from error


def _openvino(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import openvino_runtime

    return openvino_runtime.load(request)


def _openvino_yolo(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import openvino_yolo

    return openvino_yolo.load(request)


def _onnxruntime(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import onnx_runtime

    return onnx_runtime.load(request)


def _torch(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import torch_onnx

    return torch_onnx.load(request)


def _sam(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import sam

    return sam.load(request)


def _closed_form(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import closed_form

    return closed_form.load(request)


def _ultralytics(request: NetworkRequest) -> Network:
    from ferrari.networks.backends import ultralytics_runtime

    return ultralytics_runtime.load(request)


#: What loads a network, by runtime; nothing is imported before it is used.
_RUNTIMES: Mapping[str, Callable[[NetworkRequest], Network]] = {
    "openvino": _openvino,
    "openvino-yolo": _openvino_yolo,
    "sam": _sam,
    CLOSED_FORM: _closed_form,
    "onnxruntime": _onnxruntime,
    "torch": _torch,
    "ultralytics": _ultralytics,
}


def about(request: NetworkRequest, device: str, batch: int, **more: object) -> Mapping:
    """What a loaded network says of itself: see `Network`."""
    return {"device": device, "weights_sha256": request.sha256, "batch": batch, **more}


def _owned(outputs: Outputs) -> Outputs:
    return tuple(output.copy() for output in outputs)


class Batched:
    """A network whose `run` takes pictures of one shape: those of one shape are taken together."""

    def __init__(self, about: Mapping, run: Run) -> None:
        self.about, self._run = about, run

    def stream(self, images_rgb: Iterable[np.ndarray]) -> Iterator[Outputs]:
        """As Network's. All pictures are drawn first: a batch costs the same if it is not full."""
        images, most = list(images_rgb), int(self.about["batch"])
        alike: dict[tuple[int, ...], list[int]] = {}
        for index, image in enumerate(images):
            alike.setdefault(image.shape, []).append(index)
        found: dict[int, Outputs] = {}
        for indices in alike.values():
            for start in range(0, len(indices), most):
                part = indices[start : start + most]
                outputs = self._run([images[index] for index in part])
                found.update(zip(part, outputs, strict=True))
        yield from (found[index] for index in range(len(images)))
