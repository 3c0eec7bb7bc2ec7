"""The record of a run: when, with what, on which machine, and how it ended.

`<audit>/runs/<UTC time>-<pid>/` gets run.json and config.yaml when a run starts, and its RO-Crate
when it ends. A run that was killed keeps `"end": null`. A dry run, and a run with nothing to do,
leave no record. No rule reads these files, so they never make an output stale.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from ferrari.common.atomic_files import sha256_bytes, sha256_file, sha256_path, write_text
from ferrari.common.counts import first_of
from ferrari.common.places import ROOT
from ferrari.common.progress import LOGGER
from ferrari.ledger.stages import VIDEOS_CSV
from ferrari.networks import weight_files
from ferrari.provenance import run_crate
from ferrari.provenance.code_digest import code_digest

LOCK = "envs/requirements.lock"
#: In an image, what `git describe --always --dirty` said when it was built.
BUILT_FROM = "FERRARI_COMMIT"
_PATIENCE_S = 20  # for git and nvidia-smi, which may hang on a broken disk or driver
_PACKAGES = (
    *("snakemake", "av", "decord", "numpy", "opencv-python-headless", "pillow"),
    *("numba", "pymatting"),
    *("torch", "torchvision", "ultralytics-opencv-headless", "openvino", "onnxruntime"),
    *("onnxruntime-gpu", "instant-clip-tokenizer", "transformers", "pandas", "pyarrow"),
)


class Recorder:
    """Writes the record of the run of this process.

    `workflow` is Snakemake's, asked for its rules' scripts when the run starts; `results` are files
    that a whole run makes: {path: what it is}.
    """

    def __init__(self, config: Mapping, workflow: Any, results: Mapping[str, str]) -> None:
        self._config, self._workflow, self._results = config, workflow, results
        self._folder: Path | None = None
        self._record: dict = {}

    def start(self) -> None:
        """Write the record of a run that begins now; raises OSError before any job runs."""
        now = datetime.now(UTC)
        # Commands that take the last run's settings ask about the whole set, whoever worked on it.
        whole = {**self._config, "shard": None}
        config_text = yaml.safe_dump(whole, allow_unicode=True)
        self._record = {
            **{"start": _told(now), "end": None, "status": None},
            "shard": self._config.get("shard"),
            **_asked(self._workflow),
            **_facts(self._config, _scripts(self._workflow)),
            "config_sha256": sha256_bytes(config_text.encode("utf-8", "surrogateescape")),
        }
        name = f"{now:%Y%m%dT%H%M%SZ}-{os.getpid()}"
        folder = _new_folder(Path(self._config["audit"]) / "runs", name)
        write_text(folder / "config.yaml", config_text)
        self._write(folder)
        self._folder = folder

    def end(self, status: str, logs: Sequence[str] = ()) -> None:
        """Complete the record: `status` is success or failed, `logs` Snakemake's logs of the run.

        A disk that is full by now is reported in the log; the run's result stays as it is.
        """
        if self._folder is None:  # the run never started
            return
        try:
            self._complete(self._folder, status, logs)
        except OSError as error:
            LOGGER.error(
                "the run ended (%s), but its record in %s is not complete: %s",
                status,
                self._folder,
                _in_words(error),
            )

    def _complete(self, folder: Path, status: str, logs: Sequence[str]) -> None:
        self._record |= {"end": _told(datetime.now(UTC)), "status": status}
        self._record["weights"] = _weights(self._config)
        self._write(folder)
        for log in logs[:1]:
            shutil.copyfile(log, folder / "snakemake.log")
        began = datetime.fromisoformat(self._record["start"]).timestamp()
        made = {
            path: text
            for path, text in self._results.items()
            if Path(path).is_file() and Path(path).stat().st_mtime >= began
        }
        videos = Path(self._config["dataset"]) / VIDEOS_CSV
        run_crate.write(folder, self._record, self._config["about"], videos, made)

    def _write(self, folder: Path) -> None:
        write_text(
            folder / "run.json", json.dumps(self._record, indent=1, ensure_ascii=False) + "\n"
        )


def _new_folder(runs: Path, name: str) -> Path:
    """A new folder of this name, or one with a number behind it: two machines or containers that
    begin within one second may have the same process number.
    """
    for number in itertools.count(1):
        folder = runs / (name if number == 1 else f"{name}-{number}")
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            return folder
    raise AssertionError("one number is free")


def _scripts(workflow: Any) -> dict[str, str]:
    """The script of each rule, as a path below the repository."""
    given = ((rule.name, rule.script) for rule in workflow.rules if rule.script)
    return {name: os.path.normpath(f"rules/{script}") for name, script in given}


def _asked(workflow: Any) -> dict[str, list[str]]:
    """What the run was asked to make ([]: everything), and the settings files that it was given,
    named from the working folder.
    """
    files = workflow.config_settings.configfiles
    return {
        "targets": sorted(map(str, workflow.dag_settings.targets)),
        "config_files": [os.path.relpath(file) for file in files],
    }


def _told(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _facts(config: Mapping, scripts: Mapping[str, str]) -> dict:
    """What is known of a run before it starts: software, machine, weights, code."""
    lock = ROOT / LOCK
    return {
        "command": shlex.join(sys.argv),
        "python": platform.python_version(),
        "packages": _versions(),
        "lock_sha256": sha256_file(lock) if lock.is_file() else None,
        "machine": _machine(),
        "git": _git(),
        "weights": _weights(config),
        "code": {rule: {"script": s, "digest": code_digest(s)} for rule, s in scripts.items()},
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # another build's name, or not needed here
            continue
    return found


def _machine() -> dict:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "os": platform.platform(),
        "cpu": _cpu_name(),
        "cpus": os.cpu_count(),
        "cpus_usable": len(os.sched_getaffinity(0)),
        "memory_mb": memory >> 20,
        "gpus": _gpus(),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no such thing on this system
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _gpus() -> list[dict[str, str]]:
    """Name and driver of each NVIDIA GPU, from nvidia-smi; empty where there is none."""
    told = _ask(
        "nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"
    )
    rows = [line.split(", ") for line in (told or "").splitlines()]
    keys = ("name", "driver", "memory")
    return [dict(zip(keys, row, strict=True)) for row in rows if len(row) == len(keys)]


def _git() -> dict | None:
    """Commit of the workflow, and whether files differ from it; None outside a repository.

    A container image has no repository; what it was built from is told by its environment.
    """
    built_from = os.environ.get(BUILT_FROM)
    if built_from:
        built, _, changed_since = built_from.partition("-")
        return {"commit": built, "dirty": bool(changed_since)}
    commit = _ask("git", "-C", str(ROOT), "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _ask("git", "--no-optional-locks", "-C", str(ROOT), "status", "--porcelain")
    return {"commit": commit.strip(), "dirty": None if changed is None else bool(changed.strip())}


def _ask(*command: str) -> str | None:
    """What a program prints; None if it is not there, fails, or does not answer in time."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _weights(config: Mapping) -> list[dict]:
    """Name and SHA-256 of each set of weights: pinned, or else the file's; null without a file."""
    found: dict[str, dict] = {}
    for section in weight_files.sections(config):
        for weights in weight_files.wanted(config, section):
            digest = weights.sha256
            if digest is None and weights.path.exists():
                digest = sha256_path(weights.path)
            known: dict = {"name": weights.name, "sha256": digest, "for": []}
            found.setdefault(str(weights.path), known)["for"].append(section)
    return list(found.values())


def _in_words(error: OSError) -> str:
    """An error in a line; of a folder that could not be copied, the first of its files."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return first_of([str(why) for *_, why in error.args[0]], 1)
    return str(error)
