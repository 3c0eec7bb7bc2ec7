"""The seam of stage 3: whatever gives an alpha for a crop, behind one small interface.

    segmenter = load("isnet", path, device="cpu")
    alphas = segmenter.alpha(crops_rgb, boxes_xyxy)

Nothing is imported or loaded before `load` is called.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ferrari.common.progress import LOGGER
from ferrari.networks import weight_files
from ferrari.processes import devices

if TYPE_CHECKING:
    import numpy as np

    from ferrari.networks.backends.ram import Presence

    #: Whether each crop (HxWx3 uint8 RGB) holds the subject's class.
    Judge = Callable[[Sequence[np.ndarray]], list[Presence]]
    #: A backend's segmenter, and what judges whether the subject is there, if anything does.
    _Loaded = tuple["_Network", Judge | None]


class _Network(Protocol):
    """What a backend's segmenters have in common."""

    device: str

    def alpha(
        self, crops_rgb: Sequence[np.ndarray], boxes_xyxy: Sequence | None = None
    ) -> Iterable[np.ndarray]: ...


@dataclass(frozen=True)
class Segmenter:
    """A loaded segmenter: `name`, `device` (with its runtime), `weights_sha256`.

    alpha(crops_rgb, boxes_xyxy=None): HxW float32 alpha in 0..1 of each crop (HxWx3 uint8 RGB), at
    its size; it may be computed as the result is iterated. A box (x1, y1, x2, y2 in the crop) is
    where the subject is; nets that find the subject themselves do not use it. Raises
    DeviceMemoryError if the GPU's memory does not suffice.

    presence(crops_rgb): whether each crop holds the subject's class; None if the segmenter does not
    judge that.
    """

    name: str
    device: str
    weights_sha256: str
    alpha: Callable[[Sequence[np.ndarray], Sequence | None], Iterable[np.ndarray]]
    presence: Judge | None = None


def load(
    name: str,
    weights_path: str | os.PathLike | Sequence[str | os.PathLike],
    device: str = "auto",
    *,
    entry: Mapping | None = None,
    pins: Iterable[str | None] = (),
    sha256: str | None = None,
    threads: int = 0,
    cache: str | os.PathLike = "cache",
    class_name: str = "person",
    image_size: int = 640,
    aspect: bool = False,
    ram_tags: Sequence[str] = ("person",),
    ram_threshold: float = 0.68,
) -> Segmenter:
    """Load segmenter `name` (a key of models.yaml's `segmenters`) on `device`.

    `weights_path` is its weights, and for `ram` a pair: RAM's and SAM's. `entry` says how input is
    prepared (default: as for the segmenter's own weights). `pins` are SHA-256 of pickles to trust
    beside the listed ones; `sha256` is what the (first) weights must have. `threads` limits CPU
    threads (0: all). `aspect`: see `alpha_net.AlphaNet`. Raises ModelError for weights that are
    missing, wrong, or pickled and not pinned; DeviceError for a device that is not there.
    """
    given = [weights_path] if isinstance(weights_path, str | os.PathLike) else weights_path
    paths = [Path(path) for path in given]
    known = weight_files.table()["segmenters"].get(name)
    if known is None:
        raise weight_files.ModelError(
            f"no segmenter {name!r}; see segmenters in {weight_files.TABLE.name}"
        )
    expected = 2 if "prompts" in known else 1
    if len(paths) != expected:
        raise weight_files.ModelError(
            f"segmenter {name} takes {expected} weights, got {len(paths)}"
        )
    digests = [_checked(path, weight_files.pins(*pins)) for path in paths]
    weight_files.require_digest(paths[0], digests[0], sha256)
    entry = entry or weight_files.table()["models"][known["weights"]]
    where = device_of(name, paths, device)
    backend = _BACKENDS[known["backend"]]
    network, presence = backend(
        paths,
        entry,
        where,
        {
            "threads": threads,
            "cache": cache,
            "class_name": class_name,
            "image_size": image_size,
            "aspect": aspect,
            "ram_tags": ram_tags,
            "ram_threshold": ram_threshold,
        },
    )
    return Segmenter(name, network.device, "+".join(digests), network.alpha, presence)


def device_of(name: str, paths: Sequence[str | os.PathLike], device: str) -> str:
    """'cpu' or 'cuda:N': where `load` runs segmenter `name` with the weights at `paths`.

    All of it runs on one device. Raises DeviceError for a device that cannot be had.
    """
    from ferrari.networks.backends import onnx_runtime, ultralytics_runtime

    onnx, torch = onnx_runtime.cuda_problem, ultralytics_runtime.cuda_problem
    asked = {"alpha_net": [onnx], "yolo_seg": [torch], "sam": [torch], "ram": [onnx, torch]}
    questions = asked[weight_files.table()["segmenters"][name]["backend"]]

    def problem(cuda: str) -> str:
        answers = (ask(path, cuda) for ask, path in zip(questions, paths, strict=True))
        return next(filter(None, answers), "")

    return devices.resolve(device, problem)


def _checked(path: Path, pinned: Iterable[str]) -> str:
    if not path.exists():
        raise weight_files.ModelError(f"the segmenter's weights are not at {path}")
    return weight_files.require_pinned(path, pinned)


def _alpha_net(paths: list[Path], entry: Mapping, device: str, options: Mapping) -> _Loaded:
    from ferrari.networks.backends.alpha_net import AlphaNet

    return AlphaNet(paths[0], entry, device, options["threads"], options["aspect"]), None


def _yolo_seg(paths: list[Path], entry: Mapping, device: str, options: Mapping) -> _Loaded:
    from ferrari.networks.backends import openvino_yolo, yolo_segmenter

    asked = {name: options[name] for name in ("class_name", "image_size")}
    if device == "cpu" and openvino_yolo.runs(paths[0]):
        try:
            threads = options["threads"]
            return yolo_segmenter.OpenVinoSegmenter(paths[0], **asked, threads=threads), None
        except openvino_yolo.UnknownExportError as error:
            LOGGER.info("%s: ultralytics runs it", error)
    return yolo_segmenter.YoloSegmenter(paths[0], device, **asked, cache=options["cache"]), None


def _sam(paths: list[Path], entry: Mapping, device: str, options: Mapping) -> _Loaded:
    from ferrari.networks.backends.sam import SamSegmenter

    return SamSegmenter(paths[0], device, cache=options["cache"]), None


def _ram(paths: list[Path], entry: Mapping, device: str, options: Mapping) -> _Loaded:
    from ferrari.networks.backends.ram import RamTagger
    from ferrari.networks.backends.sam import SamSegmenter

    tagger = RamTagger(
        paths[0],
        entry,
        device,
        tags=options["ram_tags"],
        threshold=options["ram_threshold"],
        threads=options["threads"],
    )
    return SamSegmenter(paths[1], device, cache=options["cache"]), tagger.presence


_BACKENDS = {"alpha_net": _alpha_net, "yolo_seg": _yolo_seg, "sam": _sam, "ram": _ram}
