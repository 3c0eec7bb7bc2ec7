"""What a command costs, contenders by turns, and the ratios between them.

The machine is shared and noisy, so contenders alternate within each repeat, a ratio is made within
a repeat and the median of the repeats is reported, with CPU time beside wall time.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
_TIMED = Path(__file__).with_name("timed.py")


class CommandFailedError(RuntimeError):
    """A measured command failed or ran past its limit; the message has its last words."""


class PeerMissingError(RuntimeError):
    """A peer or its weights are not on this machine; the message says what to do."""


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and CPU time, peak memory of the largest process, and what it printed.

    For a task (`bench.tasks`), wall and CPU time are those of the work alone, without the start of
    the interpreter and the imports; `process_s` is the whole process's wall time.
    """

    wall_s: float
    cpu_s: float
    peak_mb: float = 0.0
    process_s: float = 0.0
    said: Mapping = field(default_factory=dict)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    limit_s: float = 3600,
) -> Cost:
    """Run a command; raises CommandFailedError with the end of its output."""
    with tempfile.TemporaryDirectory() as scratch:
        costs = Path(scratch) / "costs.json"
        timed = [sys.executable, "-I", "-S", _TIMED, costs, str(limit_s), *command]
        done = subprocess.run(
            [str(part) for part in timed],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        cost = json.loads(costs.read_text()) if costs.exists() else {"status": done.returncode}
    if cost["status"] != 0:
        why = "ran past its limit" if cost["status"] == -14 else f"exit status {cost['status']}"
        raise CommandFailedError(f"{_brief(command)}: {why}\n{done.stdout[-3000:]}")
    return Cost(
        cost["wall_s"], cost["cpu_s"], cost["peak_mb"], cost["wall_s"], {"output": done.stdout}
    )


def task(name: str, limit_s: float = 3600, **arguments: object) -> Cost:
    """Run a task of `bench.tasks` in a process of its own; its work's cost and what it returned."""
    with tempfile.TemporaryDirectory() as scratch:
        asked = Path(scratch) / "arguments.json"  # a file: the system limits an argument's length
        asked.write_text(json.dumps(arguments, default=str))
        command = [sys.executable, "-m", "bench.tasks", name, asked]
        whole = run(command, cwd=ROOT, limit_s=limit_s)
    said = json.loads(whole.said["output"].strip().splitlines()[-1])
    return Cost(said["wall_s"], said["cpu_s"], whole.peak_mb, whole.wall_s, said["result"] or {})


def _brief(command: Sequence[str | Path]) -> str:
    """A command without folders: the machine's paths stay out of results."""
    text = " ".join(Path(str(part)).name if "/" in str(part) else str(part) for part in command)
    return text[:200]


Contender = Callable[[], Cost]


def by_turns(repeats: int, contenders: Mapping[str, Contender], log=print) -> dict[str, list[Cost]]:
    """Run every contender once a repeat, in turns; the order is reversed every other repeat."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        order = list(contenders.items())
        for name, contender in order if repeat % 2 == 0 else reversed(order):
            costs[name].append(contender())
            log(f"  {repeat + 1}/{repeats} {name}: {costs[name][-1].wall_s:.2f} s")
    return costs


def median(values: Sequence[float]) -> float:
    """The median; ValueError if there is none."""
    if not values:
        raise ValueError("no values to take the median of")
    return float(statistics.median(values))


@dataclass(frozen=True)
class Ratio:
    """How many times as long the other took: the median over the repeats, and the extremes."""

    wall: float
    low: float
    high: float
    cpu: float


def ratio(other: Sequence[Cost], ours: Sequence[Cost]) -> Ratio:
    """Ratios `other` / `ours`, each made within one repeat."""
    walls = [a.wall_s / b.wall_s for a, b in zip(other, ours, strict=True)]
    cpus = [a.cpu_s / b.cpu_s for a, b in zip(other, ours, strict=True)]
    return Ratio(median(walls), min(walls), max(walls), median(cpus))


def wall(costs: Sequence[Cost]) -> float:
    """Median wall seconds."""
    return median([cost.wall_s for cost in costs])


def process(costs: Sequence[Cost]) -> list[Cost]:
    """The costs with the whole process's wall time, as a command's are."""
    return [Cost(c.process_s, c.cpu_s, c.peak_mb, c.process_s) for c in costs]


def shared_out(costs: Sequence[Cost], among: int) -> list[Cost]:
    """The costs of one of `among` equal items."""
    return [Cost(c.wall_s / among, c.cpu_s / among, c.peak_mb) for c in costs]
