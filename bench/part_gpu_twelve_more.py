"""What `part_gpu_twelve` leaves out, as it takes as long again: short clips, and two cards.
`make bench BENCH="--only gpu-twelve-more"`; a quiet machine is needed.
"""

from __future__ import annotations

from dataclasses import replace

from bench import clips, part_gpu_twelve, simulated_runs
from bench.part_gpu_twelve import ONE_AT_A_TIME, busy_row, frames_row
from bench.prepare import Bench
from bench.results import Part


def measure(bench: Bench) -> Part:
    """Busy shares and frames/s, beside one job at a time on each card."""
    part = Part("gpu-twelve-more")
    part.notes.extend(part_gpu_twelve.described())
    part_gpu_twelve.require_slow_cores()
    cores = simulated_runs.the_owners()
    # Length in seconds, clips for one process a card and for one job at a time, cards.
    for name, seconds, many, few, devices in (
        ("short clips", 2, 48, 12, 1),
        ("long clips, 2 cards", 10, 24, 6, 2),
    ):
        raws = clips.large_clips(bench.work, many, seconds)
        card = replace(simulated_runs.card(), devices=devices)
        found = []
        for structure, count in ((card, many), (replace(card, shared=False), few)):
            base = simulated_runs.prepared(bench, f"{seconds}s-{count}", raws[:count])
            found.append(simulated_runs.measured(bench, base, structure, cores=cores))
        part.rows.append(busy_row(bench, name, found[0], judged=False))
        part.rows.append(frames_row(bench, name, found[0], ONE_AT_A_TIME, found[1]))
        bench.keep(part)
    return part
