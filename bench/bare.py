"""A graph of the workflow's shape and nothing else: what Snakemake itself costs at a size.

Seven rules in a chain for each video, each a command of no time; nine rules over all videos.
No params and no logs. Snakemake's records of how each file was made only if they are asked for: any
set that Snakemake made has them, and a run that finds nothing to do reads each.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path

STAGES = range(1, 8)
WHOLE_SET = range(9)

_HEAD = """
VIDEOS = [f"clip-{{k:05d}}-0123456789" for k in range({videos})]

wildcard_constraints:
    video="[a-z0-9][a-z0-9-]*-[0-9a-f]{{10}}"

rule all:
    input: {targets}

rule s1:
    output: "s1/{{video}}"
    shell: "touch {{output}}"
"""
_LINK = """
rule s{number}:
    input: "s{before}/{{video}}"
    output: "s{number}/{{video}}"
    shell: "touch {{output}}"
"""
_OVER_ALL = """
rule a{number}:
    input: expand("s{stage}/{{video}}", video=VIDEOS)
    output: "a{number}"
    shell: "touch {{output}}"
"""


def write(folder: Path, videos: int, *, whole_set: bool = True) -> None:
    """Write the Snakefile; without the rules over all videos, it asks for the chains' ends."""
    targets = [f"a{number}" for number in WHOLE_SET]
    asked = repr(targets) if whole_set else f'expand("s{STAGES[-1]}/{{video}}", video=VIDEOS)'
    text = _HEAD.format(videos=videos, targets=asked)
    text += "".join(_LINK.format(number=k, before=k - 1) for k in STAGES[1:])
    if whole_set:
        text += "".join(
            _OVER_ALL.format(number=k, stage=STAGES[k % len(STAGES)]) for k in WHOLE_SET
        )
    (folder / "Snakefile").write_text(text)


def finish(folder: Path, videos: int) -> None:
    """Make every file that the Snakefile asks for, all of one age."""
    paths = [f"s{k}/{_video(video)}" for k in STAGES for video in range(videos)]
    for stage in STAGES:
        (folder / f"s{stage}").mkdir(exist_ok=True)
    now = time.time_ns()
    for path in (*paths, *(f"a{number}" for number in WHOLE_SET)):
        (folder / path).touch()
        os.utime(folder / path, ns=(now, now))


def record(folder: Path, videos: int) -> None:
    """Write Snakemake's records of all that `finish` made: those of one video are its own
    (`--touch`), the others are copies of them with another video's name.
    """
    first = _video(0)
    write(folder, 1)
    command = snakemake("--cores", "1", "--touch", "--forceall", "--quiet")
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    write(folder, videos)
    for path in (f"s{stage}/{first}" for stage in STAGES):
        text = record_file(folder, path).read_text()
        for video in range(1, videos):
            there = path.replace(first, _video(video))
            record_file(folder, there).write_text(text.replace(first, _video(video)))
    for number in WHOLE_SET:
        record = record_file(folder, f"a{number}")
        known = json.loads(record.read_text())
        known["input"] = sorted(
            one.replace(first, _video(video)) for one in known["input"] for video in range(videos)
        )
        record.write_text(json.dumps(known))


def record_file(folder: Path, path: str) -> Path:
    """Where Snakemake keeps the record of an output: its path in base64, cut into names."""
    name = base64.urlsafe_b64encode(path.encode()).decode()
    if len(name) > 200:
        raise ValueError(f"{path} is too long a path for a stub")
    return folder / ".snakemake/metadata" / name


def _video(number: int) -> str:
    return f"clip-{number:05d}-0123456789"


def snakemake(*arguments: str) -> list[str]:
    """A command line that takes none of our profiles."""
    return [sys.executable, "-m", "snakemake", "--workflow-profile", "none", *arguments]
