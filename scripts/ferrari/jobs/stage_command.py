"""How the rules of the stages call them: a shell command that holds everything a job depends on.

The other half is `stage_job.parse`. `script:` would cost half a second of imports for each job
(Snakemake's own among them), and cannot be passed to a process that has them loaded.
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

    `inputs`, `outputs` and `params` name everything that the rule has, in its order; `resources`
    those that the stage uses: they only affect speed, and Snakemake does not rerun a job when they
    change. The name of an input that may stand for any number of files ends in a star
    (`require_one_star`). Snakemake fills in the braces one by one, three times for each job that it
    shows, so there are few: all files of a kind are one list, all params another. What must not
    rerun a job when it changes comes from the environment (`set_environment`).
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
    """Refuse a second name with a star: in a list of paths nothing shows where the first one's
    files end.

    Raises ValueError.
    """
    starred = [name for name in names if name.endswith("*")]
    if len(starred) > 1:
        raise ValueError(
            f"{' and '.join(starred)} may each stand for several files, and a command holds one "
            "list of them: give their files one name, and let the stage take them apart"
        )


def log_of(rule: str, video: str) -> Path:
    """The `log:` of a stage's rule: where its jobs write their output."""
    return Path("logs", rule, f"{video}.log")


def cost_of(rule: str, video: str) -> Path:
    """Where a job writes its cost, in the form of Snakemake's own benchmarks.

    It is not a log of the rule: each log is a name in the graph, and Snakemake shows the logs of a
    failed job.
    """
    return Path(COSTS, rule, f"{video}.tsv")


def set_environment(python: str, config: Mapping) -> str:
    """Pass to this process's jobs the interpreter, the configuration, and the path of `ferrari`.

    Returns the path of the configuration's file, which the first job writes (`place_config`).
    Nothing is written here, since a process that only shows the graph comes here too. Snakemake
    puts the folder of a `script:` last on its path, so an installed package of the library's name
    would be imported first.
    """
    os.environ["FERRARI_PYTHON"], os.environ["FERRARI_HOME"] = python, str(ROOT)
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = dict.fromkeys((str(SCRIPTS), *filter(None, others)))
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    path, text = config_file(config)
    os.environ["FERRARI_CONFIG"], os.environ[SETTINGS] = str(path), text
    return str(path)


def config_file(config: Mapping) -> tuple[Path, str]:
    """The path of a run's resolved configuration for its jobs, and its content."""
    text = json.dumps(config, sort_keys=True, indent=1) + "\n"
    return STATE / f"config-{sha256_bytes(text.encode())[:16]}.json", text


def place_config() -> None:
    """Write the configuration from `set_environment`, unless the file already exists.

    Jobs call this, those of a module too, whose workflow has no handler that could. Several jobs
    may do so at once, so each first writes its own temporary file (`write_text` would remove the
    others').
    """
    path = Path(os.environ.get("FERRARI_CONFIG", ""))
    if SETTINGS in os.environ and not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_suffix(f".{os.getpid()}")
        own.write_text(os.environ[SETTINGS], encoding="ascii")
        os.replace(own, path)


def runs_a_group(arguments: Sequence[str]) -> bool:
    """Whether a Snakemake with this command line was started on a node, for a job group.

    Nothing else shows that while the Snakefile is parsed: executors add this option for groups
    alone.
    """
    return "--local-groupid" in arguments


def make_state_folder(folder: Path) -> None:
    """Make a folder right below a `STATE`, which is for its user alone: the sockets of the fork
    servers lie there.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)


def offer_warm_workers(offered: bool) -> None:
    """Pass to this process's jobs where their fork servers are to be, or that there is none.

    Their files are named after this process, the machine (the nodes of a cluster share a working
    folder and may use the same process ids), and the Python of the job (`run_stage.py`).
    """
    if offered:
        os.environ[WARM] = str(STATE / f"{os.getpid()}-{machine()}-warm")
    else:
        os.environ.pop(WARM, None)


def machine() -> str:
    """Eight hex digits for this machine's name, which may be too long for a socket's path."""
    return f"{zlib.crc32(socket.gethostname().encode()):08x}"


def tell_tokens(gpu: int | None, nvdec: int | None) -> None:
    """Pass to this process's jobs how many tokens of each kind the run has, if set."""
    for kind, count in ((device_slots.CUDA, gpu), (device_slots.NVDEC, nvdec)):
        if count is None:
            os.environ.pop(device_slots.GIVEN[kind], None)
        else:
            os.environ[device_slots.GIVEN[kind]] = str(count)
