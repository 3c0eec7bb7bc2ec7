"""`make train-smoke` holds on a small package, and fails on one whose masks say nothing."""

import subprocess

import numpy as np
import pytest

from ferrari.images import image_files
from tests.conformance import made_set
from tests.train_smoke.__main__ import PYTHON, ROOT

pytestmark = pytest.mark.trainers


def run(package):
    command = [str(PYTHON), "-m", "tests.train_smoke.training", str(package)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def package(tmp_path):
    if not PYTHON.exists():
        pytest.skip("no .venv-trainers: `make train-smoke` sets it up")
    return made_set.package(made_set.make(tmp_path), "kohya")


def test_claims_hold_on_a_package(package):
    done = run(package)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASS") == 5


def test_white_masks_are_found_out(package):
    for path in (package / "mask").glob("*.png"):
        white = np.full_like(image_files.read(path), 255)
        path.unlink()  # it may be a hard link
        path.write_bytes(image_files.encode_png(white))
    done = run(package)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL  gradient under the mask is 0" in done.stdout
