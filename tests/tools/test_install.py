"""`make setup` and `make setup-gpu`, with a uv and a Python that only say what they are asked."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conventions.test_versions import install
from tests.fake_nvidia import DRIVER, MANAGEMENT, VIDEO, Machine, require_no_driver
from tests.settings import ROOT

#: Makes environments whose Python does nothing but say its version, and notes what it was asked.
UV = """#!/bin/sh
echo "$@" >> {log}
for word in "$@"; do last=$word; done
case "$1 $2" in
venv*)
    case "$NO_OTHER_PYTHON$*" in 1*">="*) echo "cause: no route" >&2; exit 2;; esac
    mkdir -p "$last/bin" && printf '#!/bin/sh\\necho 3 12\\n' > "$last/bin/python"
    chmod +x "$last/bin/python";;
"pip sync") [ -z "$NO_PACKAGES" ] || exit 2;;
esac
"""
#: A python3 whose version and whose disk's free bytes are what the test says.
PYTHON = """#!/bin/sh
exec {python} -c 'import runpy, shutil, sys
sys.version_info = ({version}, 12, "final", 0)
shutil.disk_usage = lambda _: shutil._ntuple_diskusage({free}, 0, {free})
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""
#: Bytes that suffice for any environment, whatever the disk of this machine has.
MUCH = 1 << 40


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


