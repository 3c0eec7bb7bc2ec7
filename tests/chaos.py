"""Kills the small workflow at random instants and resumes it: `python -m tests.chaos -n 50`.

Each kill is a SIGKILL to the whole process group; each resumption is the same command again,
nothing else. After a kill, every table that is there must be the unbroken run's; after a run that
came to its end, every file must be, nothing half-written may lie about, and `verify` has to pass.
Then it starts again from scratch, until all kills are made.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ferrari.common.foreign_files import is_leftover
from tests.processes import jobs_in
from tests.workflow import small_run
from tests.workflow.demo_run import Demo

START_S = 2.5  # Snakemake's own start, in which no job runs


@dataclass
class Outcome:
    """What a chaos run met: kills by what was at work then, and how often it came to its end."""

    kills: list[tuple[float, str]] = field(default_factory=list)  # seconds into the run, jobs
    completions: int = 0
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        at_work = Counter(jobs for _, jobs in self.kills)
        lines = [f"{count:4d} during {jobs}" for jobs, count in at_work.most_common()]
        head = f"{len(self.kills)} kills, {self.completions} completions, {len(self.faults)} faults"
        return "\n".join([head, *lines, *self.faults])


def chaos(
    folder: Path, unbroken: Demo, span_s: float, kills: int, seed: int, say: Callable = print
) -> Outcome:
    """Kill and resume runs in `folder` until `kills` are made and the last one has ended.

    `span_s` is what an unbroken run takes. Each start is given a time drawn uniformly from six
    tenths of it, whatever is left to do: a start that ends before its time is a completion, or the
    last kills would all fall into Snakemake's own start.
    """
    draw, met = random.Random(seed), Outcome()
    expected = unbroken.digests()
    while len(met.kills) < kills:
        run = _fresh(unbroken, folder / f"run{met.completions}")
        while True:
            after_s = START_S + draw.uniform(0, 0.6 * span_s)
            if len(met.kills) == kills:
                after_s = float("inf")
            ended, jobs = _run_for(run, after_s, met)
            if ended:
                break
            met.kills.append((after_s, jobs))
            met.faults += _not_as_in(expected, run, ended=False)
            say(f"kill {len(met.kills)}: after {after_s:.1f} s, during {jobs}", flush=True)
        met.completions += 1
        met.faults += _not_as_in(expected, run, ended=True) + _unverified(run)
        shutil.rmtree(run.folder)
    return met


def _fresh(unbroken: Demo, folder: Path) -> Demo:
    run = Demo(folder, unbroken.repository, unbroken.config)
    shutil.copytree(unbroken.dataset / "00_raw_videos", run.dataset / "00_raw_videos")
    return run


def _run_for(run: Demo, seconds: float, met: Outcome) -> tuple[bool, str]:
    """Run for some seconds, then kill; whether it ended before that, and which jobs were killed."""
    log = run.folder / "run.log"
    with open(log, "w") as stream:
        process = subprocess.Popen(
            run.command("--cores", "2"),
            cwd=run.folder,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(None if seconds == float("inf") else seconds)
    except subprocess.TimeoutExpired:
        jobs = "+".join(sorted(set(_scripts(run)))) or "no job (Snakemake alone)"
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        while any(_scripts(run)):  # those go with their parents, a moment later
            time.sleep(0.01)
        return False, jobs
    if code:
        met.faults.append(f"a run ended with {code}:\n{log.read_text()[-3000:]}")
        raise AssertionError(str(met))
    return True, ""


def _scripts(run: Demo) -> Iterator[str]:
    """Names of the stage scripts at work in a run's folder."""
    return (script for _, script in jobs_in(run.folder))


def _not_as_in(expected: dict[str, str], run: Demo, ended: bool) -> list[str]:
    """Files that are not as in the unbroken run; before the end, tables that are there at all."""
    found = run.digests()
    hidden = {name for name in found if any(map(is_leftover, Path(name).parts))}
    if ended:
        differ = {name for name, _ in set(found.items()) ^ set(expected.items())}
        folders = [path for path in run.dataset.rglob(".*") if is_leftover(path.name)]
        differ |= {str(path.relative_to(run.dataset)) for path in folders}
    else:
        tables = {name for name in found if name.endswith(".csv")} - hidden
        differ = {name for name in tables if found[name] != expected.get(name)}
    return [f"{'at the end' if ended else 'after a kill'}: {name}" for name in sorted(differ)]


def _unverified(run: Demo) -> list[str]:
    output = run.run("--cores", "2", "verified", "--forcerun", "verify", check=False)
    return [] if "Error" not in output else [f"verify: {output[-2000:]}"]


def measured(folder: Path) -> tuple[Demo, float]:
    """An unbroken small run in `folder`, and the seconds that it took."""
    run = small_run.start(folder)
    started = time.monotonic()
    run.run("--cores", "2")
    return run, time.monotonic() - started


def main() -> int:
    """Command line; the exit status is 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", "--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chaos.") as folder:
        unbroken, span_s = measured(Path(folder) / "unbroken")
        print(f"an unbroken run takes {span_s:.0f} s", flush=True)
        met = chaos(Path(folder), unbroken, span_s, arguments.kills, arguments.seed)
    print(met)
    return 1 if met.faults else 0


if __name__ == "__main__":
    sys.exit(main())
