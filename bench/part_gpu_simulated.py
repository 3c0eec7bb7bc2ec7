"""The workflow with a simulated card: is it kept busy, and how much faster is that than one job
at a time that holds it? Stages 2 and 3 alone, and all stages from the raw clips to the captions.

The CPU's work is the real work. The card's times are those of an RTX 3090 beside 12 cores, made
longer as these cores are fewer and slower, so that the shares of time come out as there.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from bench import clips, prepare, simulated_card
from bench.measure import ROOT, run
from bench.prepare import Bench
from bench.results import Part, Row
from bench.simulated_card import Card
from ferrari.ledger import item_ids, stages, tables
from ferrari.ledger.columns import KEPT

#: The card's times for a picture, in seconds, and those of a process that opens it.
YOLO_S, ISNET_S, SMALL_S, START_S = 0.0005, 0.015, 0.0003, 5.0
#: The first user's machine, and how long its cores take for what takes these one second.
CORES, CORE_S = 12, 0.55
_NEW, _OLD = "one process a card", "one job at a time holds the card"


def measure(bench: Bench) -> Part:
    """Busy share and frames/s, today's structure beside the new one; controls."""
    part = Part("gpu-simulated")
    scale = CORES / CORE_S / prepare.threads()
    part.notes.append(
        f"The simulated card is an RTX 3090: {YOLO_S * 1000:g} ms a frame (YOLO11s), "
        f"{ISNET_S * 1000:g} ms a crop (ISNet), {SMALL_S * 1000:g} ms a picture (faces, person "
        f"gate), {START_S:g} s to start. The times for pictures are "
        f"{scale:.1f} times longer here, as {CORES} of its machine's cores do {scale:.1f} times "
        f"the work of these {prepare.threads()}; {2 * prepare.threads()} jobs at a time. Shares "
        "and frames/s are those between the card's first picture and its last, those of all stages "
        "are over the whole run, Snakemake's start and the card's included. The job that holds "
        f"the card keeps about one core busy, so here the ratio of frames/s ends at about "
        f"{prepare.threads()}; it is judged on {CORES} cores or more."
    )
    groups = _groups(bench)
    bases = {name: _prepared(bench, name, raws) for name, raws in groups.items()}
    card = Card(YOLO_S * scale, ISNET_S * scale, SMALL_S * scale, START_S, 1, True, "")
    for name, base in bases.items():
        for devices in (1,) if bench.quick else (1, 2):
            given = replace(card, devices=devices)
            part.rows.extend(_compared(bench, base, name, given, judged=devices == 1))
            bench.keep(part)
    for name, base in bases.items():
        part.rows.extend(_whole_compared(bench, base, name, card))
        bench.keep(part)
    first = next(iter(bases))
    for what, factor in (("ten times slower", 10), ("ten times faster", 0.1)):
        times = {name: getattr(card, name) * factor for name in ("yolo_s", "isnet_s", "small_s")}
        given = replace(card, **times)
        share = _measured(bench, bases[first], given)["share"]
        part.rows.append(
            Row(f"control, {first}: busy share of a card {what}", "%", ours=100 * share)
        )
        bench.log(f"gpu-simulated: a card {what} is busy {share:.0%}")
    return part


def _groups(bench: Bench) -> dict[str, list[Path]]:
    """Clips of one length by name. All are large: as many crops a core as the card would get.

    There are more clips than jobs at a time (`_options`): with as many, all go in step, and the
    card idles while each is cut.
    """
    if bench.quick:
        return {"short clips": clips.large_clips(bench.work, 3, 2)}
    return {
        "short clips": clips.large_clips(bench.work, 24, 2),
        "long clips": clips.large_clips(bench.work, 6 * prepare.threads(), 10),
    }


def _prepared(bench: Bench, name: str, raws: Sequence[Path]) -> Path:
    """A folder in which the workflow has come as far as the frames of `raws`; nothing has run in
    the folder `raw_only` below it.
    """
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
    untouched = ("raw", "bench.yaml", "targets", *(path.name for path in weights.values()))
    for entry in untouched:
        _copied(place / entry, place / "raw_only" / entry)
    frames = [f"dataset/01_extracted_frames/{video}.csv" for video in videos]
    run([sys.executable, "-m", "snakemake", *_options(prepare.threads()), *frames], cwd=place)
    return place


