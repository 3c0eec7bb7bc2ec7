"""A graph of the workflow's shape and nothing else: what Snakemake itself costs at a size.

Seven rules in a chain for each video, each a command of no time; nine rules over all videos.
No params, no logs, no records of how something was made.
"""

from __future__ import annotations

import os
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
    paths = [f"s{k}/clip-{video:05d}-0123456789" for k in STAGES for video in range(videos)]
    for stage in STAGES:
        (folder / f"s{stage}").mkdir(exist_ok=True)
    now = time.time_ns()
    for path in (*paths, *(f"a{number}" for number in WHOLE_SET)):
        (folder / path).touch()
        os.utime(folder / path, ns=(now, now))


def snakemake(*arguments: str) -> list[str]:
    """A command line that takes none of our profiles."""
    return [sys.executable, "-m", "snakemake", "--workflow-profile", "none", *arguments]
