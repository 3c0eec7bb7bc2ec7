"""What a file that is given as weights is, by its first bytes."""

from __future__ import annotations

import os

from ferrari.common import first_bytes
from ferrari.networks import weight_files

SAFETENSORS = "a safetensors file"
PYTORCH, GRAPH = "a PyTorch file", "an XML file"
_LFS = "a pointer of Git LFS and not the file itself (git lfs pull fetches it)"
_BEGINNINGS = {
    b"version https://git-lfs": _LFS,
    b"\x89HDF": "an HDF5 file (Keras)",
    b"GGUF": "a GGUF file",
    b"<?xml": GRAPH,
    b"<net": GRAPH,
}


def kind_of(path: str | os.PathLike) -> str:
    """'a safetensors file', 'an HTML page (a failed download?)', 'empty', and so on; "" for ONNX,
    TensorRT and whatever else is not known by its first bytes. Raises OSError.
    """
    head = first_bytes.read(path)
    if not head:
        return "empty"
    if weight_files.holds_pickle(path):
        return PYTORCH
    start = head.lstrip()
    if found := next((what for begin, what in _BEGINNINGS.items() if start.startswith(begin)), ""):
        return found
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < os.path.getsize(path):
        return SAFETENSORS
    if found := first_bytes.unopened(head):
        return found
    other = first_bytes.no_film(path, animations=False)
    return f"a {other}" if other else ""
