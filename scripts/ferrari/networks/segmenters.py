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

from ferrari.networks import placement, weight_files
from ferrari.networks.network import Network, NetworkRequest, Opener, open_here
from ferrari.networks.placement import Place

if TYPE_CHECKING:
    import numpy as np

    from ferrari.networks.backends.ram import Presence

    #: Whether each crop (HxWx3 uint8 RGB) holds the subject's class.
    Judge = Callable[[Sequence[np.ndarray]], list[Presence]]
    #: Crops, the subjects' boxes and the others' boxes in; pairs of alphas out.
    Apart = Callable[
        [Sequence[np.ndarray], Sequence, Sequence[Sequence]],
        Iterable[tuple[np.ndarray, np.ndarray]],
    ]
    #: Crops in, another alpha of each out.
    Again = Callable[[Sequence[np.ndarray]], Iterable[np.ndarray]]
    #: A backend's segmenter, what judges whether the subject is there, what tells people apart, and
    #: what takes a second look, if anything does.
    _Loaded = tuple["_Segmenting", Judge | None, Apart | None, Again | None]


class _Segmenting(Protocol):
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

    apart(crops_rgb, boxes_xyxy, others_xyxy): for each crop the subject's alpha, and that of the
    other people's own instances (HxW float32; all 0 where none is seen), whose boxes are a list a
    crop. None if the segmenter does not know people apart.

    again(crops_rgb): the alpha of a second look at crops, in another shape; None if the segmenter
    has only one. What stands out in a crop changes with its shape where it is a close call.

    presence(crops_rgb): whether each crop holds the subject's class; None if the segmenter does not
    judge that.
    """

    name: str
    device: str
    weights_sha256: str
    alpha: Callable[[Sequence[np.ndarray], Sequence | None], Iterable[np.ndarray]]
    presence: Judge | None = None
    apart: Apart | None = None
    again: Again | None = None


@dataclass(frozen=True)
class Asked:
    """What is asked of a segmenter.

    `entry` says how input is prepared (None: as for the segmenter's own weights). `sha256` is what
    the (first) weights must have; `pins` are SHA-256 of pickles to trust beside the listed ones.
    `batch`: crops that a GPU takes at once. `aspect`: see `alpha_net.AlphaNet`. `class_name` and
    `image_size` are for `yolo-seg`, `ram_tags` and `ram_threshold` for `ram`.
    """

    entry: Mapping | None = None
    sha256: str | None = None
    pins: Sequence[str | None] = ()
    batch: int = 1
    aspect: bool = False
    class_name: str = "person"
    image_size: int = 640
    ram_tags: Sequence[str] = ("person",)
    ram_threshold: float = 0.68

    @classmethod
    def of(cls, settings: Mapping, class_name: str, cache: str | os.PathLike) -> Asked:
        """What the `mask` settings ask for; `class_name` is what YOLO calls the subject."""
        chosen = weight_files.for_segmenter(settings, cache)[0]
        return cls(
            entry=chosen.entry,
            sha256=chosen.sha256,
            pins=(settings.get("weights_sha256"),),
            batch=settings["batch"],
            aspect=settings["input"] == "aspect",
            class_name=class_name,
            image_size=settings["image_size"],
            ram_tags=settings["ram_tags"],
            ram_threshold=settings["ram_threshold"],
        )


def load(
    name: str,
    weights_path: str | os.PathLike | Sequence[str | os.PathLike],
    device: str = "auto",
    asked: Asked | None = None,
    *,
    threads: int = 0,
    cache: str | os.PathLike = "cache",
    opener: Opener = open_here,
) -> Segmenter:
    """Load segmenter `name` (a key of models.yaml's `segmenters`) on `device`.

    `weights_path` is its weights, and for `ram` a pair: RAM's and SAM's. `threads` limits CPU
    threads (0: all). `opener` has the network loaded where it is to run. Raises ModelError for
    weights that are missing, wrong, or pickled and not pinned; DeviceError for a device that is not
    there.
    """
    asked = asked or Asked()
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
    digests = [_checked(path, weight_files.pins(*asked.pins)) for path in paths]
    weight_files.require_digest(paths[0], digests[0], asked.sha256)
    entry = asked.entry or weight_files.table()["models"][known["weights"]]
    means = {"threads": threads, "cache": os.fspath(cache), "batch": asked.batch}
    files = _Files(paths, digests, entry, _places(name, paths, device))
    network, presence, apart, again = _BACKENDS[known["backend"]](asked, files, opener, means)
    digest = "+".join(digests)
    return Segmenter(name, network.device, digest, network.alpha, presence, apart, again)


@dataclass(frozen=True)
class _Files:
    """A segmenter's weights, where each of them runs, and how input is prepared."""

    paths: list[Path]
    digests: list[str]
    entry: Mapping
    places: list[Place]


def place_of(name: str, paths: Sequence[str | os.PathLike], device: str) -> Place:
    """Where `load` runs segmenter `name` with the weights at `paths` (of a pair the first).

    All of it runs on one device. Raises DeviceError for a device that cannot be had.
    """
    return _places(name, [Path(path) for path in paths], device)[0]


def _places(name: str, paths: Sequence[Path], device: str) -> list[Place]:
    """Where each of a segmenter's networks runs: those of a pair on the same device."""
    kinds: dict[str, list[Callable[[Path, str], Place]]] = {
        "alpha_net": [placement.of_alpha_net],
        "yolo_seg": [placement.of_yolo],
        "sam": [_of_sam],
        "ram": [placement.of_alpha_net, _of_sam],
    }
    asked = kinds[weight_files.table()["segmenters"][name]["backend"]]
    places = [ask(path, device) for ask, path in zip(asked, paths, strict=True)]
    if len({place.device for place in places}) > 1:
        return [ask(path, "cpu") for ask, path in zip(asked, paths, strict=True)]
    return places


def _of_sam(path: Path, device: str) -> Place:
    return placement.of_torch(device)


def _checked(path: Path, pinned: Iterable[str]) -> str:
    if not path.exists():
        raise weight_files.ModelError(f"the segmenter's weights are not at {path}")
    return weight_files.require_pinned(path, pinned)


def _alpha_net(asked: Asked, files: _Files, opener: Opener, means: Mapping) -> _Loaded:
    from ferrari.networks.backends.alpha_net import AlphaNet

    aspect = asked.aspect and "multiple" in files.entry["input"]
    net = _entrys_net(files, opener, means, aspect)
    segmenter = AlphaNet(net, files.paths[0], files.entry, aspect)
    return segmenter, None, None, segmenter.squared if aspect else None


def _entrys_net(files: _Files, opener: Opener, means: Mapping, any_size: bool) -> Network:
    from ferrari.networks.backends import alpha_net

    path, digest, place = files.paths[0], files.digests[0], files.places[0]
    return opener(alpha_net.request(path, files.entry, place, digest, any_size, **means))


def _yolo_seg(asked: Asked, files: _Files, opener: Opener, means: Mapping) -> _Loaded:
    from ferrari.networks.backends import yolo_finder, yolo_segmenter

    path, digest, place = files.paths[0], files.digests[0], files.places[0]
    net = yolo_finder.open_yolo(path, place, digest, opener, asked.class_name, **means)
    finder = yolo_finder.YoloFinder(net, path, asked.class_name, asked.image_size)
    segmenter = yolo_segmenter.YoloSegmenter(finder, path)
    return segmenter, None, segmenter.apart, None


def _sam(asked: Asked, files: _Files, opener: Opener, means: Mapping) -> _Loaded:
    from ferrari.networks.backends.sam import SamSegmenter

    path, place, digest = files.paths[-1], files.places[-1], files.digests[-1]
    request = NetworkRequest.of(path, "sam", place.device, digest, **means)
    segmenter = SamSegmenter(opener(request))
    return segmenter, None, segmenter.apart, None


def _ram(asked: Asked, files: _Files, opener: Opener, means: Mapping) -> _Loaded:
    from ferrari.networks.backends.ram import RamTagger

    tagger = RamTagger(
        _entrys_net(files, opener, means, any_size=False),
        files.paths[0],
        files.entry,
        tags=asked.ram_tags,
        threshold=asked.ram_threshold,
    )
    segmenter, _, apart, _ = _sam(asked, files, opener, means)
    return segmenter, tagger.presence, apart, None


#: `means` are NetworkRequest's threads, cache and batch.
_BACKENDS: Mapping[str, Callable[[Asked, _Files, Opener, Mapping], _Loaded]] = {
    "alpha_net": _alpha_net,
    "yolo_seg": _yolo_seg,
    "sam": _sam,
    "ram": _ram,
}
