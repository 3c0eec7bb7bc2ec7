"""What the figures were measured on: cores, CPU, memory, versions. Never a host name or a path."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench.peers import BENCH_PYTHON

_OURS = ("snakemake", "av", "decord", "numpy", "opencv-python-headless", "pillow")
_NETS = ("torch", "ultralytics-opencv-headless", "openvino", "onnxruntime", "numba")
_PEERS = ("imageio-ffmpeg", "rembg", "onnxruntime", "pymatting")


def describe() -> dict[str, object]:
    """Cores, CPU model, memory and versions, ready for JSON."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu_model(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "versions": versions((*_OURS, *_NETS)),
        "peers": peer_versions(),
    }


def cpu_model() -> str:
    """The CPU's name as Linux gives it, else the architecture."""
    info = Path("/proc/cpuinfo")
    if info.exists() and (hit := re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.M)):
        return hit[1].strip()
    return platform.machine()


def versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of those of the distributions that are installed here."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peer_versions() -> dict[str, str]:
    """The same for the peers' environment; empty if it is not there."""
    if not BENCH_PYTHON.exists():
        return {}
    code = (
        "import json; from importlib.metadata import version; "
        f"print(json.dumps({{name: version(name) for name in {_PEERS!r}}}))"
    )
    done = subprocess.run([BENCH_PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
