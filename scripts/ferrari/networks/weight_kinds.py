"""Whether a file of weights can be what a setting needs, by a look at its first bytes.

This is for the moment before the first job, and for `make plan`: what cannot be weights at all (a
page of a failed download, a pointer of Git LFS), what the loader does not take, and a pickle that
nobody has pinned would end every job. What is not known for something else passes: loading it
tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ferrari.common import first_bytes, near_paths
from ferrari.networks import weight_files
from ferrari.networks.weight_files import ModelError, UnpinnedPickleError, Weights

#: What loads the weights of a section (a `backend` of models.yaml), and what it takes.
_TAKES = {
    "yolo": "a YOLO network is a .pt file, an ONNX file, an OpenVINO export or a TensorRT engine",
    "alpha_net": "this segmenter's network is an ONNX file or an OpenVINO export",
    "sam": "SAM is a .pt file",
}
_PYTORCH, _GRAPH = "a PyTorch file", "an XML file"
_LFS = "a pointer of Git LFS and not the file itself (git lfs pull fetches it)"
#: The endings by which a loader knows a PyTorch file, and those that no loader takes.
_PYTORCH_ENDINGS = frozenset({".pt", ".pth", ".torchscript"})
_NOBODYS = frozenset({".bin", ".safetensors", ".ckpt", ".pkl", ".pickle", ".h5", ".gguf"})
_BEGINNINGS = {
    b"version https://git-lfs": _LFS,
    b"\x89HDF": "an HDF5 file (Keras)",
    b"GGUF": "a GGUF file",
    b"<?xml": _GRAPH,
    b"<net": _GRAPH,
}


def fit(config: Mapping, section: str) -> list[Weights]:
    """What a section loads, as `weight_files.wanted`, before the first job.

    Raises ModelError for weights that are not there and cannot be fetched, are none as far as a
    look at them tells, or may not be used; OSError for a file that cannot be read.
    """
    found = weight_files.wanted(config, section)
    for weights in found:
        weight_files.require_place(weights, _setting_of(section, config))
        require(weights, section, config)
        weight_files.require_terms(weights, config["models"]["accept_noncommercial"])
    return found


def require(weights: Weights, section: str, config: Mapping) -> None:
    """Raise ModelError for weights of `section` (`detect`, `mask`) that the loader of these
    settings cannot load or must not; what is not there yet is no fault of theirs.

    Reads a few kilobytes; of a pickle all of it, for its SHA-256.
    """
    path = weights.path
    if weights.entry.get("sources"):
        _require_size(weights)
    elif path.is_file():
        own = _setting_of(section, config)
        loader = _loader(own, config)
        if fault := _fault(path, loader):
            raise ModelError(
                f"{own}.weights: {near_paths.told(path)} {fault}; {_TAKES[loader]}. Give the path "
                "of such a file"
            )
        if weight_files.is_pickle(path):
            _require_pinned(weights, own)


def _setting_of(section: str, config: Mapping) -> str:
    """The section whose `weights` name those that a section loads."""
    return "mask" if config["detect"]["backend"] == "mask" else section


def _loader(section: str, config: Mapping) -> str:
    if section == "detect":
        return "yolo"
    found = weight_files.table()["segmenters"][config["mask"]["segmenter"]]["backend"]
    return {"yolo_seg": "yolo", "ram": "alpha_net"}.get(found, found)


def _fault(path: Path, loader: str) -> str:
    """Why a loader cannot take a file; "" where nothing speaks against it."""
    kind, ending = kind_of(path), path.suffix.lower()
    takes_pytorch = loader != "alpha_net"
    if kind == _PYTORCH and takes_pytorch:
        right = any(one in path.name.lower() for one in _PYTORCH_ENDINGS)
        return "" if right else f"is {kind}, and is known as one by the ending .pt alone: rename it"
    if kind == _GRAPH and loader == "alpha_net":
        alone = not path.with_suffix(".bin").exists()
        return f"lacks its weights, {path.with_suffix('.bin').name} beside it" if alone else ""
    pair = path.with_suffix(".bin"), path.with_suffix(".xml")
    if ending in (".bin", ".xml") and all(one.exists() for one in pair):
        return "is a part of an OpenVINO export: name its folder"
    if kind:
        return f"is {kind}"
    if ending in _NOBODYS or (ending in _PYTORCH_ENDINGS and not takes_pytorch):
        return f"ends in {ending}, which nothing here loads as this network"
    if loader == "sam" and ending not in _PYTORCH_ENDINGS:
        return f"ends in {ending or 'nothing'}"
    return ""


def kind_of(path: str | os.PathLike) -> str:
    """'a safetensors file', 'an HTML page (a failed download?)', 'empty', and so on; "" for ONNX,
    TensorRT and whatever else is not known by its first bytes. Raises OSError.
    """
    head = first_bytes.read(path)
    if not head:
        return "empty"
    if weight_files.holds_pickle(path):
        return _PYTORCH
    start = head.lstrip()
    if found := next((what for begin, what in _BEGINNINGS.items() if start.startswith(begin)), ""):
        return found
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < os.path.getsize(path):
        return "a safetensors file"
    if found := first_bytes.unopened(head):
        return found
    other = first_bytes.no_film(path, animations=False)
    return f"a {other}" if other else ""


def _require_size(weights: Weights) -> None:
    """Of a listed file that is there already: somebody may have put there what is none."""
    path, size = weights.path, weights.entry.get("bytes")
    if size and path.is_file() and path.stat().st_size != size:
        kind = kind_of(path)
        raise ModelError(
            f"the weights {weights.name} in {near_paths.told(path)} have {path.stat().st_size:,} "
            f"bytes and not {size:,}{f': it is {kind}' if kind else ''}. Delete the file to have "
            "it fetched anew"
        )


def _require_pinned(weights: Weights, section: str) -> None:
    found = weight_files.digest(weights.path)
    try:
        weight_files.require_digest(weights.path, found, weights.sha256)
        weight_files.require_pinned(weights.path, weight_files.pins(weights.sha256))
    except UnpinnedPickleError as error:
        raise UnpinnedPickleError(f"{section}.weights: {error}") from error
    except ModelError as error:
        raise ModelError(f"{section}.weights: {error}") from error
