"""Stage 2 against `yolo predict` on the same frames and weights, and the network alone."""

from __future__ import annotations

import shutil
from collections import defaultdict
from functools import partial
from pathlib import Path

from bench import peers, prepare
from bench.measure import Cost, by_turns, process, ratio, run, shared_out, task, wall
from bench.prepare import Bench
from bench.reference import same_boxes
from bench.results import Part, Row, throughput_row
from ferrari.ledger import tables

_YOLO, _LEAN = "yolo predict", "yolo predict, crops alone (save=False)"
_STEADY = "ours, without start and loading"


def measure(bench: Bench) -> Part:
    """The commands as wholes; and, without start and loading, our distance to the network alone."""
    part = Part("detection")
    dataset = bench.fresh("detection")
    weights, name, size = peers.yolo_weights()
    clips = prepare.clips_with_people(bench, 3 if bench.quick else 10)
    rows = prepare.frames(dataset, clips, 15.0, 24 if bench.quick else 240)
    costs = _costs(bench, dataset, rows, weights, size)
    part.keep("detection", costs)
    part.rows = _rows(costs, len(rows), name)
    same = _same(bench, dataset, rows, weights, size)
    part.rows[0].figures["detection_same"] = same
    part.notes.append(
        f"{len(rows)} frames, {name} at {size} px; the boxes of {same:.1%} of the frames are "
        "those of the yolo command (as many, IoU over 0.98)"
    )
    return part


def _costs(bench: Bench, dataset: Path, rows, weights: Path, size: int) -> dict[str, list[Cost]]:
    one, full = (dataset / f"01_extracted_frames/{name}.csv" for name in ("one", "all"))
    tables.write_stage(one, "extract", rows[:1])
    tables.write_stage(full, "extract", rows)
    pictures = [dataset / row["path"] for row in rows]
    # What is read from the disk and compiled once counts for neither: weights, Python's modules.
    prepare.linked(dataset / "in", pictures[:1])
    _yolo(bench, dataset, weights, size)
    prepare.crop_task(bench, dataset, [one], weights, size)
    prepare.linked(dataset / "in", pictures)
    contenders = {
        "ours": partial(prepare.crop_task, bench, dataset, [full], weights, size),
        _YOLO: partial(_yolo, bench, dataset, weights, size),
        _LEAN: partial(_yolo, bench, dataset, weights, size, "save=False"),
        _STEADY: partial(prepare.crop_task, bench, dataset, [one, full], weights, size),
        "floor": partial(
            task,
            "network_alone",
            graph=weights,
            output=None,
            inputs=len(rows),
            size=size,
            threads=prepare.threads(),
        ),
    }
    return by_turns(bench.repeats, contenders, bench.log)


def _yolo(bench: Bench, dataset: Path, weights: Path, size: int, *more: str) -> Cost:
    out = dataset / "yolo"
    shutil.rmtree(out, ignore_errors=True)
    settings = prepare.detect_settings(weights, size)
    command = peers.yolo_predict(dataset / "in", weights, out, settings, *more)
    return run(command, cwd=dataset, env=peers.yolo_env(bench.cache))


def _rows(costs: dict[str, list[Cost]], count: int, name: str) -> list[Row]:
    ours, floor = process(costs["ours"]), costs["floor"]
    rows = [
        throughput_row(f"{count} frames, {name}", "frames/s", count, ours, peer, costs[peer])
        for peer in (_YOLO, _LEAN)
    ]
    rows[0].figures["detection_ratio"] = rows[0].ratio
    steady = shared_out(costs[_STEADY], count - 1)
    alone = shared_out(floor, count)
    row = Row(
        "frames, without start and loading",
        "frames/s",
        ours=1 / wall(steady),
        floor=1 / wall(alone),
    )
    row.over_floor = ratio(steady, alone).wall
    row.figures["detection_floor"] = 1 / row.over_floor
    return [*rows, row]


def _same(bench: Bench, dataset: Path, rows, weights: Path, size: int) -> float:
    """Share of the frames with the boxes that the yolo command finds."""
    prepare.crop_task(bench, dataset, [dataset / "01_extracted_frames/all.csv"], weights, size)
    ours = defaultdict(list)
    for row in tables.read_stage(dataset / "subject/detections/all.csv", "detect"):
        if row["x1"]:
            ours[row["parent"]].append([float(row[k]) for k in ("x1", "y1", "x2", "y2")])
    settings = prepare.detect_settings(weights, size)
    source = dataset / "in"
    theirs = task(
        "yolo_boxes", source=source, weights=weights, settings=settings, cache=bench.cache
    ).said
    same = [same_boxes(ours[row["item"]], theirs[Path(row["path"]).name]) for row in rows]
    return sum(same) / len(same)
