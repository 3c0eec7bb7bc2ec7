"""Whether weights can be what a setting needs, by a look at their file.

This is for the moment before the first job, and for `make plan`: what cannot be weights at all (a
page of a failed download, a pointer of Git LFS), what the loader does not take, a network for
something else (`weight_contents`), and a pickle that nobody has pinned would end every job, or make
all masks worse. What is not known for something else passes: loading it tells.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ferrari.common import near_paths
from ferrari.networks import file_kinds, weight_contents, weight_files
from ferrari.networks.weight_files import ModelError, UnpinnedPickleError, Weights

#: What loads the weights of a section, what it needs, and the kinds of models.yaml that are that.
_YOLO = "a YOLO network: a .pt file, an ONNX file, an OpenVINO export or a TensorRT engine"
_NEEDS = {
    "yolo": _YOLO,
    "yolo_seg": _YOLO.replace("network", "network with masks"),
    "alpha_net": "a network that gives the alpha of a picture{size}: an ONNX file or an OpenVINO "
    "export",
    "ram": "a network that gives a score for each tag: an ONNX file or an OpenVINO export",
    "sam": "a SAM under its vendor's name: {sam}",
}
_KINDS = {
    "yolo": {"detector", "instance_segmenter"},
    "yolo_seg": {"instance_segmenter"},
    "alpha_net": {"segmenter", "person_segmenter"},
    "ram": {"tagger"},
    "sam": {"prompted_segmenter"},
}
#: The endings by which a loader knows a PyTorch file, and those that no loader takes.
_PYTORCH_ENDINGS = frozenset({".pt", ".pth", ".torchscript"})
_NOBODYS = frozenset({".bin", ".safetensors", ".ckpt", ".pkl", ".pickle", ".h5", ".gguf"})


def fit(config: Mapping, section: str) -> list[Weights]:
    """What a section loads, as `weight_files.wanted`, before the first job.

    Raises ModelError for weights that are not there and cannot be fetched, are none as far as a
    look at them tells, or may not be used; OSError for a file that cannot be read.
    """
    found = weight_files.wanted(config, section)
    for weights in found:
        _require_kind(weights, _setting(section, config), config)
        weight_files.require_place(weights, _setting(section, config))
        require(weights, section, config)
        weight_files.require_terms(weights, config["models"]["accept_noncommercial"])
    return found


def require(weights: Weights, section: str, config: Mapping) -> None:
    """Raise ModelError for weights of `section` (`detect`, `mask`) that the loader of these
    settings cannot load or must not, or can make nothing of; what is not there yet is no fault of
    theirs.

    Reads a few kilobytes, of an OpenVINO graph its .xml file; of a pickle all of it, for its
    SHA-256.
    """
    own = _setting(section, config)
    if weights.entry.get("sources"):
        _require_size(weights)
    elif weights.path.exists():
        loader = _loader(own, config)
        if fault := _fault(weights.path, loader) or _unfit(weights, own, loader, config):
            raise ModelError(
                f"{own}.weights: {near_paths.told(weights.path)} {fault}; "
                f"{_needed(own, config)}. Give the path of such a file"
            )
        if weight_files.is_pickle(weights.path):
            _require_pinned(weights, own)


def _unfit(weights: Weights, section: str, loader: str, config: Mapping) -> str:
    try:
        return weight_contents.unfit(weights, loader, config["detect"]["class"])
    except ModelError as error:
        raise ModelError(f"{section}.weights: {error}; {_needed(section, config)}") from error


def _setting(section: str, config: Mapping) -> str:
    """The section whose `weights` a section loads: a segmenter may stand in for the detector."""
    return "mask" if section == "detect" and config["detect"]["backend"] == "mask" else section


def _require_kind(weights: Weights, section: str, config: Mapping) -> None:
    """Of a name from the list that a setting names: it may be a network for something else."""
    if not weights.entry.get("kind") or weights.name != config[section].get("weights"):
        return
    known, kinds = weight_files.table()["models"], _KINDS[_loader(section, config)]
    if weights.entry["kind"] not in kinds:
        kind = weights.entry["kind"].replace("_", " ")
        fit = [name for name, entry in known.items() if entry["kind"] in kinds]
        raise ModelError(
            f"{section}.weights: the network {weights.name} is of another kind ({kind}); "
            f"{_needed(section, config)}. Of those that {weight_files.TABLE.name} lists, these "
            f"are: {', '.join(fit)}"
        )


def _needed(section: str, config: Mapping) -> str:
    """'mask.segmenter: isnet needs ...'."""
    loader = _loader(section, config)
    if section == "detect":
        return f"detect.backend: yolo needs {_NEEDS[loader]}"
    name = config["mask"]["segmenter"]
    size = _entry_of(name).get("input", {}).get("size")
    square = f" of {weight_contents.told(size)}" if isinstance(size, list) else " of any size"
    needs = _NEEDS[loader].format(size=square, sam=", ".join(weight_contents.SAM_FILES))
    return f"mask.segmenter: {name} needs {needs}"


def _entry_of(segmenter: str) -> Mapping:
    table = weight_files.table()
    return table["models"][table["segmenters"][segmenter]["weights"]]


def _loader(section: str, config: Mapping) -> str:
    if section == "detect":
        return "yolo"
    return weight_files.table()["segmenters"][config["mask"]["segmenter"]]["backend"]


def _fault(path: Path, loader: str) -> str:
    """Why a loader cannot take a file; "" where nothing speaks against it."""
    if path.is_dir():
        return ""
    kind, ending = file_kinds.kind_of(path), path.suffix.lower()
    takes_pytorch = loader not in ("alpha_net", "ram")
    if kind == file_kinds.PYTORCH and takes_pytorch:
        right = any(one in path.name.lower() for one in _PYTORCH_ENDINGS)
        return "" if right else f"is {kind}, and is known as one by the ending .pt alone: rename it"
    if kind == file_kinds.GRAPH and not takes_pytorch:
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


def _require_size(weights: Weights) -> None:
    """Of a listed file that is there already: somebody may have put there what is none."""
    try:
        weight_files.require_size(weights.path, weights.entry)
    except ModelError as error:
        kind = file_kinds.kind_of(weights.path)
        told = f"the weights {weights.name}: {error}"
        raise ModelError(f"{told}. The file is {kind}" if kind else told) from error


def _require_pinned(weights: Weights, section: str) -> None:
    found = weight_files.digest(weights.path)
    try:
        weight_files.require_digest(weights.path, found, weights.sha256)
        weight_files.require_pinned(weights.path, weight_files.pins(weights.sha256))
    except UnpinnedPickleError as error:
        raise UnpinnedPickleError(f"{section}.weights: {error}") from error
    except ModelError as error:
        raise ModelError(f"{section}.weights: {error}") from error
