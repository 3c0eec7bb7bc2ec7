"""Stage 1 against an ffmpeg chain, decord, a plain PyAV loop, and decoding alone."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from bench import clips, peers, prepare
from bench.measure import Cost, PeerMissingError, by_turns, ratio, run, task, wall
from bench.prepare import Bench
from bench.results import Part, Row, throughput_row
from ferrari.ledger import tables

_DECORD, _PYAV = "decord get_batch", "PyAV full decode"
_FFMPEG, _TUNED = "ffmpeg chain", "ffmpeg chain, WebP method 2"


def measure(bench: Bench) -> Part:
    """All groups of clips; the goals are judged on the geometric mean of the long ones' ratios."""
    part = Part("extraction")
    groups = clips.footage(bench.work, bench.quick)
    if real := peers.people_clips():
        groups.append(clips.Group("ASL clips", tuple(real[: 3 if bench.quick else None])))
    ratios, over, same = {}, {}, []
    for group in groups:
        bench.log(f"extraction: {group.name}")
        costs, matching = _group(bench, group)
        same.append(matching)
        part.keep(group.name, costs)
        part.rows.extend(_rows(group, costs))
        part.notes.append(_output_note(group, costs))
        over[group.name] = ratio(costs["ours"], costs["floor"]).wall
        if _FFMPEG in costs:
            ratios[group.name] = ratio(costs[_FFMPEG], costs["ours"]).wall
    part.rows.insert(0, _headline(ratios, over, min(same)))
    if not ratios:
        part.notes.append("no ffmpeg: `make bench` sets up .venv-bench")
    return part


def _headline(ratios: Mapping[str, float], over: Mapping[str, float], same: float) -> Row:
    """The goals' row: geometric means over the clips of 10 s and more (all, where none is)."""
    row = Row("all long clips, geometric mean", "")
    if ratios:
        row.peer_name, row.ratio = _FFMPEG, _mean(ratios)
        row.figures["extraction_ratio"] = row.ratio
    row.over_floor = _mean(over)
    row.figures |= {"extraction_floor": row.over_floor, "extraction_same": same}
    return row


def _mean(figures: Mapping[str, float]) -> float:
    long = [v for name, v in figures.items() if name.endswith("0 s")] or list(figures.values())
    return math.exp(sum(map(math.log, long)) / len(long))


def _group(bench: Bench, group: clips.Group) -> tuple[dict[str, list[Cost]], float]:
    """Every contender's costs, and the share of clips in which we keep the reference's frames."""
    dataset = bench.fresh("extraction")
    raws, settings = list(group.clips), prepare.extract_settings()
    threads = prepare.threads()
    prepare.probed(dataset, raws)
    ours = partial(task, "extract", raws=raws, dataset=dataset, settings=settings, threads=threads)
    ours()  # the first run reads the clips from the disk for everybody
    kept = {n: tables.kept(rows) for n, rows in prepare.frame_rows(dataset, raws).items()}
    truth = task("reference_frames", raws=raws, settings=settings).said
    same = [[int(row["pts"]) for row in kept[name]] == pts for name, pts in truth.items()]
    wanted = {name: [int(row["frame"]) for row in rows] for name, rows in kept.items()}
    shared = {"raws": raws, "threads": threads}
    contenders = {
        "ours": partial(_counted, ours, dataset / "01_extracted_frames"),
        **_ffmpeg_contenders(dataset, raws, settings),
        _DECORD: partial(
            _into, dataset / "peer", "decord_batch", wanted=wanted, settings=settings, **shared
        ),
        _PYAV: partial(_into, dataset / "peer", "pyav_plain", settings=settings, **shared),
        "floor": partial(task, "decode_only", **shared),
    }
    return by_turns(bench.repeats, contenders, bench.log), sum(same) / len(same)


def _ffmpeg_contenders(dataset: Path, raws: list[Path], settings: dict) -> dict:
    try:
        peers.ffmpeg()
    except PeerMissingError:
        return {}
    return {
        _FFMPEG: partial(_ffmpeg, dataset / "peer", raws, settings, None),
        _TUNED: partial(_ffmpeg, dataset / "peer", raws, settings, 2),
    }


def _ffmpeg(folder: Path, raws: list[Path], settings: dict, method: int | None) -> Cost:
    """The chain on each clip in turn, one process a clip."""
    _empty(folder)
    costs = [run(peers.ffmpeg_chain(clip, folder, settings, method)) for clip in raws]
    return _with_output(
        Cost(*(sum(getattr(c, k) for c in costs) for k in ("wall_s", "cpu_s"))), folder
    )


def _into(folder: Path, name: str, **arguments) -> Cost:
    _empty(folder)
    return _with_output(task(name, out=folder, **arguments), folder)


def _counted(ours, folder: Path) -> Cost:
    return _with_output(ours(), folder)


def _with_output(cost: Cost, folder: Path) -> Cost:
    """The cost, with how many images were written and their bytes."""
    files = list(folder.rglob("*.webp"))
    said = {"images": len(files), "bytes": sum(file.stat().st_size for file in files)}
    return Cost(cost.wall_s, cost.cpu_s, cost.peak_mb, cost.process_s or cost.wall_s, said)


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _rows(group: clips.Group, costs: Mapping[str, list[Cost]]) -> list[Row]:
    amount, floor = group.frames, costs["floor"]
    return [
        throughput_row(group.name, "frames/s", amount, costs["ours"], name, peer, floor)
        for name, peer in costs.items()
        if name not in ("ours", "floor")
    ]


def _output_note(group: clips.Group, costs: Mapping[str, list[Cost]]) -> str:
    written = {name: each[0].said for name, each in costs.items() if "images" in each[0].said}
    parts = [
        f"{name} {said['images']} images, {said['bytes'] / 1e6:.1f} MB"
        for name, said in written.items()
    ]
    start = wall([Cost(c.process_s - c.wall_s, 0) for c in costs["ours"]])
    return f"{group.name}: {'; '.join(parts)}; start of our process {start:.2f} s, not counted"
