"""Twenty short clips from file to cut-out: one `snakemake` against three commands in a script.

The commands cut out everybody. Ours is compared with them where it does as much: one person of each
frame, whoever it is, by the same networks. What it does by default, people told apart and the
subject alone cut out, has rows of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import yaml

from bench import clips, peers, prepare
from bench.measure import ROOT, Cost, PeerMissingError, by_turns, ratio, run, wall
from bench.prepare import Bench
from bench.results import Part, Row
from ferrari.ledger import item_ids

_OURS, _REFINED = "anybody's cut-outs", "anybody's, refined"
_DEFAULT, _FULL = "the subject's, refined (default)", "the default, to the packages"
_CHAIN = "ffmpeg + yolo + rembg"
#: Nobody is told from anybody else, as by the commands; they have no gate either.
_ANYBODY = {"subject": {"mode": "single", "voting_clips": 0}}
_PLAIN = {"mask": {"refine": False, "foreground": False, "person_gate": "off"}}
#: By so much may the cut-outs (or crops) of two differ for a ratio between them.
_ALIKE = 0.1


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
    ours = partial(_snakemake, bench, folder, source, isnet)
    if isnet:
        prepare.compile_matting(bench, isnet)
    contenders = {
        _OURS: partial(ours, targets, _ANYBODY | _PLAIN),
        _CHAIN: partial(_chain, bench, folder, source, isnet),
    }
    costs = by_turns(bench.repeats, contenders, bench.log)
    refined = {_REFINED: partial(ours, targets, _ANYBODY)} if isnet else {}
    once = {**refined, _DEFAULT: partial(ours, targets, {}), _FULL: partial(ours, [], {})}
    return costs | by_turns(1, once, bench.log)


def _snakemake(
    bench: Bench,
    folder: Path,
    source: Path,
    isnet: Path | None,
    targets: list[str],
    changed: Mapping[str, Mapping],
) -> Cost:
    """One run in an empty folder, on two cores, the settings as they come but for the weights and
    those that are `changed`, by section.
    """
    place = bench.fresh(f"{folder.name}/run")
    detector, _, size = peers.yolo_weights()
    mask = changed.get("mask", {})
    if isnet is None:
        mask = {**mask, "segmenter": "yolo-seg", "image_size": size}
    overlay = {
        **changed,
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
    made = place / "dataset"
    cut = made / ("03_masked_subjects" if isnet else "02_yolo_crops")
    return _with_output(run(command, cwd=place), made / "01_extracted_frames", cut)


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
    cost = run(command, cwd=out, env={**env, "PATH": os.environ["PATH"]})
    return _with_output(cost, out / "frames", out / ("masks" if isnet else "predict/crops"))


def _with_output(cost: Cost, frames: Path, cut: Path) -> Cost:
    """The cost, with how many frames and how many cut-outs (or crops) were made for it."""
    kinds = {".png", ".jpg"}
    count = sum(file.suffix in kinds for file in cut.rglob("*"))
    return replace(cost, said={"frames": len(list(frames.rglob("*.webp"))), "cut": count})


def alike(one: Cost, other: Cost) -> bool:
    """Whether two made as many cut-outs (or crops), but for a tenth: else no ratio is drawn."""
    counts = one.said["cut"], other.said["cut"]
    return min(counts) > 0 and max(counts) - min(counts) <= _ALIKE * max(counts)


def _rows(costs: dict[str, list[Cost]], count: int, whole: bool) -> list[Row]:
    peer, rows = _CHAIN if whole else "ffmpeg + yolo", []
    for who, ours in costs.items():
        if who == _CHAIN:
            continue
        chain = costs[_CHAIN][: len(ours)]
        row = Row(f"{count} short clips: {who}{_made(ours[0])}", "s", ours=wall(ours))
        row.peer_name, row.peer = f"{peer}{_made(chain[0])}", wall(costs[_CHAIN])
        if all(map(alike, ours, chain)):
            row.against(row.peer_name, row.peer, ratio(chain, ours))
        else:
            row.note = "not as many cut-outs: no ratio"
        rows.append(row)
    if whole and rows[0].ratio is not None:
        rows[0].figures["end_to_end_ratio"] = rows[0].ratio
    return rows


def _made(cost: Cost) -> str:
    return f" ({cost.said['cut']} of {cost.said['frames']} frames)"
