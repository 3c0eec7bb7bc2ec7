"""How the rules of the stages call them: a shell command that holds all that a job depends on.

The other half is `stage_job.parse`. `script:` would cost half a second of imports a job
(Snakemake's own among them) and cannot be handed to a process that has them loaded.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferrari.common.atomic_files import sha256_bytes, write_text
from ferrari.common.places import ROOT, SCRIPTS

#: The scripts that are called so, and their rules.
RULES = {
    "00_probe_video": "probe",
    "01_extract_frames": "extract",
    "02_yolo_crop": "crop",
    "03_mask_subject": "mask",
    "04_replace_background": "augment",
    "05_caption_images": "caption",
}
#: Where a run keeps what only its jobs read, below the working folder.
STATE = Path(".snakemake/ferrari")
WARM = "FERRARI_WARM"


def stage_command(
    stage: str, inputs: Sequence[str], params: Sequence[str], resources: Sequence[str] = ()
) -> str:
    """The `shell:` of a rule whose job is `scripts/<stage>.py`.

    `inputs` and `params` name all that the rule has, `resources` those that the stage is told: they
    decide how fast its result is reached, and Snakemake runs nothing anew when they change.
    Snakemake fills in the braces. What is no part of a job, and must not make it run again when it
    changes, comes from the environment (`set_environment`).
    """
    parts = [
        '"$FERRARI_PYTHON" -I -S "$FERRARI_HOME/scripts/run_stage.py"',
        f"{stage} --rule {RULES[stage]}",
        "--threads {threads}",
        "--log {log.log:q} --cost {log.cost:q}",
        '--config "$FERRARI_CONFIG"',
        "--wildcard video {wildcards.video:q}",
        "--output table {output.table:q}",
        *(f"--input {name} {{input.{name}:q}}" for name in inputs),
        *(f"--param {name} {{params.{name}!r:q}}" for name in params),
        *(f"--resource {name} {{resources.{name}!r:q}}" for name in resources),
    ]
    return " ".join(parts)


def set_environment(python: str, config: Mapping) -> None:
    """Tell this process's jobs what runs them, where the configuration lies, and where `ferrari`.

    Snakemake puts the folder of a `script:` last on its path: an installed package of the library's
    name would come before it.
    """
    os.environ["FERRARI_PYTHON"], os.environ["FERRARI_HOME"] = python, str(ROOT)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = dict.fromkeys((str(SCRIPTS), *filter(None, others)))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["FERRARI_CONFIG"] = str(config_file(config)[0])


def config_file(config: Mapping) -> tuple[Path, str]:
    """Where a run's resolved configuration lies for its jobs, and its content."""
    text = json.dumps(config, sort_keys=True, indent=1) + "\n"
    return STATE / f"config-{sha256_bytes(text.encode())[:16]}.json", text


def write_config(config: Mapping) -> None:
    """Write the configuration for the jobs, unless it is there."""
    path, text = config_file(config)
    if not path.is_file():
        write_text(path, text)


def offer_warm_workers(offered: bool) -> None:
    """Tell the jobs of this process's run where their fork server is to be, or that there is none.

    Its files are named after the run, and after the Python that the jobs run on.
    """
    if offered:
        where = sha256_bytes(os.fsencode(sys.prefix))[:8]
        os.environ[WARM] = str(STATE / f"{os.getpid()}-{where}")
    else:
        os.environ.pop(WARM, None)
