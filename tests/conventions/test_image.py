"""The locks for CUDA, and the Docker image: what can be held without a container engine."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from ferrari.common import settings
from ferrari.dashboard.serve import HOSTS, TOKEN
from ferrari.networks import weight_files
from ferrari.provenance import run_record
from scripts.tools import serve
from tests.conventions.test_versions import (
    CUDA_LOCK,
    DOCKERFILE,
    LOCK,
    LOCKED,
    PROJECT,
    ROOT,
    derive,
    pins,
)

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DECORD = frozenset({"decord"})  # the image compiles it with CUDA


# --- the locks -----------------------------------------------------------------------------------


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
    assert "decord" in derive.blocks(derive.derive(lock, cuda))
    left = derive.derive(lock, cuda, DECORD)
    assert list(derive.blocks(left)) == ["numpy", "nvidia-ml-py", "tzdata"]
    assert left.startswith(lock[: lock.index("nvidia-cublas")])


def test_derive_refuses_a_lock_that_it_does_not_know():
    with pytest.raises(ValueError, match="onnxruntime"):
        derive.derive("torch==2.15.0 \\\ntorchvision==0.29.2 \\\ndecord==0.6.0 \\\n", CUDA_LOCK)


def test_with_cuda_each_package_is_installed_once_and_none_is_lost():
    rest, cuda = pins(derive.derive(LOCK, CUDA_LOCK)), pins(CUDA_LOCK)
    assert not rest.keys() & cuda.keys()
    lost = LOCKED.keys() - rest.keys() - cuda.keys()
    foreign = {name for name in lost if name.startswith(("nvidia-", "cuda-"))}
    assert lost - foreign == {"onnxruntime"}  # onnxruntime-gpu has its modules
    assert all(rest[name] == LOCKED[name] for name in rest)


def test_the_libraries_that_onnxruntime_looks_for_are_among_the_packages():
    """As `ldd` shows of onnxruntime-gpu 1.26.0, by the package that has each, and its version."""
    needs = {"cublas": "12.", "curand": "10.", "cufft": "11.", "cuda-runtime": "12.", "cudnn": "9."}
    cuda = pins(CUDA_LOCK)
    assert cuda["onnxruntime-gpu"] == "1.26.0"
    for name, version in needs.items():
        assert cuda[f"nvidia-{name}-cu12"].startswith(version), name


def test_without_what_developers_need_each_package_still_finds_what_it_needs():
    lean = pins(derive.lean(LOCK, PROJECT))
    assert not {"pytest", "ruff", "mypy", "playwright", "snakefmt", "hypothesis"} & lean.keys()
    assert {"snakemake", "torch", "transformers", "mpmath"} <= lean.keys()
    wanting = []
    for name in lean:
        try:
            lines = map(Requirement, importlib.metadata.requires(name) or [])
        except importlib.metadata.PackageNotFoundError:
            continue  # a package for another platform
        needed = {line for line in lines if not line.marker or line.marker.evaluate({"extra": ""})}
        wanting += [
            f"{name}: {line}" for line in needed if line.name.lower() in LOCKED.keys() - lean
        ]
    assert wanting == []


def test_a_lock_without_the_libraries_of_cuda_12_4_is_found():
    """The check that the image and `make setup-gpu` end with, on an environment that is not it."""
    if importlib.metadata.version("torch") == pins(CUDA_LOCK)["torch"]:
        pytest.skip("this environment is the one for CUDA 12.4")
    command = [sys.executable, ROOT / "envs/check_cuda.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is built for CUDA" in done.stderr and done.stderr.strip().endswith("not 12.4")


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


# --- the image ------------------------------------------------------------------------------------


def test_the_image_is_for_cuda_12_4_throughout():
    assert re.search(r"^ARG CUDA=12\.4\.\d+$", DOCKERFILE, re.MULTILINE)
    cuda = pins(CUDA_LOCK)
    assert cuda["nvidia-cuda-runtime-cu12"].startswith("12.4.")
    assert not [name for name in cuda if name.endswith("-cu13")]
    assert "check_cuda.py" in stages()["lean-0"]
    assert "-DUSE_CUDA=ON" in DOCKERFILE
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,video,utility" in DOCKERFILE


def copied() -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_the_image_copies_exists_and_is_sent_to_the_builder():
    sources, sent = copied(), (ROOT / ".dockerignore").read_text().splitlines()
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if f"!{source.split('/')[0]}" not in sent] == []
    assert sources


def stages() -> dict[str, str]:
    """The stages of the Dockerfile, each with its text from its FROM on, in their order."""
    parts = re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {re.match(r"FROM \S+ AS (\S+)", part)[1]: part for part in parts}


def of(stage: str) -> list[str]:
    """A stage and those it is made from, the first one first; WEIGHTS as by default."""
    base = re.match(r"FROM (\S+)", stages()[stage])[1].replace("${WEIGHTS}", "0")
    return [*(of(base) if base in stages() else [base]), stage]


def test_the_image_is_ubuntu_with_wheels_and_cuda_comes_once():
    assert of("lean") == ["ubuntu:${UBUNTU}", "base", "lean-0", "lean"]
    assert of("dev") == ["ubuntu:${UBUNTU}", "base", "lean-0", "dev"]
    assert re.search(r"^ARG UBUNTU=22\.04$", DOCKERFILE, re.MULTILINE)
    assert list(stages())[-1] == "lean"  # what a build without --target gives
    built_with_cuda = [name for name, text in stages().items() if "FROM nvidia/" in text]
    assert built_with_cuda == ["decord"] and "cudnn" not in stages()["decord"]


def test_only_developers_get_tests_and_their_tools():
    lean = "".join(stages()[name] for name in of("lean")[1:])
    assert "tests" not in lean and "nano" not in lean and "dev.lock" not in lean
    for what in ("COPY tests ", " nano ", " tmux ", "dev.lock"):
        assert what in stages()["dev"]


def test_the_image_runs_as_a_user_and_is_compiled_once():
    assert all("\nUSER 1000:1000\n" in stages()[target] for target in ("lean", "dev"))
    assert "UV_COMPILE_BYTECODE=1" in stages()["tools"] and of("lean-packages")[-3] == "tools"
    assert "compileall -q /opt/ferrari/scripts" in stages()["lean-0"]
    assert "NUMBA_CACHE_DIR=/srv/ferrari/cache/" in stages()["base"]


def test_the_weights_in_the_image_are_where_the_pipeline_looks():
    (folder,) = re.findall(rf"^ENV {weight_files.GIVEN}=(\S+)$", stages()["lean-1"], re.MULTILINE)
    assert f"get_weights.py {folder}\n" in stages()["lean-1"]
    assert "FROM lean-${WEIGHTS} AS" in stages()["lean"] + stages()["dev"]


def test_the_image_tells_its_commit():
    assert f"ENV {run_record.BUILT_FROM}=${{COMMIT}}\n" in DOCKERFILE
    assert '--build-arg COMMIT="$$(git describe' in (ROOT / "Makefile").read_text()


def test_hadolint_has_nothing_to_say():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    command = [hadolint, "--no-color", ROOT / "Dockerfile"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# --- compose --------------------------------------------------------------------------------------


def test_compose_up_starts_the_dashboards_alone():
    services = COMPOSE["services"]
    assert services.keys() == {"gpu", "cpu", "dashboards"}
    assert [name for name in services if "profiles" not in services[name]] == ["dashboards"]


def test_compose_s_dashboards_keep_to_what_the_server_takes_and_start_no_run():
    service = COMPOSE["services"]["dashboards"]
    program, *words = service["command"]
    given = serve.parsed([program, *words])
    assert service["entrypoint"] == ["python", "/opt/ferrari/scripts/tools/serve.py"]
    assert (given.host, given.port, given.no_runs, given.open_reports) == (
        *("0.0.0.0", 8000, True, True),
    )
    assert service["ports"] == ["${FERRARI_BIND:-127.0.0.1}:8000:8000"]
    assert set(service["environment"]) == {TOKEN, HOSTS}
    mounted = [volume.split(":") for volume in service["volumes"]]
    written = {where for _, where, *how in mounted if how != ["ro"]}
    assert written == {"/srv/ferrari/dataset", "/srv/ferrari/.snakemake"}


def test_compose_runs_the_pipeline_with_and_without_a_gpu():
    services = COMPOSE["services"]
    assert services["gpu"]["command"][:4] == ["--cores", "24", "--resources", "gpu=1"]
    device = services["gpu"]["deploy"]["resources"]["reservations"]["devices"][0]
    assert device["driver"] == "nvidia" and "video" in device["capabilities"]
    assert "deploy" not in services["cpu"]
    assert all(service["build"]["target"] in stages() for service in services.values())


@pytest.mark.parametrize("service", ["gpu", "cpu"])
def test_compose_keeps_all_that_a_run_writes(service):
    kept = {volume.split(":")[1] for volume in COMPOSE["services"][service]["volumes"]}
    assert "WORKDIR /srv/ferrari\n" in DOCKERFILE
    defaults = settings.load()
    folders = {defaults[name] for name in ("dataset", "qc_reports", "audit", "cache")}
    folders |= {"logs", "benchmarks", ".snakemake"}
    assert kept == {f"/srv/ferrari/{folder}" for folder in folders}
    assert all(folder in DOCKERFILE for folder in kept - {"/srv/ferrari/dataset"})
