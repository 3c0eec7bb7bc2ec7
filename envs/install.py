"""Make a virtual environment from a lock: what `make setup` and `make setup-gpu` do.

    python3 envs/install.py .venv envs/requirements.lock
    python3 envs/install.py .venv envs/requirements.lock --cuda envs/cuda124.lock [--elsewhere]

Standard library only, and no syntax of a newer Python: the `python3` that runs this need not be one
that the packages are for. With --cuda nothing is touched before it is known that the driver is new
enough and that the disk suffices, and the old environment gives way only to one that is whole. With
--elsewhere no driver is asked: the cards are those of other machines, which share the folder. An
environment that was made with --cuda stays one when it is brought up to date without; delete it to
get the other.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "envs")]

import derive_cuda_lock  # noqa: E402

from ferrari.common import command_line  # noqa: E402
from ferrari.processes.nvidia_driver import NEEDED_CUDA, NEEDED_RELEASE, Driver, look  # noqa: E402

#: The oldest Python that the packages take, and the first that is too new: CLIP's tokenizer has no
#: build for it.
OLDEST, TOO_NEW = (3, 11), (3, 13)
CUDA = ".".join(map(str, NEEDED_CUDA))
#: An environment for CUDA takes 7.3 GB, and what is downloaded for it 3.9 GB before it is unpacked.
NEEDED_GB = 12
#: In an environment: the locks that it was made from, a digest and a name a line.
LOCKS = "locks.txt"


class SetupError(Exception):
    """The environment cannot be made; the message says why, and what helps."""


def main(arguments: list[str] | None = None) -> int:
    """The command line; one line on stderr and exit status 1 if it cannot be done."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("venv", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--cuda", type=Path, help="the lock of what CUDA needs in place")
    parser.add_argument("--elsewhere", action="store_true", help="the cards are in other machines")
    given = parser.parse_args(arguments)
    try:
        beside = given.lock.with_name("cuda124.lock")
        if given.cuda or beside.name in locks_of(given.venv):
            install_cuda(given.venv, given.lock, given.cuda or beside, given.elsewhere)
        else:
            install(given.venv, given.lock)
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


# --- for any machine ------------------------------------------------------------------------------


def install(venv: Path, lock: Path) -> None:
    """Make `venv` if it is missing or of a wrong Python, and install what `lock` says."""
    uv = find_uv()
    if not suits(python_of(venv)):
        print(f"installing what {lock.name} pins into {venv}: some minutes in silence", flush=True)
        make_empty(uv, venv)
    sync(uv, venv, [lock])
    note_locks(venv, [lock])


def make_empty(uv: list[str], venv: Path, *options: str) -> None:
    """An environment without packages, of a Python that suits: this one, or one that uv brings."""
    wanted = sys.executable
    if not OLDEST <= tuple(sys.version_info[:2]) < TOO_NEW:
        wanted = ">={}.{},<{}.{}".format(*OLDEST, *TOO_NEW)
    done = run([*uv, "venv", "--quiet", "--clear", "--python", wanted, *options, str(venv)])
    if done.returncode:
        newest = f"{TOO_NEW[0]}.{TOO_NEW[1] - 1}"
        raise SetupError(
            f"Python {OLDEST[0]}.{OLDEST[1]} or {newest} is needed: python3 is "
            f"{sys.version_info[0]}.{sys.version_info[1]}, and uv could not bring another "
            f"({last_line(done.stderr)}); install one (Ubuntu 22.04: sudo apt install python3.11; "
            f"where the internet can be reached: uv python install {newest}) and name it, as in "
            "`make setup PYTHON=python3.11`"
        )


def sync(uv: list[str], venv: Path, locks: list[Path]) -> None:
    """Install exactly what the locks say, with their hashes."""
    python = str(venv / "bin/python")
    command = [*uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python]
    if subprocess.run([*command, *map(str, locks)], check=False).returncode:
        raise SetupError(
            "the packages could not be installed, see above; with the package index in reach and "
            "disk to spare, the same command goes on where this one stopped"
        )


def find_uv() -> list[str]:
    """The command of uv, installed with pip if need be."""
    found = shutil.which("uv")
    if found:
        return [found]
    own = [sys.executable, "-m", "uv"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "uv"]
    ways = ([], pip, [*pip, "--user"], [*pip, "--user", "--break-system-packages"])
    for way in ways:
        if (not way or run(way).returncode == 0) and run([*own, "--version"]).returncode == 0:
            return own
    raise SetupError(
        "uv, which installs the packages, is not here, and pip could not install it; install pip "
        "(Ubuntu and Debian: sudo apt install python3-pip), or uv itself"
    )


def python_of(venv: Path) -> tuple[int, ...]:
    """Major and minor version of an environment's Python; () if there is none that starts."""
    code = "import sys; print(*sys.version_info[:2])"
    if not (venv / "bin/python").exists():
        return ()
    done = run([str(venv / "bin/python"), "-c", code])
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def suits(version: tuple[int, ...]) -> bool:
    """True for a Python that all packages are built for."""
    return OLDEST <= version < TOO_NEW


