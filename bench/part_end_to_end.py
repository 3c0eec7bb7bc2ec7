"""Twenty short clips from file to cut-out: one `snakemake` against three commands in a script."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import yaml

from bench import clips, peers, prepare
from bench.measure import ROOT, Cost, PeerMissingError, by_turns, ratio, run, wall
from bench.prepare import Bench
from bench.results import Part, Row
from ferrari.ledger import item_ids

_OURS, _REFINED, _FULL = "ours, to the cut-outs", "ours, refined (default)", "ours, everything"
_CHAIN = "ffmpeg + yolo + rembg"


def measure(bench: Bench) -> Part:
    """Everything counts: interpreters, loading of models, the workflow's own bookkeeping."""
    part = Part("end_to_end")
    raws = _clips(bench, 4 if bench.quick else 20)
    folder = bench.fresh("end_to_end")
    source = prepare.linked(folder / "clips", raws)
    isnet = _isnet()
    costs = _costs(bench, folder, source, raws, isnet)
    part.keep("end to end", costs)
    part.rows = _rows(costs, len(raws), bool(isnet))
    if isnet is None:
        part.notes.append("no weights of ISNet: both sides end at the crops, no goal is judged")
    output = list((folder / "chain").rglob("*.png")), list((folder / "chain/frames").iterdir())
    made = len(list((folder / "run/dataset/03_masked_subjects").rglob("*.png")))
    part.notes.append(
        f"frames and cut-outs of the chain: {len(output[1])}, {len(output[0])}; our last run: "
        f"{len(list((folder / 'run/dataset/01_extracted_frames').rglob('*.webp')))}, {made}"
    )
    return part


def _clips(bench: Bench, count: int) -> list[Path]:
    """The real clips, each as it is and mirrored; the bench's own where none are shared."""
    real = peers.people_clips()
    if not real:
        return clips.short_clips(bench.work, count)
    again = [
        clips.mirrored(clip, bench.work / "clips-real" / f"{clip.stem}_mirrored.mp4")
        for clip in real
    ]
    pairs = [clip for pair in zip(real, again, strict=True) for clip in pair]
    return pairs[:count]


def _isnet() -> Path | None:
    try:
        peers.rembg()
        return peers.isnet_weights()
    except PeerMissingError:
        return None


def _costs(
    bench: Bench, folder: Path, source: Path, raws: Sequence[Path], isnet: Path | None
) -> dict[str, list[Cost]]:
    stage = "03_masked_subjects" if isnet else "02_yolo_crops"
    targets = [f"dataset/{stage}/{item_ids.video_id(raw.name)}.csv" for raw in raws]
    plain = {"refine": False, "foreground": False}
    ours = partial(_snakemake, bench, folder, source, isnet)
    if isnet:
        prepare.compile_matting(bench, isnet)
    contenders = {
        _OURS: partial(ours, targets, plain),
        _CHAIN: partial(_chain, bench, folder, source, isnet),
    }
    costs = by_turns(bench.repeats, contenders, bench.log)
    once = {_REFINED: partial(ours, targets, {})} if isnet else {}
    once[_FULL] = partial(ours, [], {})
    return costs | by_turns(1, once, bench.log)


def _snakemake(
    bench: Bench, folder: Path, source: Path, isnet: Path | None, targets: list[str], mask: dict
) -> Cost:
    """One run in an empty folder, on two cores, the settings as they come but for the weights."""
    place = bench.fresh(f"{folder.name}/run")
    detector, _, size = peers.yolo_weights()
    if isnet is None:
        mask = {**mask, "segmenter": "yolo-seg", "image_size": size}
    overlay = {
        "raw_videos": str(source),
        "cache": str(bench.cache),
        "extract": {"decoder": "cpu"},
        "detect": {"weights": str(detector), "image_size": size, "device": "cpu"},
        "mask": {"weights": str(isnet or detector), "device": "cpu", **mask},
        "qc": {"enforce": False},
    }
    (place / "bench.yaml").write_text(yaml.safe_dump(overlay))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", *targets]
    command += ["--cores", "2", "--configfile", "bench.yaml", "--quiet", "rules", "host"]
    return run(command, cwd=place)


def _chain(bench: Bench, folder: Path, source: Path, isnet: Path | None) -> Cost:
    out = bench.fresh(f"{folder.name}/chain")
    detector, _, size = peers.yolo_weights()
    extract, detect = prepare.extract_settings(), prepare.section("detect")
    env = peers.yolo_env(bench.cache)
    if isnet:
        env = env | peers.rembg_env(isnet, bench.work / "rembg_home")
    figures = [extract["fps"], extract["webp_quality"], size, detect["confidence"], detect["iou"]]
    command = [
        *(ROOT / "bench/chain.sh", source, out, detector, peers.ffmpeg(), peers.yolo()),
        *(peers.rembg() if isnet else "none", *map(str, figures)),
    ]
    return run(command, cwd=out, env={**env, "PATH": os.environ["PATH"]})


def _rows(costs: dict[str, list[Cost]], count: int, whole: bool) -> list[Row]:
    rows, peer = [], _CHAIN if whole else "ffmpeg + yolo"
    for who, ours in costs.items():
        if who != _CHAIN:
            row = Row(f"{count} short clips: {who.removeprefix('ours, ')}", "s", ours=wall(ours))
            chain = costs[_CHAIN][: len(ours)]
            rows.append(row.against(peer, wall(costs[_CHAIN]), ratio(chain, ours)))
    if whole:
        rows[0].figures["end_to_end_ratio"] = rows[0].ratio
    return rows
