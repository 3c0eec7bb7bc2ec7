"""The simulated card in its owner's machine: twelve slow cores, made of these (`slow_cores`).

Is the card kept busy there, and how much faster is that than one job at a time that holds it? That
is asked twice: of today's code, and with settings that take it back to what it did when the goal
was set. `make bench BENCH="--only gpu-twelve"`; a quiet machine is needed. What else one may want
to know takes as long again, and is `part_gpu_twelve_more`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from bench import at_work, clips, prepare, simulated_runs, slow_cores
from bench.measure import PeerMissingError
from bench.prepare import Bench
from bench.results import Part, Row
from bench.simulated_runs import ASKED_CLIPS, CORES, Cores

#: When the goal was set there was no linking film, nobody looked for faces or asked whose body an
#: alpha is of, and PyMatting did the sums: what these settings ask for now.
AS_IT_WAS: Mapping[str, Mapping] = {
    "extract": {"linking_fps": 0},
    "subject": {"mode": "single", "voting_clips": 0},
    "mask": {"matting": "pymatting", "person_gate": "off"},
}
#: What was reckoned for it on that machine, in frames a second.
_RECKONED_FPS = 2.9
ONE_AT_A_TIME = "one job at a time holds the card"
_PROVED_S = 3.0


class _Size(NamedTuple):
    """How many clips one process a card has, one job at a time, and that as it was, the slowest;
    and their length.
    """

    shared: int
    one: int
    as_it_was: int
    seconds: int


_SIZE, _QUICK = _Size(48, 6, 2, 10), _Size(3, 1, 1, 2)


def measure(bench: Bench) -> Part:
    """What slowed threads get; busy share and frames/s on long clips and one card."""
    part = Part("gpu-twelve")
    part.notes.extend(described())
    require_slow_cores()
    part.rows.extend(_proof())
    bench.keep(part)
    _compile_pymatting()
    card, cores = simulated_runs.card(), simulated_runs.the_owners()
    size = _QUICK if bench.quick else _SIZE
    raws = clips.large_clips(bench.work, size.shared, size.seconds)
    base = simulated_runs.prepared(bench, "many clips", raws)
    new = simulated_runs.measured(bench, base, card, cores=cores)
    part.rows.append(busy_row(bench, "long clips", new, judged=True))
    bench.keep(part)
    one = replace(card, shared=False)
    for what, count, changed in (
        (ONE_AT_A_TIME, size.one, {}),
        (f"{ONE_AT_A_TIME}, as it was", size.as_it_was, AS_IT_WAS),
    ):
        base = simulated_runs.prepared(bench, f"{count}-clips", raws[:count], changed)
        old = simulated_runs.measured(bench, base, one, cores=cores)
        row = frames_row(bench, "long clips", new, what, old)
        if changed:
            row.figures["device_ratio"] = new["done_fps"] / old["done_fps"]
            row.note += f"; {_RECKONED_FPS} frames/s were reckoned then"
        part.rows.append(row)
        bench.keep(part)
    return part


def require_slow_cores() -> None:
    """Raises PeerMissingError with the reason where this machine cannot stand for the owner's."""
    if simulated_runs.the_owners().times <= 1:
        raise PeerMissingError(f"this machine has {CORES} cores: gpu-simulated judges it")
    if reason := slow_cores.why_not():
        raise PeerMissingError(f"no slow cores: {reason}")


def described() -> list[str]:
    """What the page says of the machine that this one stands for."""
    owners, scale = simulated_runs.the_owners(), simulated_runs.scale()
    return [
        f"{simulated_runs.card_described()} Those cores are made of these: each thread may use "
        f"1/{owners.times:.1f} of one, and {owners.jobs} jobs run at a time. The card's times for "
        f"pictures are {scale:.1f} times longer, so {scale:.1f} s here are one there, and frames/s "
        "are those there. What the card takes to start is made no longer: it would be much of so "
        f"short a run. {ASKED_CLIPS} of the clips say who the subject is, before anything is cut.",
        "As it was, when the goal was set: PyMatting for alphas and colours; no linking film, no "
        "faces and no person gate, as these came later. One job held the card then as well, and "
        "its networks stayed loaded from job to job.",
    ]


def _compile_pymatting() -> None:
    """Outside any clock: its first use ever does it."""
    from ferrari.matting import engines

    engines.load("pymatting")


def _proof() -> list[Row]:
    """What slowed threads get of the cores, beside what they should."""
    cores = simulated_runs.the_owners()
    rows = []
    for threads, figure in ((1, "slow_thread"), (4, "slow_thread"), (cores.jobs, "slow_all")):
        due = min(threads / cores.times, prepare.threads())
        row = Row(f"{threads} slowed threads", "cores", ours=_given(threads, cores))
        row.peer_name, row.peer = "what they should get", due
        row.figures[figure] = row.ours / due
        rows.append(row)
    return rows


def _given(threads: int, cores: Cores) -> float:
    """How many cores so many threads of one process get that are slowed."""
    work = [sys.executable, "-I", "-S", at_work.__file__, str(threads), str(_PROVED_S)]
    command = [sys.executable, "-m", "bench.slow_cores", str(cores.times), "/dev/null", *work]
    env = prepare.bench_environment()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def busy_row(bench: Bench, name: str, found: Mapping, judged: bool) -> Row:
    """The busy share, and what slowing the cores took."""
    slowed = found["slowed"]
    bench.log(f"{name}: busy {found['share']:.0%}, {_there(found):.1f} frames/s")
    row = Row(f"{name}: busy share", "%", ours=100 * found["share"])
    if judged:
        row.figures["device_busy"] = found["share"]
    row.note = (
        f"{found['waits']}; {slowed['threads']} threads slowed, {slowed['late_ms']} ms after they "
        f"began, the last after {slowed['latest_ms']}, {slowed['lost']} times by looking; the "
        f"watcher took {slowed['watcher_cpu_s'] / found['run_s']:.1%} of a core"
    )
    return row


def frames_row(bench: Bench, name: str, new: Mapping, what: str, old: Mapping) -> Row:
    """Frames a second of stages 2 and 3 there, beside another structure's."""
    bench.log(
        f"{name}: {_there(new):.1f} frames/s, {what}: {_there(old):.1f}, busy {old['share']:.0%}"
    )
    row = Row(f"{name}: frames of stages 2 and 3", "frames/s", ours=_there(new))
    row.peer_name, row.peer, row.ratio = what, _there(old), new["done_fps"] / old["done_fps"]
    row.note = f"{new['frames']} and {old['frames']} frames; {what}: busy {old['share']:.0%}"
    return row


def _there(found: Mapping) -> float:
    """Frames a second on the machine that this one stands for, until the last is cut out: a job
    that holds the card has most of its work to do when its last pictures are through.
    """
    return found["done_fps"] * simulated_runs.scale()
