"""Stages 2 and 3 of the workflow with a simulated card: is it kept busy, and how much faster is
that than one job at a time that holds it?

The CPU's work is the real work. The card's times are those of an RTX 3090 beside 12 cores, made
longer as these cores are fewer and slower, so that the shares of time come out as there.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from bench import clips, prepare, simulated_card
from bench.measure import ROOT, run
from bench.prepare import Bench
from bench.results import Part, Row
from bench.simulated_card import Card
from ferrari.ledger import item_ids, tables
from ferrari.ledger.columns import KEPT

#: The card's times for a picture, in seconds, and those of a process that opens it.
YOLO_S, ISNET_S, START_S = 0.0005, 0.015, 5.0
#: The first user's machine, and how long its cores take for what takes these one second.
CORES, CORE_S = 12, 0.55
_NEW, _OLD = "one process a card", "one job at a time holds the card"


def measure(bench: Bench) -> Part:
    """Busy share and frames/s, today's structure beside the new one; controls."""
    part = Part("gpu-simulated")
    scale = CORES / CORE_S / prepare.threads()
    part.notes.append(
        f"The simulated card is an RTX 3090: {YOLO_S * 1000:g} ms a frame (YOLO11s), "
        f"{ISNET_S * 1000:g} ms a crop (ISNet), {START_S:g} s to start. The times for pictures are "
        f"{scale:.1f} times longer here, as {CORES} of its machine's cores do {scale:.1f} times "
        f"the work of these {prepare.threads()}; {2 * prepare.threads()} jobs at a time. Shares "
        "and frames/s are those between the card's first picture and its last. The job that holds "
        f"the card keeps about one core busy, so here the ratio of frames/s ends at about "
        f"{prepare.threads()}; it is judged on {CORES} cores or more."
    )
    groups = _groups(bench)
    bases = {name: _extracted(bench, name, raws) for name, raws in groups.items()}
    card = Card(YOLO_S * scale, ISNET_S * scale, START_S, 1, True, "")
    for name, base in bases.items():
        for devices in (1,) if bench.quick else (1, 2):
            given = replace(card, devices=devices)
            part.rows.extend(_compared(bench, base, name, given, judged=devices == 1))
            bench.keep(part)
    first = next(iter(bases))
    for what, factor in (("ten times slower", 10), ("ten times faster", 0.1)):
        given = replace(card, yolo_s=card.yolo_s * factor, isnet_s=card.isnet_s * factor)
        share = _measured(bench, bases[first], given)["share"]
        part.rows.append(
            Row(f"control, {first}: busy share of a card {what}", "%", ours=100 * share)
        )
        bench.log(f"gpu-simulated: a card {what} is busy {share:.0%}")
    return part


def _groups(bench: Bench) -> dict[str, list[Path]]:
    """Clips of one length by name. All are large: as many crops a core as the card would get."""
    if bench.quick:
        return {"short clips": clips.large_clips(bench.work, 3, 2)}
    return {
        "short clips": clips.large_clips(bench.work, 24, 2),
        "long clips": clips.large_clips(bench.work, 4, 20),
    }


def _extracted(bench: Bench, name: str, raws: Sequence[Path]) -> Path:
    """A folder in which the workflow has come as far as the frames of `raws`."""
    place = bench.fresh(f"simulated-{name.partition(' ')[0]}")
    weights = {kind: place / f"simulated.{kind}" for kind in ("pt", "onnx")}
    for path in weights.values():
        path.write_bytes(b"no weights: the card is simulated")
    pin = hashlib.sha256(weights["pt"].read_bytes()).hexdigest()
    overlay = {
        "raw_videos": str(prepare.linked(place / "raw", raws)),
        "cache": str(bench.cache),
        "extract": {"decoder": "cpu"},
        "detect": {"weights": "simulated.pt", "weights_sha256": pin, "duplicate_block": 0},
        "mask": {"weights": "simulated.onnx"},
    }
    (place / "bench.yaml").write_text(yaml.safe_dump(overlay))
    videos = [item_ids.video_id(raw.name) for raw in raws]
    (place / "targets").write_text("\n".join(videos))
    frames = [f"dataset/01_extracted_frames/{video}.csv" for video in videos]
    run([sys.executable, "-m", "snakemake", *_options(prepare.threads()), *frames], cwd=place)
    return place


def _options(cores: int) -> list[str]:
    return [
        *("--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)),
        *("--configfile", "bench.yaml", "--quiet", "rules", "host", "--"),
    ]


def _compared(bench: Bench, base: Path, name: str, card: Card, judged: bool) -> list[Row]:
    new = _measured(bench, base, card)
    old = _measured(bench, base, replace(card, shared=False))
    cards = f"{card.devices} card" + "s" * (card.devices > 1)
    bench.log(
        f"gpu-simulated: {name}, {cards}: busy {new['share']:.0%} and {old['share']:.0%}, "
        f"{new['fps']:.2f} and {old['fps']:.2f} frames/s"
    )
    share = Row(f"{name}, {cards}: busy share", "%", ours=100 * new["share"])
    share.peer_name, share.peer = _OLD, 100 * old["share"]
    frames = Row(f"{name}, {cards}: frames of stages 2 and 3", "frames/s", ours=new["fps"])
    frames.peer_name, frames.peer, frames.ratio = _OLD, old["fps"], new["fps"] / old["fps"]
    frames.note = f"{new['frames']:.0f} frames, {new['crops']:.0f} crops"
    if judged and name.startswith("long"):
        share.figures["device_busy"] = new["share"]
        if prepare.threads() >= CORES:
            frames.figures["device_ratio"] = frames.ratio
    return [share, frames]


def _measured(bench: Bench, base: Path, card: Card) -> dict[str, float]:
    """Stages 2 and 3 of the clips of `base` on the card."""
    place = bench.fresh("simulated-run")
    sockets = shutil.ignore_patterns("*.sock")  # of the server that has just ended, or is about to
    shutil.copytree(base, place, symlinks=True, dirs_exist_ok=True, ignore=sockets)
    card = replace(card, notes=str(place / "notes"))
    Path(card.notes).mkdir()
    described = simulated_card.to_file(card, place / "card.json")
    videos = (place / "targets").read_text().split()
    masks = [f"dataset/03_masked_subjects/{video}.csv" for video in videos]
    one = ["--set-resources", "crop:gpu=1", "mask:gpu=1", "--resources", f"gpu={card.devices}"]
    command = [sys.executable, "-m", "bench.simulated_card", str(described)]
    command += [*([] if card.shared else one), *_options(2 * prepare.threads()), *masks]
    run(command, cwd=place, env=prepare.bench_environment())
    crops = [row for mask in masks for row in tables.read_stage(place / mask, "mask")]
    if not crops or any(simulated_card.RUNTIME not in row["device"] for row in crops):
        raise RuntimeError("networks ran elsewhere than on the simulated card")
    if any(row["outcome"] != KEPT for row in crops):
        raise RuntimeError(f"{place}: crops were lost")
    searched = [
        row
        for video in videos
        for row in tables.read_stage(place / f"dataset/01_extracted_frames/{video}.csv", "extract")
    ]
    frames = len(tables.kept(searched))
    noted = simulated_card.busy(Path(card.notes))
    return {
        "share": noted["busy_s"] / noted["span_s"] / card.devices,
        "fps": frames / noted["span_s"],
        "frames": frames,
        "crops": len(crops),
    }
