"""The lock for CUDA 12.4: requirements.lock without what cuda124.lock replaces.

The lock pins torch for a newer CUDA than 12.4. Left out are the packages that cuda124.lock names,
the CUDA libraries and the compiler of the lock's torch, and the CPU build of ONNX Runtime
(onnxruntime-gpu has the same modules); the Docker image leaves out Decord too, which it builds with
CUDA. What is printed and cuda124.lock are then installed together. Standard library only: it runs
before anything is installed.

    python3 envs/derive_cuda_lock.py [--without decord] [--lean] > rest.lock

--lean leaves out what only developers need (Python 3.11: it reads pyproject.toml).
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

_NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==")
_OTHER_TORCH = re.compile(r"^(nvidia-.*|cuda-.*|triton|torch|torchvision)$")
_VIA = re.compile(r"^    # +(?:via )?([A-Za-z0-9][\w.-]*)", re.MULTILINE)
_KEPT = frozenset(
    {"nvidia-ml-py"}
)  # bindings to the driver: ultralytics needs them, torch does not
_REPLACED = frozenset({"onnxruntime"})


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


def derive(lock: str, cuda_lock: str, without: frozenset[str] = frozenset()) -> str:
    """`lock` without the packages that `cuda_lock` replaces, and without those named.

    Raises ValueError if one of the packages that must go is not there: the lock has changed, and
    this script has to be looked at.
    """
    packages, replacing = blocks(lock), blocks(cuda_lock)
    missing = ({"torch", "torchvision"} | _REPLACED | without) - packages.keys()
    if missing or "torch" not in replacing:
        raise ValueError(f"not in the locks as expected: {', '.join(sorted(missing)) or 'torch'}")
    gone = replacing.keys() | _REPLACED | without | {p for p in packages if _OTHER_TORCH.match(p)}
    return "".join(text for name, text in packages.items() if name in _KEPT or name not in gone)


def lean(lock: str, project: dict) -> str:
    """`lock` without what only the extra `dev` of pyproject's table `project` asks for.

    Who asks for a package stands below it in the lock, behind "# via".
    """
    asking = {name: set(_VIA.findall(text)) for name, text in blocks(lock).items()}
    lines = [*project["dependencies"], *project["optional-dependencies"]["captioner"]]
    needed = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in lines}
    reached: set[str] = set()
    while needed > reached:
        reached = set(needed)
        needed |= {name for name, askers in asking.items() if askers & reached}
    return "".join(text for name, text in blocks(lock).items() if name in needed)


def main() -> None:
    """Print the derived lock of the two files beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--without", nargs="*", default=[], help="packages to leave out besides")
    parser.add_argument("--lean", action="store_true", help="leave out what only developers need")
    given = parser.parse_args()
    folder = Path(__file__).resolve().parent
    lock, cuda_lock = ((folder / f).read_text() for f in ("requirements.lock", "cuda124.lock"))
    if given.lean:
        import tomllib

        text = (folder.parent / "pyproject.toml").read_text()
        lock = lean(lock, tomllib.loads(text)["project"])
    print(derive(lock, cuda_lock, frozenset(given.without)), end="")


if __name__ == "__main__":
    main()