def run(command: list[str]) -> subprocess.CompletedProcess:
    """A command whose output is taken; one that cannot be started counts as failed."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def last_line(text: str) -> str:
    """The innermost cause that uv gives, or the last thing that it says."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


# --- for CUDA -------------------------------------------------------------------------------------


def install_cuda(venv: Path, lock: Path, cuda_lock: Path, elsewhere: bool) -> None:
    """Make `venv` an environment for CUDA; where that fails, it is left as it was."""
    locks = [lock, cuda_lock]
    if locks_of(venv) == digests(locks) and suits(python_of(venv)):
        print(f"{venv} is what the locks for CUDA {CUDA} say")
        return
    try:
        print(require_cards(elsewhere), flush=True)
        require_disk(venv)
        build_beside(venv, locks)
    except SetupError as error:
        state = f"{venv} is as it was" if venv.exists() else f"there is no {venv} yet"
        raise SetupError(f"{error} ({state})") from error


def build_beside(venv: Path, locks: list[Path]) -> None:
    """Make an environment for CUDA beside `venv`, try it, and put it in its place."""
    uv = find_uv()
    lock, cuda_lock = locks
    beside = venv.with_name(venv.name + ".new")
    try:
        # Relocatable: its scripts do not name the folder, which changes.
        make_empty(uv, beside, "--relocatable")
        with tempfile.NamedTemporaryFile("w", suffix=".lock") as rest:
            rest.write(derive_cuda_lock.derive(lock.read_text(), cuda_lock.read_text()))
            rest.flush()
            sync(uv, beside, [Path(rest.name), cuda_lock])
        done = run([str(beside / "bin/python"), str(ROOT / "envs/check_cuda.py")])
        if done.returncode:
            raise SetupError(f"what was installed does not load: {last_line(done.stderr)}")
        note_locks(beside, locks)
        put_in_place(beside, venv)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def require_cards(elsewhere: bool) -> str:
    """A line on the card and its driver; raises SetupError where CUDA 12.4 cannot run."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetupError("the locked packages for CUDA are for Linux on x86-64")
    if elsewhere:
        return (
            f"installing the packages for CUDA {CUDA}: the machines with the cards need driver "
            f"{NEEDED_RELEASE} or newer"
        )
    found = look()
    ask = (
        f"install NVIDIA driver {NEEDED_RELEASE} or newer, or stay with `make setup`, which runs "
        "on CPUs; where the cards are in other machines that share this folder (a cluster): make "
        "setup-gpu ELSEWHERE=1"
    )
    if not isinstance(found, Driver):
        raise SetupError(f"{found}; {ask}")
    if found.cuda < NEEDED_CUDA:
        raise SetupError(f"the {found.named} is too old: the packages need CUDA {CUDA}; {ask}")
    if not found.cards:
        raise SetupError(f"the {found.named} shows no card; nvidia-smi says why")
    cards = ", ".join(card.name for card in found.cards)
    return f"{cards}: {found.named}; installing the packages for CUDA {CUDA}"


def require_disk(venv: Path) -> None:
    """Raise SetupError if the disk of `venv` is too small for what is downloaded and unpacked."""
    folder = venv.resolve().parent
    free = shutil.disk_usage(folder).free / 1e9
    if free < NEEDED_GB:
        raise SetupError(
            f"{free:.1f} GB are free on the disk of {folder}, and about {NEEDED_GB} are needed for "
            "the packages and their download; make room and try again"
        )


def put_in_place(beside: Path, venv: Path) -> None:
    """Put the environment `beside` where `venv` is; what was there goes last."""
    old = venv.with_name(venv.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if venv.exists() or venv.is_symlink():
        os.replace(venv, old)
    os.replace(beside, venv)
    if old.is_symlink():
        old.unlink()
    else:
        shutil.rmtree(old, ignore_errors=True)


# --- what an environment was made from ------------------------------------------------------------


def digests(locks: list[Path]) -> dict[str, str]:
    """SHA-256 of each lock by its name."""
    return {lock.name: hashlib.sha256(lock.read_bytes()).hexdigest() for lock in locks}


def note_locks(venv: Path, locks: list[Path]) -> None:
    """Write into an environment what it was made from."""
    lines = [f"{digest}  {name}\n" for name, digest in digests(locks).items()]
    (venv / LOCKS).write_text("".join(lines))


def locks_of(venv: Path) -> dict[str, str]:
    """What `note_locks` wrote; empty where it has not."""
    file = venv / LOCKS
    lines = file.read_text().splitlines() if file.is_file() else []
    return {name: digest for digest, name in (line.split() for line in lines)}


if __name__ == "__main__":
    command_line.begin()
    command_line.run(main)
