"""One clip more in a set: seconds, CPU time, jobs that ran and worked, images that reports read.

    python -m bench.one_more [--clips 100] [--work FOLDER] [--cores N]

Draws `clips` clips of a second with the generator, runs the workflow on all but one of them, then
on all, and prints a table. A folder that is there is used again: what it has is not made anew.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import measure, stubs
from ferrari.common.usable_cores import usable_cores
from ferrari.ledger.stages import FOLDERS
from tests.generator.encode import write_clip
from tests.generator.spec import MOTIONS, SCENES, ClipSpec, FigureSpec

IDLE = "nothing to do"
_LIMIT_S = 6 * 3600
#: What a report's log says of the images of a stage (`ferrari.qc.seen_before`).
_IMAGES = re.compile(r"(\d+) of (\d+) images opened")


@dataclass
class Run:
    """A run: its seconds, jobs by rule, those that found nothing to do, images by report, and the
    CPU seconds of all its processes.
    """

    seconds: float
    jobs: Counter[str]
    idle: Counter[str]
    images: dict[str, tuple[int, int]]
    cpu_s: float = 0.0


def draw(raw: Path, count: int) -> list[Path]:
    """Clips of a second, 854 x 480 px, one figure each; those that are there stay."""
    raw.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        path = raw / f"clip_{number:03d}.mp4"
        spec = ClipSpec(
            seed=number,
            width=854,
            height=480,
            n_frames=25,
            scenes=(SCENES[number % len(SCENES)],),
            figures=(FigureSpec(seed=1000 + number, motion=MOTIONS[number % len(MOTIONS)]),),
        )
        if not path.exists():
            write_clip(spec, path)
        paths.append(path)
    return paths


def run(folder: Path, cores: int) -> Run:
    """Run the workflow to its end; raises CommandFailedError where it fails."""
    shutil.rmtree(folder / "logs", ignore_errors=True)
    command = stubs.snakemake("--cores", str(cores), "--quiet", "all")
    cost = measure.run(command, cwd=folder, limit_s=_LIMIT_S)
    found = of_logs(folder / "logs", cost.wall_s)
    found.cpu_s = cost.cpu_s  # the fork server's jobs included, which are no children of the run's
    return found


def of_logs(logs: Path, seconds: float) -> Run:
    """What ran, as the logs of its jobs tell."""
    found = Run(seconds, Counter(), Counter(), {})
    for path in sorted(logs.rglob("*.log")):
        parts = path.relative_to(logs).with_suffix("").parts
        rule = parts[0] if parts[0] in FOLDERS else "/".join(parts)
        text = path.read_text("utf-8", "replace")
        found.jobs[rule] += 1
        found.idle[rule] += IDLE in text
        for read, known in _IMAGES.findall(text):
            before = found.images.get(rule, (0, 0))
            found.images[rule] = before[0] + int(read), before[1] + int(known)
    return found


def told(first: Run, again: Run, clips: int) -> str:
    """Both runs as a table in Markdown."""
    lines = [
        f"All but one of {clips} clips: {first.seconds:.0f} s ({first.cpu_s:.0f} s of CPU time). "
        f"One more: {again.seconds:.1f} s ({again.cpu_s:.1f} s).",
        "",
        "| job | first run | one clip more: jobs | of them at work | images read |",
        "|---|---|---|---|---|",
    ]
    for rule in first.jobs | again.jobs:
        ran, read = again.jobs[rule], again.images.get(rule)
        images = f"{read[0]:,} of {read[1]:,}" if read else ""
        lines.append(
            f"| {rule} | {first.jobs[rule]} | {ran} | {ran - again.idle[rule]} | {images} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="one_more", description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("one_more"), help="a folder of its own")
    parser.add_argument("--cores", type=int, default=usable_cores())
    given = parser.parse_args(arguments)
    last = draw(given.work / "dataset/00_raw_videos", given.clips)[-1]
    aside = given.work / last.name
    last.rename(aside)
    first = run(given.work, given.cores)
    aside.rename(last)
    print(told(first, run(given.work, given.cores), given.clips))
    return 0


if __name__ == "__main__":
    sys.exit(main())
