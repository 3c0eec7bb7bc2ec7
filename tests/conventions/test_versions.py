"""One version a package, wherever one is named; and what no file of the repository may hold."""

import importlib.util
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "envs/requirements.lock").read_text()
CUDA_LOCK = (ROOT / "envs/cuda124.lock").read_text()
CONDA = sorted((ROOT / "envs").glob("*.yaml"))
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: What the documentation may name with a version.
NAMED = (
    "snakemake",
    "av",
    "ultralytics-opencv-headless",
    "opencv-python-headless",
    "openvino",
    "pandas",
    "altair",
    "pillow",
    "pymatting",
    "torch",
    "torchvision",
)
_PIN = re.compile(r"^([a-z0-9][a-z0-9-]*)==(\S+?)(?: ; (.+?))? \\$", re.MULTILINE)


def load_script(name: str):
    """envs/<name>.py as a module: `envs` is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"envs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


derive, install = load_script("derive_cuda_lock"), load_script("install")


def pins(lock: str) -> dict[str, str]:
    """Versions by name as Python 3.11 gets them."""
    return {n: v for n, v, marker in _PIN.findall(lock) if ">= '3.12'" not in marker}


LOCKED = pins(LOCK)


def declared() -> list[Requirement]:
    extras = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    lines = [Requirement(line) for line in PROJECT["dependencies"] + extras]
    return [line for line in lines if line.name != PROJECT["name"]]


def test_the_lock_holds_what_pyproject_asks_for():
    asked = declared()
    unmet = [line for line in asked if not line.specifier.contains(LOCKED[line.name])]
    assert unmet == []
    assert asked


def test_python_is_3_11_or_3_12_everywhere():
    first, after = (".".join(map(str, version)) for version in (install.OLDEST, install.TOO_NEW))
    assert PROJECT["requires-python"] == f">={first},<{after}" == ">=3.11,<3.13"
    assert re.search(r"^ARG PYTHON=3\.11\.\d+$", DOCKERFILE, re.MULTILINE)
    for path in CONDA:
        assert "python=3.11" in yaml.safe_load(path.read_text())["dependencies"], path.name
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert config["tool"]["ruff"]["target-version"] == "py311"


def test_the_workflow_asks_for_no_newer_snakemake_than_is_locked():
    asked = re.search(r'min_version\("([\d.]+)"\)', (ROOT / "Snakefile").read_text())[1]
    assert Version(asked) <= Version(LOCKED["snakemake"])


@pytest.mark.parametrize("lock", [LOCK, CUDA_LOCK], ids=["requirements", "cuda124"])
def test_locks_hold_hashes_and_no_address(lock):
    blocks = derive.blocks(lock)
    assert blocks.keys() == pins(lock).keys() | {n for n, _, _ in _PIN.findall(lock)}
    assert [name for name, text in blocks.items() if "--hash=sha256:" not in text] == []
    assert "://" not in lock
    assert "index-url" not in re.sub(r"^#.*$", "", lock, flags=re.MULTILINE)


def test_one_opencv_and_one_ultralytics():
    """The builds with a GUI install the same modules over the headless ones."""
    assert {"ultralytics-opencv-headless", "opencv-python-headless"} <= LOCKED.keys()
    assert not {"ultralytics", "opencv-python", "opencv-contrib-python"} & LOCKED.keys()


def is_pair(torch: str, torchvision: str) -> bool:
    """torch 2.m goes with torchvision 0.(m + 15); from 2.14 on, 0.29 and newer fit all."""
    minor, vision = Version(torch).minor, Version(torchvision).minor
    return vision >= 29 if minor >= 14 else vision == minor + 15


@pytest.mark.parametrize(
    ("torch", "torchvision", "fits"),
    [("2.6.0", "0.21.0", True), ("2.6.0", "0.22.0", False), ("2.15.0", "0.28.0", False)],
)
def test_the_rule_of_pairs(torch, torchvision, fits):
    assert is_pair(torch, torchvision) is fits


@pytest.mark.parametrize("lock", [LOCK, CUDA_LOCK], ids=["requirements", "cuda124"])
def test_torch_and_torchvision_are_a_pair(lock):
    assert is_pair(pins(lock)["torch"], pins(lock)["torchvision"])


@pytest.mark.parametrize("path", CONDA, ids=lambda path: path.stem)
def test_conda_files_pin_what_the_lock_pins(path):
    listed = yaml.safe_load(path.read_text())["dependencies"][-1]["pip"]
    assert not [
        line for line in listed if line.startswith("-")
    ]  # a hashed file as constraint fails
    for line in map(Requirement, listed[1:]):
        assert str(line.specifier) == f"=={LOCKED[line.name]}", line.name


def test_there_is_a_conda_file_a_capability():
    assert [path.stem for path in CONDA] == ["captioner", "detect", "extract", "mask", "report"]


def test_the_documentation_names_the_locked_versions():
    pages, named = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], set()
    for name in NAMED:
        pattern = rf"(?<![\w-]){name}(?:==| v?)(\d+\.\d+[\d.]*\d)"
        known = {LOCKED[name], pins(CUDA_LOCK).get(name, LOCKED[name])}
        for page in pages:
            for version in re.findall(pattern, page.read_text(), re.IGNORECASE):
                named.add(name)
                fits = any(f"{full}.".startswith(f"{version}.") for full in known)
                assert fits, (page.name, name, version)
    assert named


# --- every file ---------------------------------------------------------------------------------

_HOSTS = (  # in two parts each, so that this file does not name them either
    ("pypi", r"\.org"),
    ("python", r"hosted\.org"),
    ("npm", r"js\.(?:org|com)"),
    ("yarn", r"pkg\.com"),
    ("conda.ana", r"conda\.org"),
    ("download.py", r"torch\.org"),
    ("static.crates", r"\.io"),
    ("proxy.go", r"lang\.org"),
)
_PLACES = (r"work/(?:main|shared|\.(?!snakemake)\w)", "root/", "Users/", r"home/(?!ferrari\b)[a-z]")
_MACHINE = rf"(?<![\w./-])/(?:{'|'.join(_PLACES)})"
FORBIDDEN = re.compile("|".join(["".join(host) for host in _HOSTS] + [_MACHINE]))


def repository_files() -> list[Path]:
    """What git tracks and what it would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no git checkout: {error}")
    names = [name for name in listed.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("https://" + "pypi" + ".org/simple", True),
        ("registry." + "npm" + "js.org", True),
        ("/" + "root/.cache", True),
        ("see /" + "home/anna/clips", True),
        ("PyPI's build decodes on the CPU", False),
        ("HOME=/home/ferrari", False),
        ("/work/dataset", False),
        ("https://github.com/dmlc/decord", False),
    ],
)
def test_the_pattern_of_what_is_forbidden(text, bad):
    assert bool(FORBIDDEN.search(text)) is bad


def test_no_file_names_a_package_index_or_a_machine_s_path():
    found = []
    for path in repository_files():
        text = path.read_bytes().decode("utf-8", "replace")
        found += [f"{path.relative_to(ROOT)}: {hit[0]}" for hit in FORBIDDEN.finditer(text)]
    assert found == []


def test_no_file_is_larger_than_8_mb():
    large = [path for path in repository_files() if path.stat().st_size > 8_000_000]
    assert [str(path.relative_to(ROOT)) for path in large] == []
