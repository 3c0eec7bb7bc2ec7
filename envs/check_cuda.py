"""Do torch and ONNX Runtime find their CUDA libraries, all symbols of them? Needs no driver.

    .venv/bin/python envs/check_cuda.py

What ONNX Runtime does without it: it says nothing until a network is loaded, and then goes on with
the CPU. Exit status 1 and one line where something is missing.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CUDA = "12.4"


def problem() -> str:
    """What does not load, or ""."""
    try:
        import onnxruntime
        import torch
        import torchvision  # noqa: F401 - its operators fit one torch only
    except (ImportError, OSError) as error:
        return str(error)
    if torch.version.cuda != CUDA:
        return f"torch {torch.__version__} is built for CUDA {torch.version.cuda}, not {CUDA}"
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return f"onnxruntime {onnxruntime.__version__} has no CUDA provider"
    onnxruntime.preload_dlls()
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        ctypes.CDLL(str(folder / "libonnxruntime_providers_shared.so"), mode=ctypes.RTLD_GLOBAL)
        ctypes.CDLL(str(folder / "libonnxruntime_providers_cuda.so"), mode=os.RTLD_NOW)
    except OSError as error:
        return f"ONNX Runtime's CUDA provider: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(problem() or 0)
