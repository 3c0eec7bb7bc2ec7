"""A driver that shows a card where there is none, compiled from the C sources beside this file.

It is found through LD_LIBRARY_PATH, which a process reads when it starts: so what is to meet it
runs as a program of its own (`python -m tests.fake_nvidia`). It proves what is asked of a driver
and what becomes of the answers; nothing can be computed with it. Its video engine gives the
pictures that the CPU's decoder made of a clip (`Machine.learn`), or makes some up.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from ctypes.util import find_library
from functools import cache
from pathlib import Path

import pytest

from tests.settings import ROOT

DRIVER, VIDEO, MANAGEMENT = "libcuda", "libnvcuvid", "libnvidia-ml"


def require_no_driver() -> None:
    """Skip a test of a machine without a driver where there is one: it would be found."""
    if find_library("cuda"):
        pytest.skip("this machine has a driver of its own, whose libcuda would be found")


class Machine:
    """A machine with the libraries named; `log` is what its driver was asked, by all processes."""

    def __init__(self, folder: Path, *libraries: str, **environment: str) -> None:
        compiler = shutil.which("gcc")
        if compiler is None:
            pytest.skip("the fake NVIDIA driver is compiled with gcc, and there is none")
        if DRIVER in libraries and VIDEO not in libraries and find_library("nvcuvid"):
            pytest.skip("this machine has a driver of its own, whose libnvcuvid would be found")
        folder.mkdir(parents=True, exist_ok=True)
        for name in libraries:
            (folder / f"{name}.so.1").write_bytes(_compiled(compiler, name))
        self._log = folder / "log"
        self.environment = dict(os.environ, FAKE_CUDA_LOG=str(self._log), **environment)
        self.environment["FERRARI_LOCKS"] = str(folder / "locks")
        if libraries:
            found = filter(None, (str(folder), os.environ.get("LD_LIBRARY_PATH")))
            self.environment["LD_LIBRARY_PATH"] = ":".join(found)

    def learn(self, *clips: Path) -> None:
        """Have the video engine give of these clips the pictures that the CPU's decoder gives.

        What it once learned, other machines may be told: `pictures`, given to them at the start.
        """
        folder = self._log.parent / "pictures"
        folder.mkdir(exist_ok=True)
        teacher = dict(self.environment, FAKE_NVDEC_KEYS=str(folder / "keys"), FAKE_CUDA_LOG="")
        for trouble in ("MEMORY", "REFUSES", "OFF", "DROPS"):
            teacher.pop(f"FAKE_NVDEC_{trouble}", None)
        self._answer(teacher, "pictures", folder, *clips)
        self.environment["FAKE_NVDEC_PICTURES"] = str(folder)

    @property
    def pictures(self) -> dict[str, str]:
        """The part of the environment that says where the pictures are."""
        return {"FAKE_NVDEC_PICTURES": self.environment["FAKE_NVDEC_PICTURES"]}

    @property
    def log(self) -> str:
        """A line for each thing that the driver was asked for."""
        return self._log.read_text() if self._log.exists() else ""

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Python with arguments, in the project's folder; its output is taken."""
        return _run(self.environment, *arguments)

    def answer(self, *arguments: str | Path):
        """What `python -m tests.fake_nvidia` prints as JSON."""
        return self._answer(self.environment, *arguments)

    @staticmethod
    def _answer(environment, *arguments: str | Path):
        done = _run(environment, "-m", "tests.fake_nvidia", *arguments)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@cache
def _compiled(compiler: str, name: str) -> bytes:
    """The library of a C source, compiled once in a process: each test has a driver of its own."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.so"
        source = Path(__file__).parent / f"{name}.c"
        command = [compiler, "-shared", "-fPIC", "-O1", "-o", made, source]
        subprocess.run(command, check=True)
        return made.read_bytes()


def _run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
