"""Print requirements.lock without what cuda124.lock replaces: the Docker image installs both.

The lock pins torch for a newer CUDA than the image's 12.4. Left out are the packages that
cuda124.lock names, the CUDA libraries and the compiler of the lock's torch, the CPU build of ONNX
Runtime (onnxruntime-gpu has the same modules), and Decord, which the image builds with CUDA.
Standard library only: it runs before anything is installed.

    python3 envs/derive_docker_lock.py > docker.lock
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_OTHER_TORCH = re.compile(r"^(nvidia-.*|cuda-.*|triton|torch|torchvision)$")
_KEPT = frozenset(
    {"nvidia-ml-py"}
)  # bindings to the driver: ultralytics needs them, torch does not
_REPLACED = frozenset({"onnxruntime", "decord"})


def blocks(lock: str) -> dict[str, str]:
    """Each package's lines of a lock (pin, hashes, comments) by its name, in the lock's order.

    A package with two pins (for different Pythons) has both in one block. Raises ValueError for
    a line that belongs to no package.
    """
    found: dict[str, str] = {}
    name = None
    for line in lock.splitlines(keepends=True):
        pin = _NAME.match(line)
        if pin:
            name = pin[1].lower()
        elif name is None and line.strip() and not line.startswith("#"):
            raise ValueError(f"the lock begins with a line that is no pin: {line.strip()!r}")
        if name is not None:
            found[name] = found.get(name, "") + line
    return found


def derive(lock: str, cuda_lock: str) -> str:
    """`lock` without the packages that the image gets otherwise.

    Raises ValueError if one of the packages that must go is not there: the lock has changed, and
    this script has to be looked at.
    """
    packages, replacing = blocks(lock), blocks(cuda_lock)
    missing = ({"torch", "torchvision"} | _REPLACED) - packages.keys()
    if missing or "torch" not in replacing:
        raise ValueError(f"not in the locks as expected: {', '.join(sorted(missing)) or 'torch'}")
    gone = replacing.keys() | _REPLACED | {p for p in packages if _OTHER_TORCH.match(p)}
    return "".join(text for name, text in packages.items() if name in _KEPT or name not in gone)


def main() -> None:
    """Print the derived lock of the two files beside this script."""
    folder = Path(__file__).resolve().parent
    texts = [(folder / file).read_text() for file in ("requirements.lock", "cuda124.lock")]
    sys.stdout.write(derive(*texts))


if __name__ == "__main__":
    main()
