"""Peak memory of stage 1 against the length of the clip: it has to stay flat."""

from __future__ import annotations

from bench import clips, prepare
from bench.goals import LONG_S, SHORT_S
from bench.measure import Cost, median, task
from bench.prepare import Bench
from bench.results import Part, Row
from ferrari.ledger import tables


def measure(bench: Bench) -> Part:
    """A minute and two hours of the same footage; the largest process of each run."""
    part = Part("memory")
    long_s = 600 if bench.quick else LONG_S
    costs = {}
    for seconds in (SHORT_S, long_s):
        costs[seconds] = [_extract(bench, seconds, part)]
        peak = costs[seconds][0].peak_mb
        bench.log(f"memory: {seconds} s of footage, peak {peak:.0f} MB")
    part.keep("stage 1", {f"{seconds} s of footage": each for seconds, each in costs.items()})
    short, long = (median([c.peak_mb for c in costs[s]]) for s in (SHORT_S, long_s))
    row = Row(f"peak of stage 1, {long_s} s of footage", "MB", ours=long)
    row.peer_name, row.peer = f"{SHORT_S} s of footage", short
    if long_s == LONG_S:
        row.figures["memory_flat"] = long / short
    row.note = f"{long / short:.3f} of the short clip's"
    part.notes.append(f"{long_s} s against {SHORT_S} s: {long / short:.3f} of the peak")
    part.rows.append(row)
    return part


def _extract(bench: Bench, seconds: int, part: Part) -> Cost:
    dataset = bench.fresh("memory")
    clip = clips.long_clip(bench.work, seconds)
    prepare.probed(dataset, [clip])
    cost = task(
        "extract",
        raws=[clip],
        dataset=dataset,
        settings=prepare.extract_settings(),
        threads=prepare.threads(),
    )
    rows = prepare.frame_rows(dataset, [clip])[clip.name]
    kept = len(tables.kept(rows))
    part.notes.append(f"{seconds} s of footage: {kept} frames kept, {cost.wall_s:.0f} s")
    return cost
