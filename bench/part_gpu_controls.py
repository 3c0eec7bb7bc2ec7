"""What the simulated card is worth: one ten times slower must be busy all the time, and one ten
times faster must not. A few minutes: `make bench BENCH="--only gpu-controls"`.
"""

from __future__ import annotations

from bench import clips, simulated_runs
from bench.prepare import Bench
from bench.results import Part, Row

#: Two for each job at a time on two cores: enough for the card never to wait for work.
_CLIPS, _SECONDS = 8, 2


def measure(bench: Bench) -> Part:
    """The busy shares of stages 2 and 3 on both."""
    part = Part("gpu-controls")
    part.notes.append(simulated_runs.described())
    raws = clips.large_clips(bench.work, _CLIPS, _SECONDS)
    base = simulated_runs.prepared(bench, "control clips", raws)
    for what, figure, factor in (
        ("ten times slower", "device_slow", 10.0),
        ("ten times faster", "device_fast", 0.1),
    ):
        share = simulated_runs.measured(bench, base, simulated_runs.card(factor))["share"]
        row = Row(f"busy share of a card {what}", "%", ours=100 * share)
        row.figures[figure] = share
        part.rows.append(row)
        bench.keep(part)
        bench.log(f"gpu-controls: a card {what} is busy {share:.0%}")
    return part
