"""A stage's job as described by its rule's command line: parse it, run it, record its cost.

The command holds everything that the job depends on (see `stage_command`), so a printed one can be
run by hand. The stage's module, `scripts/<stage>.py`, has `run(job)` and, if its output depends on
more than tables, `still_holds(job)`. A job whose table would not change leaves it alone.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ferrari.common.progress import LOGGER
from ferrari.jobs.job_log import send_output_to
from ferrari.jobs.stage_command import cost_of, log_of, place_config, require_one_star
from ferrari.provenance import reuse, table_stamps
from ferrari.provenance.job import Params
from ferrari.provenance.reuse import NOTHING, Earlier
from ferrari.video import native_memory


class Files:
    """A job's inputs or outputs: by name if the name stands for one file; iterated, all paths."""

    def __init__(self, named: Mapping[str, Sequence[str]]) -> None:
        self._named = dict(named)

    def __getattr__(self, name: str) -> str:
        paths = self.__dict__["_named"].get(name, ())
        if len(paths) != 1:
            raise AttributeError(f"{name} stands for {len(paths)} files, not for one")
        return paths[0]

    def all(self, name: str) -> Sequence[str]:
        """The paths that a name stands for, none or many."""
        return self._named.get(name, ())

    def __iter__(self) -> Iterator[str]:
        return (path for paths in self._named.values() for path in paths)


@dataclass(frozen=True)
class Job:
    """What a stage gets; the names are those of Snakemake's `snakemake` object."""

    stage: str
    rule: str
    input: Files
    output: Files
    params: Params
    resources: Params
    wildcards: Params
    threads: int
    log: str
    cost: str
    config: dict
    earlier: Earlier = NOTHING  # what its last run left that it may take over
    maker: Mapping[str, Any] | None = None  # what its stamp is to say of it (`made_by`), if known

    def settings(self, param: str) -> dict:
        """A section of the settings as the stage takes it: what decides its result (a param of the
        rule), its limits, and what it runs on (resources).
        """
        return {**self.params[param], **self.params.get("limits", {}), **self.resources}


def parse(arguments: Sequence[str]) -> Job:
    """The job of a command line (see `stage_command`); exits as argparse does if it is not one."""
    parser = argparse.ArgumentParser(prog="run_stage.py", allow_abbrev=False)
    parser.add_argument("stage")
    for name in ("rule", "video", "config"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--threads", type=int, required=True)
    for name in ("inputs", "outputs"):
        parser.add_argument(f"--{name}", nargs="+", default=[""], metavar=("NAMES", "PATH"))
    parser.add_argument("--resource", nargs=2, action="append", default=[])
    parser.add_argument("--params", nargs=2, required=True, metavar=("NAMES", "VALUES"))
    asked = parser.parse_args(arguments)
    names, values = asked.params
    return Job(
        stage=asked.stage,
        rule=asked.rule,
        input=named_files(*asked.inputs),
        output=named_files(*asked.outputs),
        params=Params(zip(names.split(","), ast.literal_eval(values), strict=True)),
        resources=Params((name, ast.literal_eval(value)) for name, value in asked.resource),
        wildcards=Params(video=asked.video),
        threads=asked.threads,
        log=str(log_of(asked.rule, asked.video)),
        cost=str(cost_of(asked.rule, asked.video)),
        config=json.loads(Path(asked.config).read_text(encoding="utf-8")),
    )


def named_files(names: str, *paths: str) -> Files:
    """Which of `paths` each of `names` (with commas between them) stands for: one each, and the one
    with a star all that are left. ValueError if they do not fit, or if two names have a star.
    """
    asked = names.split(",") if names else []
    require_one_star(asked)
    starred = any(name.endswith("*") for name in asked)
    many = len(paths) - len(asked) + starred
    if many < 0 or (many and not starred):
        raise ValueError(f"{len(paths)} files do not fit the names {names!r}")
    left = iter(paths)
    return Files(
        {
            name.removesuffix("*"): list(islice(left, many if name.endswith("*") else 1))
            for name in asked
        }
    )


def main(arguments: Sequence[str]) -> int:
    """Run the job of a command line; what it prints goes into its log."""
    start = time.monotonic()
    place_config()
    job = parse(arguments)
    send_output_to(job.log)
    job = replace(job, maker=table_stamps.made_by(job))
    stage = importlib.import_module(job.stage)
    prepare(job.threads)
    stamp = reuse.stamp_of(job)
    if reuse.holds(stamp, job) and getattr(stage, "still_holds", _always)(job):
        reuse.leave_alone(job)  # and its cost too: that of a look says nothing about work
    else:
        earlier = reuse.Earlier.of(stamp, job)
        table_stamps.withdraw(job)
        stage.run(replace(job, earlier=earlier))
        _write_cost(job.cost, time.monotonic() - start)
    return 0


def prepare(threads: int) -> None:
    """Make this process one of a job with so many threads; call it when the stage is imported."""
    native_memory.keep()  # a fork of the server has it already; a job by itself has not
    limit_opencv(threads)


def limit_opencv(threads: int) -> None:
    """Limit OpenCV, if it is loaded, to so many threads: by default it uses every core."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)


def _always(job: Job) -> bool:
    return True


def _write_cost(path: str, wall_s: float) -> None:
    """Write the cost of this process and of those that it waited for, in the columns of Snakemake's
    benchmark files; the cost of a model in a warm process is not included.
    """
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu_s = sum(each.ru_utime + each.ru_stime for each in used)
    peak_mb = max(_own_peak_kb() or used[0].ru_maxrss, used[1].ru_maxrss) / 1024
    clock = time.strftime("%H:%M:%S", time.gmtime(wall_s))
    LOGGER.info("done in %.2f s, %.2f s of CPU time, peak %.0f MB", wall_s, cpu_s, peak_mb)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(
        f"s\th:m:s\tmax_rss\tcpu_time\n{wall_s:.4f}\t{clock}\t{peak_mb:.2f}\t{cpu_s:.2f}\n",
        encoding="ascii",
    )


def _own_peak_kb() -> int | None:
    """The most memory that this process has held; None where the kernel does not tell (gVisor).

    `ru_maxrss` is at least the peak of whoever started the process: Linux carries that over when
    another program begins in it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    told = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    return next(map(int, told), None)
