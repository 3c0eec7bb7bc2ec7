"""One version a package, wherever one is named; and what no file of the repository may hold."""

import importlib.metadata
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


def load_script():
    """envs/derive_docker_lock.py as a module: `envs` is no package."""
    spec = importlib.util.spec_from_file_location("derive", ROOT / "envs/derive_docker_lock.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


derive = load_script()


def pins(lock: str) -> dict[str, str]:
    """Versions by name as Python 3.11 gets them."""
    return {n: v for n, v, marker in _PIN.findall(lock) if ">= '3.12'" not in marker}


LOCKED = pins(LOCK)


def declared() -> list[Requirement]:
    extras = [line for group in PROJECT["optional-dependencies"].values() for line in group]
    lines = [Requirement(line) for line in PROJECT["dependencies"] + extras]
    return [line for line in lines if line.name != PROJECT["name"]]


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_the_lock_holds_what_pyproject_asks_for(requirement):
    assert requirement.specifier.contains(LOCKED[requirement.name])


def test_python_is_3_11_or_newer_everywhere():
    assert PROJECT["requires-python"] == ">=3.11"
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


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda path: path.stem
)
def test_the_documentation_names_the_locked_versions(page):
    text = page.read_text()
    for name in NAMED:
        pattern = rf"(?<![\w-]){name}(?:==| v?)(\d+\.\d+[\d.]*\d)"
        for version in re.findall(pattern, text, re.IGNORECASE):
            known = {LOCKED[name], pins(CUDA_LOCK).get(name, LOCKED[name])}
            assert any(f"{full}.".startswith(f"{version}.") for full in known), (name, version)


# --- the Docker image ---------------------------------------------------------------------------


def test_derive_leaves_out_torch_and_what_belongs_to_it():
    lock = (
        "numpy==2.4.6 \\\n    --hash=sha256:aa\n    # via\n    #   torch\n"
        "nvidia-cublas==13.4 ; sys_platform == 'linux' \\\n    --hash=sha256:bb\n    # via torch\n"
        "nvidia-ml-py==13.615 \\\n    --hash=sha256:cc\n"
        "cuda-toolkit==13.2 \\\n    --hash=sha256:dd\n"
        "decord==0.6.0 \\\n    --hash=sha256:dd\n"
        "onnxruntime==1.32.0 \\\n    --hash=sha256:dd\n"
        "sympy==1.14.0 \\\n    --hash=sha256:ee\n"
        "torch==2.15.0 \\\n    --hash=sha256:ff\n"
        "torchvision==0.29.2 \\\n    --hash=sha256:ff\n"
        "triton==3.9.0 \\\n    --hash=sha256:ff\n"
        "tzdata==2026.6 \\\n    --hash=sha256:11\n"
    )
    cuda = "# why\ntorch==2.6.0 \\\n    --hash=sha256:22\nsympy==1.13.1 \\\n    --hash=sha256:33\n"
    left = derive.derive(lock, cuda)
    assert list(derive.blocks(left)) == ["numpy", "nvidia-ml-py", "tzdata"]
    assert left.startswith(lock[: lock.index("nvidia-cublas")])


def test_derive_refuses_a_lock_that_it_does_not_know():
    with pytest.raises(ValueError, match="onnxruntime"):
        derive.derive("torch==2.15.0 \\\ntorchvision==0.29.2 \\\ndecord==0.6.0 \\\n", CUDA_LOCK)


def test_the_image_installs_each_package_once_and_loses_none():
    rest, cuda = pins(derive.derive(LOCK, CUDA_LOCK)), pins(CUDA_LOCK)
    assert not rest.keys() & cuda.keys()
    lost = LOCKED.keys() - rest.keys() - cuda.keys()
    foreign = {name for name in lost if name.startswith(("nvidia-", "cuda-"))}
    assert lost - foreign == {"onnxruntime", "decord"}  # onnxruntime-gpu; built with CUDA
    assert all(rest[name] == LOCKED[name] for name in rest)


def test_the_image_is_for_cuda_12_4_throughout():
    assert re.search(r"^ARG CUDA=12\.4\.\d+$", DOCKERFILE, re.MULTILINE)
    cuda = pins(CUDA_LOCK)
    assert cuda["nvidia-cuda-runtime-cu12"].startswith("12.4.")
    assert not [name for name in cuda if name.endswith("-cu13")]
    assert "torch.version.cuda == '12.4'" in DOCKERFILE
    assert "-DUSE_CUDA=ON" in DOCKERFILE
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility" in DOCKERFILE


def test_the_image_s_torch_suits_every_locked_package():
    """The requirements of all that is installed, against the versions that the image has."""
    cuda, wrong = pins(CUDA_LOCK), []
    for name in pins(derive.derive(LOCK, CUDA_LOCK)):
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # a package for another platform
        for line in map(Requirement, lines):
            wanted = line.name in cuda and (not line.marker or line.marker.evaluate({"extra": ""}))
            if wanted and not line.specifier.contains(cuda[line.name]):
                wrong.append(f"{name} needs {line}, the image has {cuda[line.name]}")
    assert wrong == []


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


@pytest.mark.parametrize("source", copied())
def test_what_the_image_copies_exists_and_is_sent_to_the_builder(source):
    assert (ROOT / source).exists()
    assert f"!{source.split('/')[0]}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_compose_runs_the_pipeline_with_and_without_a_gpu():
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert services.keys() == {"gpu", "cpu", "dashboards"}
    assert services["gpu"]["command"][:4] == ["--cores", "24", "--resources", "gpu=1"]
    device = services["gpu"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["driver"] == "nvidia" and "video" in device["capabilities"]
    assert "deploy" not in services["cpu"]
    assert services["dashboards"]["entrypoint"][:4] == ["python", "-m", "http.server", "8000"]
    targets = [volume.split(":")[1] for volume in services["gpu"]["volumes"]]
    assert {"/srv/ferrari/dataset", "/srv/ferrari/qc_reports", "/srv/ferrari/cache"} <= set(targets)
    assert "WORKDIR /srv/ferrari\n" in DOCKERFILE


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
