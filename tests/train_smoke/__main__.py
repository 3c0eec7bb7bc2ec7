"""`python -m tests.train_smoke [PACKAGE]`: without a folder, on a small made-up package."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conformance import made_set

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-trainers/bin/python"


def train(package: Path) -> subprocess.CompletedProcess:
    """The claims, in the trainers' own environment and without a network."""
    command = [str(PYTHON), "-m", "tests.train_smoke.training", str(package.resolve())]
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"HF_HUB_OFFLINE": "1"}, check=False)


def main(arguments: list[str]) -> int:
    """Exit status: 0 if every claim holds."""
    if not PYTHON.exists():
        print("no .venv-trainers: `make train-smoke` sets it up", file=sys.stderr)
        return 2
    if arguments:
        return train(Path(arguments[0])).returncode
    with tempfile.TemporaryDirectory() as folder:
        return train(made_set.package(made_set.make(Path(folder)), "kohya")).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
