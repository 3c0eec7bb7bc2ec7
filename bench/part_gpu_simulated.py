"""The workflow with a simulated card: is it kept busy, and how much faster is that than one job
at a time that holds it? Stages 2 and 3 alone, and all stages from the raw clips to the captions.
What the simulation is worth, `part_gpu_controls` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench import clips, prepare, simulated_runs
from bench.prepare import Bench
from bench.results import Part, Row
from bench.simulated_card import Card

_NEW, _OLD = "one process a card", "one job at a time holds the card"


def measure(bench: Bench) -> Part:
    """Busy share and frames/s, today's structure beside the new one."""
    part = Part("gpu-simulated")
    part.notes.append(simulated_runs.described())
    part.notes.append(
        "Shares and frames/s of stages 2 and 3 are those between the card's first picture and its "
        "last, those of all stages over the whole run, Snakemake's start and the card's included. "
        "The job that holds the card keeps about one core busy, so here the ratio of frames/s ends "
        f"at about {prepare.threads()}; gpu-twelve judges it, on as many cores as its owner has."
    )
    groups = _groups(bench)
    bases = {name: simulated_runs.prepared(bench, name, raws) for name, raws in groups.items()}
    card = simulated_runs.card()
    for name, base in bases.items():
        for devices in (1,) if bench.quick else (1, 2):
            given = replace(card, devices=devices)
            part.rows.extend(_compared(bench, base, name, given, judged=devices == 1))
            bench.keep(part)
    for name, base in bases.items():
        part.rows.extend(_whole_compared(bench, base, name, card))
        bench.keep(part)
    return part


def _groups(bench: Bench) -> dict[str, list[Path]]:
    """Clips of one length by name. All are large: as many crops a core as the card would get.

    There are more clips than jobs at a time: with as many, all go in step, and the card idles while
    each is cut.
    """
    if bench.quick:
        return {"short clips": clips.large_clips(bench.work, 3, 2)}
    return {
        "short clips": clips.large_clips(bench.work, 24, 2),
        "long clips": clips.large_clips(bench.work, 6 * prepare.threads(), 10),
    }


def _compared(bench: Bench, base: Path, name: str, card: Card, judged: bool) -> list[Row]:
    """Rows of stages 2 and 3, from the card's first picture to its last."""
    new = simulated_runs.measured(bench, base, card)
    old = simulated_runs.measured(bench, base, replace(card, shared=False))
    cards = f"{card.devices} card" + "s" * (card.devices > 1)
    share, frames = _rows(bench, f"{name}, {cards}", "stages 2 and 3", new, old)
    if judged and name.startswith("long"):
        share.figures["device_busy"] = new["share"]
    return [share, frames]


def _whole_compared(bench: Bench, base: Path, name: str, card: Card) -> list[Row]:
    """Rows of all stages from the raw clips to the captions, over the whole run."""
    new, old = (
        simulated_runs.measured(bench, base / "raw_only", given, last="caption")
        for given in (card, replace(card, shared=False))
    )
    for figures in (new, old):
        stretch = figures["span_s"] / figures["run_s"]
        figures["share"] *= stretch
        figures["fps"] *= stretch
    return _rows(bench, f"{name}, all stages", "all stages", new, old)


def _rows(bench: Bench, name: str, what: str, new: Mapping, old: Mapping) -> list[Row]:
    bench.log(
        f"gpu-simulated: {name}: busy {new['share']:.0%} and {old['share']:.0%}, "
        f"{new['fps']:.2f} and {old['fps']:.2f} frames/s"
    )
    share = Row(f"{name}: busy share", "%", ours=100 * new["share"])
    share.peer_name, share.peer = _OLD, 100 * old["share"]
    share.note = new["waits"]
    frames = Row(f"{name}: frames of {what}", "frames/s", ours=new["fps"])
    frames.peer_name, frames.peer, frames.ratio = _OLD, old["fps"], new["fps"] / old["fps"]
    frames.note = f"{new['frames']:.0f} frames, {new['crops']:.0f} crops"
    return [share, frames]