def _copied(source: Path, target: Path) -> None:
    """A copy of a file or folder; links stay links, sockets are left out."""
    if source.is_dir():
        sockets = shutil.ignore_patterns("*.sock", "raw_only")  # of a server that has just ended
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True, ignore=sockets)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _options(cores: int) -> list[str]:
    return [
        *("--snakefile", str(ROOT / "Snakefile"), "--cores", str(cores)),
        *("--configfile", "bench.yaml", "--quiet", "rules", "host", "--"),
    ]


def _compared(bench: Bench, base: Path, name: str, card: Card, judged: bool) -> list[Row]:
    """Rows of stages 2 and 3, from the card's first picture to its last."""
    new = _measured(bench, base, card)
    old = _measured(bench, base, replace(card, shared=False))
    cards = f"{card.devices} card" + "s" * (card.devices > 1)
    share, frames = _rows(bench, f"{name}, {cards}", "stages 2 and 3", new, old)
    if judged and name.startswith("long"):
        share.figures["device_busy"] = new["share"]
        if prepare.threads() >= CORES:
            frames.figures["device_ratio"] = new["fps"] / old["fps"]
    return [share, frames]


def _whole_compared(bench: Bench, base: Path, name: str, card: Card) -> list[Row]:
    """Rows of all stages from the raw clips to the captions, over the whole run."""
    new, old = (
        _measured(bench, base / "raw_only", given, last="caption")
        for given in (card, replace(card, shared=False))
    )
    for figures in (new, old):
        stretch = figures["span_s"] / figures["run_s"]
        figures["share"] *= stretch
        figures["fps"] *= stretch
    return _rows(bench, f"{name}, all stages", "all stages", new, old)


def _rows(
    bench: Bench, name: str, what: str, new: Mapping[str, float], old: Mapping[str, float]
) -> list[Row]:
    bench.log(
        f"gpu-simulated: {name}: busy {new['share']:.0%} and {old['share']:.0%}, "
        f"{new['fps']:.2f} and {old['fps']:.2f} frames/s"
    )
    share = Row(f"{name}: busy share", "%", ours=100 * new["share"])
    share.peer_name, share.peer = _OLD, 100 * old["share"]
    frames = Row(f"{name}: frames of {what}", "frames/s", ours=new["fps"])
    frames.peer_name, frames.peer, frames.ratio = _OLD, old["fps"], new["fps"] / old["fps"]
    frames.note = f"{new['frames']:.0f} frames, {new['crops']:.0f} crops"
    return [share, frames]


def _measured(bench: Bench, base: Path, card: Card, last: str = "mask") -> dict[str, float]:
    """The workflow in a copy of `base`, up to the stage `last` of all its clips, on the card."""
    place = bench.fresh("simulated-run")
    _copied(base, place)
    card = replace(card, notes=str(place / "notes"))
    Path(card.notes).mkdir()
    described = simulated_card.to_file(card, place / "card.json")
    videos = (place / "targets").read_text().split()
    one = ["--set-resources", "detect:gpu=1", "mask:gpu=1", "--resources", f"gpu={card.devices}"]
    command = [sys.executable, "-m", "bench.simulated_card", str(described)]
    command += [*([] if card.shared else one), *_options(2 * prepare.threads())]
    command += [f"dataset/{stages.table(last, video)}" for video in videos]
    began = time.monotonic()
    run(command, cwd=place, env=prepare.bench_environment())
    run_s = time.monotonic() - began
    crops = _all_rows(place, "mask", videos)
    if not crops or any(simulated_card.RUNTIME not in row["device"] for row in crops):
        raise RuntimeError("networks ran elsewhere than on the simulated card")
    if any(row["outcome"] != KEPT for row in crops):
        raise RuntimeError(f"{place}: crops were lost")
    frames = len(tables.kept(_all_rows(place, "extract", videos)))
    noted = simulated_card.busy(Path(card.notes))
    return {
        "share": noted["busy_s"] / noted["span_s"] / card.devices,
        "fps": frames / noted["span_s"],
        "span_s": noted["span_s"],
        "run_s": run_s,
        "frames": frames,
        "crops": len(crops),
    }


def _all_rows(place: Path, stage: str, videos: Sequence[str]) -> list[tables.Row]:
    """The rows of a stage's tables of all clips."""
    dataset = place / "dataset"
    return [
        row
        for video in videos
        for row in tables.read_stage(dataset / stages.table(stage, video), stage)
    ]