class Desk:
    """A folder with a uv, and an environment that is to be made in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.venv, self._log = folder, folder / ".venv", folder / "uv.log"
        (folder / "bin").mkdir(parents=True)
        program(folder / "bin/uv", UV.format(log=shlex.quote(str(self._log))))

    @property
    def asked(self) -> list[str]:
        """What uv was asked for, a line a call."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def python(self, version: str = "3, 11", free: int = MUCH) -> Path:
        """A python3 of that version by its own account, on a disk with so many free bytes."""
        text = PYTHON.format(python=shlex.quote(sys.executable), version=version, free=free)
        return program(self.folder / "bin/python3", text)

    def make(self, target: str, python: Path | None = None, machine=None, **environment: str):
        """`make target` with this environment as the project's."""
        python = python or self.python()
        known = machine.environment if machine else os.environ
        path = f"{self.folder / 'bin'}:{known['PATH']}"
        return subprocess.run(
            ["make", "--silent", target, f"PYTHON={python}", f"VENV={self.venv}"],
            cwd=ROOT,
            env={**known, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "desk")


def state(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- make setup -----------------------------------------------------------------------------------


def test_the_python_at_hand_is_taken_if_it_suits(desk):
    done = desk.make("setup")
    assert done.returncode == 0, done.stderr
    made, synced = desk.asked
    assert f"--python {sys.executable} " in made and made.endswith(str(desk.venv))
    assert synced.endswith(
        f"--require-hashes --python {desk.venv}/bin/python envs/requirements.lock"
    )
    assert (desk.venv / ".ready").exists()
    assert install.locks_of(desk.venv).keys() == {"requirements.lock"}


@pytest.mark.parametrize("version", ["3, 10", "3, 8", "3, 13"])
def test_where_python_does_not_suit_uv_brings_one_that_does(desk, version):
    """Ubuntu 22.04 has Python 3.10; CLIP's tokenizer has no build for 3.13."""
    done = desk.make("setup", desk.python(version))
    assert done.returncode == 0, done.stderr
    assert "--python >=3.11,<3.13 " in desk.asked[0]
    assert (desk.venv / ".ready").exists()


def test_where_no_python_can_be_had_one_line_says_what_to_install(desk):
    done = desk.make("setup", desk.python("3, 10"), NO_OTHER_PYTHON="1")
    assert done.returncode
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert line.startswith("Python 3.11 or 3.12 is needed: python3 is 3.10, and uv could not bring")
    assert "cause: no route" in line and "make setup PYTHON=python3.11" in line
    assert not (desk.venv / ".ready").exists()


def test_an_environment_of_a_python_that_does_not_suit_is_made_anew(desk):
    """What a `make setup` on Python 3.10 left behind."""
    (desk.venv / "bin").mkdir(parents=True)
    program(desk.venv / "bin/python", "#!/bin/sh\necho 3 10\n")
    assert desk.make("setup").returncode == 0
    assert "--clear" in desk.asked[0]
    assert desk.make("setup").returncode == 0
    os.utime(desk.venv / ".ready", (0, 0))  # as if the lock were newer
    assert desk.make("setup").returncode == 0
    assert [line.split()[0] for line in desk.asked] == ["venv", "pip", "pip"]


def test_packages_that_cannot_be_had_are_an_error(desk):
    done = desk.make("setup", NO_PACKAGES="1")
    assert done.returncode and "the packages could not be installed" in done.stderr
    assert not (desk.venv / ".ready").exists()


# --- make setup-gpu -------------------------------------------------------------------------------


@pytest.fixture
def driver(tmp_path):
    """A machine with the driver that the libraries and the environment make."""
    return lambda *libraries, **said: Machine(tmp_path / "driver", *libraries, **said)


def test_a_driver_for_cuda_12_4_gets_an_environment_for_it(desk, driver):
    desk.make("setup")
    (desk.venv / "old").touch()
    machine = driver(DRIVER, VIDEO, MANAGEMENT)
    done = desk.make("setup-gpu", machine=machine)
    assert done.returncode == 0, done.stderr
    assert "No card 0: driver 550.54.14 for CUDA 12.4" in done.stdout
    made, synced = desk.asked[2:]
    assert "--relocatable" in made and made.endswith(".venv.new")
    assert synced.endswith(" envs/cuda124.lock") and len(synced.split(".lock")) == 3
    assert install.locks_of(desk.venv).keys() == {"requirements.lock", "cuda124.lock"}
    assert not (desk.venv / "old").exists()
    assert [path.name for path in desk.folder.glob(".venv*")] == [".venv"]
    assert "AFTER FORK" not in machine.log
    # A later `make setup`, and any command that comes by it, leaves it an environment for CUDA.
    os.utime(desk.venv / ".ready", (0, 0))
    assert desk.make("setup").returncode == 0
    assert len(desk.asked) == 4
    (desk.venv / install.LOCKS).write_text("0  requirements.lock\n0  cuda124.lock\n")
    os.utime(desk.venv / ".ready", (0, 0))
    assert desk.make("setup", machine=machine).returncode == 0
    assert desk.asked[5].endswith(" envs/cuda124.lock")


@pytest.mark.parametrize(
    ("libraries", "said", "line"),
    [
        ((), {}, "there is no NVIDIA driver"),
        ((DRIVER, VIDEO), {"FAKE_CUDA_VERSION": "12020"}, "CUDA 12.2 is too old"),
        ((DRIVER, VIDEO), {"FAKE_CUDA_VERSION": "11040"}, "CUDA 11.4 is too old"),
        ((DRIVER, VIDEO), {"FAKE_CUDA_DEVICES": "0"}, "shows no card"),
        ((DRIVER, VIDEO), {"NO_PACKAGES": "1"}, "the packages could not be installed"),
    ],
    ids=["no driver", "driver 535", "driver 470", "no card", "no packages"],
)
def test_where_it_cannot_be_one_line_says_so_and_all_is_as_it_was(
    desk, driver, libraries, said, line
):
    if not libraries:
        require_no_driver()
    desk.make("setup")
    before = state(desk.venv)
    done = desk.make("setup-gpu", machine=driver(*libraries, **said))
    assert done.returncode
    (told,) = [text for text in done.stderr.splitlines() if not text.startswith("make")]
    assert line in told and f"{desk.venv} is as it was" in told
    assert state(desk.venv) == before
    assert [path.name for path in desk.folder.glob(".venv*")] == [".venv"]


def test_a_machine_without_a_card_installs_for_others_that_have_one(desk, driver):
    """The login node of a cluster: it has the internet, and the nodes with cards have not."""
    require_no_driver()
    done = desk.make("setup-gpu", machine=driver(), ELSEWHERE="1")
    assert done.returncode == 0, done.stderr
    assert "the machines with the cards need driver 550 or newer" in done.stdout
    assert install.locks_of(desk.venv).keys() == {"requirements.lock", "cuda124.lock"}


def test_a_driver_that_is_newer_is_new_enough(desk, driver):
    machine = driver(DRIVER, VIDEO, FAKE_CUDA_VERSION="13020")
    assert desk.make("setup-gpu", machine=machine).returncode == 0


def test_a_disk_that_is_too_small_is_found_first(desk, driver):
    little = desk.python(free=10_200_000_000)
    done = desk.make("setup-gpu", little, driver(DRIVER, VIDEO, MANAGEMENT))
    assert done.returncode
    (told,) = [text for text in done.stderr.splitlines() if not text.startswith("make")]
    assert told.startswith(f"10.2 GB are free on the disk of {desk.folder}, and about 12 are need")
    assert "make room and try again" in told and f"there is no {desk.venv} yet" in told
    assert desk.asked == []
