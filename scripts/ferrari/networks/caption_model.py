"""The folder of the captioner's model (`caption.model`), looked at before the first job.

Captions come last: a folder that is none would be found after all the work before them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from ferrari.common import near_paths
from ferrari.common.errors import FerrariError
from ferrari.networks import file_kinds

#: What to do, whatever is wrong with a folder.
ADVICE = (
    "It must be a folder with config.json, the processor's and tokenizer's files and weights as "
    ".safetensors; or set caption.backend: template"
)


class CaptionerError(FerrariError, RuntimeError):
    """The captioner cannot be loaded; the message says what is missing and what to do."""


def require(caption: Mapping) -> None:
    """Raise CaptionerError where the `caption` settings ask for a model, and their folder is none.

    Reads its config.json and the first bytes of its weights, and asks no library.
    """
    if caption["backend"] == "transformers":
        require_folder(caption["model"])


def require_folder(folder: str | Path | None) -> Path:
    """The folder; CaptionerError where no image-to-text model can be in it."""
    if not folder:
        raise CaptionerError(
            "caption.backend is transformers, and caption.model names no folder: name that of an "
            "image-to-text model, or set caption.backend: template"
        )
    if fault := _fault(Path(folder)):
        raise CaptionerError(
            f"caption.model: {near_paths.told(folder)} {fault}. {ADVICE}.{near_paths.hint(folder)}"
        )
    return Path(folder)


def _fault(folder: Path) -> str:
    if not folder.is_dir():
        return "is a file and no folder" if folder.exists() else "is not there"
    if not (folder / "config.json").is_file():
        return "is not a model folder (no config.json in it)"
    try:
        about = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        return f"has a config.json that cannot be read ({error})"
    if not isinstance(about, dict) or not about.get("model_type"):
        return "has a config.json that names no kind of model (model_type)"
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        return "has no weights as .safetensors, and pickled ones are not loaded"
    kinds = {file.name: file_kinds.kind_of(file) for file in files}
    other = next((name for name, kind in kinds.items() if kind != file_kinds.SAFETENSORS), "")
    return f"has weights that are none: {other} is {kinds[other] or 'not known'}" if other else ""


def require_whole(folder: Path) -> None:
    """Raise CaptionerError for weights that are cut off, before libraries are loaded to find out.
    https://github.com/huggingface/safetensors#format
    """
    for file in sorted(folder.glob("*.safetensors")):
        try:
            whole = _whole_size(file)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CaptionerError(
                f"caption.model: {file} is damaged ({error}). Copy it anew, or set "
                "caption.backend: template"
            ) from error
        if (size := file.stat().st_size) < whole:
            raise CaptionerError(
                f"caption.model: {file} is cut off: it has {size:,} of {whole:,} bytes. Copy it "
                "anew, or set caption.backend: template"
            )


def _whole_size(file: Path) -> int:
    """The bytes that a safetensors file should have, by its header."""
    with open(file, "rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        tensors = json.loads(stream.read(length))
    ends = [about["data_offsets"][1] for name, about in tensors.items() if name[:2] != "__"]
    return 8 + length + max(ends, default=0)
