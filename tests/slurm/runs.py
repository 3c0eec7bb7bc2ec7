"""The workflow started on a test cluster, with the profile that users start it with."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.settings import ROOT
from tests.slurm.cluster import Cluster
from tests.workflow.demo_run import Demo

PROFILE = ROOT / "profiles/slurm/config.yaml"
#: What a job of the demo may take on a node of the test cluster, whose nodes share one machine.
MEMORY_MB = 2500
#: For the test cluster, and soon: a site's controller would not thank for so many questions.
QUICK = {
    "slurm-batch-init-seconds-before-status-checks": 2,
    "seconds-between-status-checks": 2,
    "max-status-checks-per-second": 5,
    "latency-wait": 10,
    "slurm-batch-status-command": "squeue",  # sacct asks a database, and there is none here
    "slurm-batch-no-account": True,
    "cores": 2,  # of a node
}


def profile(**changed: object) -> dict:
    """The profile as it is, but for the size of the machine; `changed` takes the place of keys."""
    found = yaml.safe_load(PROFILE.read_text()) | QUICK
    found["default-resources"]["mem_mb"] = f"{MEMORY_MB} * attempt"
    for resources in found["set-resources"].values():
        resources.pop("mem_mb", None)
    return found | {key.replace("_", "-"): value for key, value in changed.items()}


def ungrouped(**changed: object) -> dict:
    """The same, with a submitted job for each job."""
    return profile(groups={}, group_components={}, **changed)


@dataclass
class SlurmRun:
    """Runs of a demo on a cluster, by one profile."""

    demo: Demo
    cluster: Cluster
    profile: dict

    def command(self, *arguments: str) -> list[str]:
        """The command of a run; the profile is written down for it."""
        place = self.demo.folder / "profile"
        place.mkdir(exist_ok=True)
        said = {key: value for key, value in self.profile.items() if value not in ({}, None)}
        (place / "config.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
        return self.demo.command("--workflow-profile", str(place), *arguments)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start a run; its output goes to `log` in its folder."""
        with open(self.log, "wb") as stream:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.demo.folder,
                env=self._environment(),
                stdout=stream,
                stderr=subprocess.STDOUT,
            )

    def _environment(self) -> dict[str, str]:
        """The cluster's, in which Snakemake finds the executor beside the profile."""
        inherited = self.cluster.environment
        others = filter(None, [inherited.get("PYTHONPATH")])
        return inherited | {"PYTHONPATH": os.pathsep.join([str(PROFILE.parent), *others])}

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run to the end; its output."""
        status = self.start(*arguments).wait()
        said = self.log.read_text()
        assert not (check and status), said[-6000:]
        return said

    @property
    def log(self) -> Path:
        """What the last run said."""
        return self.demo.folder / "slurm_run.log"
