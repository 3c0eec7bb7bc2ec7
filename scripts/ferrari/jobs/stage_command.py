"""How the rules of the stages call them: a shell command that holds all that a job depends on.

The other half is `stage_job.parse`. `script:` would cost half a second of imports a job
(Snakemake's own among them) and cannot be handed to a process that has them loaded.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferrari.common.atomic_files import sha256_bytes
from ferrari.common.places import ROOT, SCRIPTS
from ferrari.ledger.job_costs import PLACE as COSTS
from ferrari.processes import device_slots

#: The scripts that are called so, and their rules.
RULES = {
    "00_probe_video": "probe",
    "01_extract_frames": "extract",
    "02_detect_people": "detect",
    "02_yolo_crop": "crop",
    "03_mask_subject": "mask",
    "04_replace_background": "augment",
    "05_caption_images": "caption",
}
#: Where a run keeps what only its jobs read, below the working folder.
STATE = Path(".snakemake/ferrari")
WARM = "FERRARI_WARM"
SETTINGS = "FERRARI_SETTINGS"


def stage_command(
    stage: str,
    inputs: Sequence[str],
    params: Sequence[str],
    resources: Sequence[str] = (),
    outputs: Sequence[str] = ("table",),
) -> str:
    """The `shell:` of a rule whose job is `scripts/<stage>.py`.

    `inputs`, `outputs` and `params` name all that the rule has, in its order; `resources` those
    that the stage is told: they decide how fast its result is reached, and Snakemake runs nothing
    anew when they change. A name of an input that may stand for none or several files ends in a
    star (`require_one_star`). Snakemake fills in the braces, each by itself and three times for
    each job that it shows, so there are few: all files of a kind are one list, all params another.
    What is no part of a job, and must not make it run again when it changes, comes from the
    environment (`set_environment`).
    """
    require_one_star(inputs)
    parts = [
        '"$FERRARI_PYTHON" -I -S "$FERRARI_HOME/scripts/run_stage.py"',
        f"{stage} --rule {RULES[stage]}",
        "--threads {threads} --video {wildcards.video}",
        '--config "$FERRARI_CONFIG"',
        f"--outputs {','.join(outputs)} {{output:q}}",
        *([f"--inputs {shlex.quote(','.join(inputs))} {{input:q}}"] if inputs else []),
        f"--params {','.join(params)} {{params!r:q}}",
        *(f"--resource {name} {{resources.{name}!r:q}}" for name in resources),
    ]
    return " ".join(parts)


def require_one_star(names: Sequence[str]) -> None:
    """Refuse a second name that may stand for none or several files: nothing in a list of paths
    tells where the first one's end. Raises ValueError.
    """
    starred = [name for name in names if name.endswith("*")]
    if len(starred) > 1:
        raise ValueError(
            f"{' and '.join(starred)} may each stand for several files, and a command holds one "
            "list of them: give their files one name, and let the stage take them apart"
        )


def log_of(rule: str, video: str) -> Path:
    """Where a job of a stage's rule writes what it says: the `log:` of the rule."""
    return Path("logs", rule, f"{video}.log")


def cost_of(rule: str, video: str) -> Path:
    """Where it writes what it took, in the form of Snakemake's own benchmarks.

    No log of the rule: each is a name in the graph, and Snakemake shows the logs of a job that
    failed.
    """
    return Path(COSTS, rule, f"{video}.tsv")


def set_environment(python: str, config: Mapping) -> str:
    """Tell this process's jobs what runs them, what the configuration is, and where `ferrari` lies.

    Returns the path of the configuration's file, which the first job writes (`place_config`):
    nothing is written here, since a process that only shows the graph gets here too. Snakemake puts
    the folder of a `script:` last on its path: an installed package of the library's name would
    come before it.
    """
    os.environ["FERRARI_PYTHON"], os.environ["FERRARI_HOME"] = python, str(ROOT)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = dict.fromkeys((str(SCRIPTS), *filter(None, others)))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    path, text = config_file(config)
    os.environ["FERRARI_CONFIG"], os.environ[SETTINGS] = str(path), text
    return str(path)


def config_file(config: Mapping) -> tuple[Path, str]:
    """Where a run's resolved configuration lies for its jobs, and its content."""
    text = json.dumps(config, sort_keys=True, indent=1) + "\n"
    return STATE / f"config-{sha256_bytes(text.encode())[:16]}.json", text


def place_config() -> None:
    """Write the configuration that `set_environment` told where it said, unless it is there.

    Jobs call this, those of a module too, whose workflow has no handler that could; several at a
    time, so each writes a file of its own first (`write_text` would remove the others').
    """
    path = Path(os.environ.get("FERRARI_CONFIG", ""))
    if SETTINGS in os.environ and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_suffix(f".{os.getpid()}")
        own.write_text(os.environ[SETTINGS], encoding="ascii")
        os.replace(own, path)


def runs_a_group(arguments: Sequence[str]) -> bool:
    """Whether a Snakemake with this command line was started on a node, for a group of jobs.

    Nothing else tells it while the Snakefile is read: executors add this option for groups alone.
    """
    return "--local-groupid" in arguments


def make_state_folder(folder: Path) -> None:
    """Make a folder right below a `STATE`, which is for its user alone: the sockets of the fork
    servers lie there.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)


def offer_warm_workers(offered: bool) -> None:
    """Tell this process's jobs where their fork servers are to be, or that there is none.

    Their files are named after this process, the machine (the nodes of a cluster share a working
    folder, and number their processes alike), and the Python that a job runs on (`run_stage.py`).
    """
    if offered:
        os.environ[WARM] = str(STATE / f"{os.getpid()}-{machine()}-warm")
    else:
        os.environ.pop(WARM, None)


def machine() -> str:
    """Eight hex digits for this machine's name, which may be too long for a socket's path."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def tell_tokens(gpu: int | None, nvdec: int | None) -> None:
    """Tell this process's jobs how many tokens the run was given of each kind, if anybody said."""
    for kind, count in ((device_slots.CUDA, gpu), (device_slots.NVDEC, nvdec)):
        if count is None:
            os.environ.pop(device_slots.GIVEN[kind], None)
        else:
            os.environ[device_slots.GIVEN[kind]] = str(count)
