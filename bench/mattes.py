"""How good the cut-outs are, beside rembg's from the same network: `python -m bench.mattes`.

Judged by drawn figures, whose alpha and colours are known, and by keyed footage. Prints a table
in Markdown: means over the pictures, smaller is better.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from bench import part_masks, peers, prepare
from bench.matte_metrics import composite_error, errors
from bench.measure import ROOT, PeerMissingError, run, task
from bench.prepare import Bench
from ferrari.images import image_files
from ferrari.ledger import tables
from tests.generator.render import render_frame
from tests.generator.spec import ClipSpec, FigureSpec

_FRAME, _MARGIN = 10, 16
_NEW_SCENE = "bokeh"
_METRICS = ("SAD", "median SAD", "MSE", "Grad", "Conn", "Colour")
_OURS = {
    "ours (default)": {},
    "ours, refined, colours as filmed": {"foreground": False},
    "ours, not refined": {"refine": False},
    "ours, not refined, colours as filmed": {"refine": False, "foreground": False},
}
_REMBG = {"rembg": (), "rembg -a": ("-a",), "rembg -dc": ("-dc",)}


@dataclass
class Judged:
    """A set of pictures with their truth: rows as of stage 2; alpha HxW uint8 by item.

    `over` holds, where the subject's colours are known, a new background and the subject itself
    before it, HxWx3 uint8 both, by item.
    """

    name: str
    rows: list[dict]
    truths: dict[str, np.ndarray]
    over: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def drawn(dataset: Path, count: int) -> Judged:
    """Drawn figures, cut as stage 2 cuts, and the same figures before another scene."""
    judged = Judged("drawn figures", [], {})
    for number in range(count):
        framing = ("full", "half", "close")[number % 3]
        scene = ("room", "outdoor", "street", "gallery")[number % 4]
        figure = FigureSpec(seed=7_000 + number, framing=framing)
        spec = ClipSpec(
            seed=7_100 + number, width=960, height=720, scenes=(scene,), figures=(figure,)
        )
        seen = render_frame(spec, _FRAME)
        moved = replace(spec, scenes=(_NEW_SCENE,))
        x1, y1, x2, y2 = seen.box_xyxy
        window = np.s_[max(0, y1 - _MARGIN) : y2 + _MARGIN, max(0, x1 - _MARGIN) : x2 + _MARGIN]
        item = f"drawn-f{number:06d}-p0"
        judged.rows.append(part_masks.crop_row(dataset, "drawn", item, seen.frame_rgb[window]))
        judged.truths[item] = seen.alpha_u8[window]
        judged.over[item] = (
            render_frame(replace(moved, figures=()), _FRAME).frame_rgb[window],
            render_frame(moved, _FRAME).frame_rgb[window],
        )
    return judged


def sets(dataset: Path, count: int) -> list[Judged]:
    """All that there is to judge by: the keyed footage only where it is shared."""
    found = [drawn(dataset, count)]
    if peers.shared():
        found.append(Judged("keyed footage", *part_masks.keyed(dataset, count)))
    return found


def cut_by_us(bench: Bench, dataset: Path, judged: Judged, weights: Path, **changed) -> Path:
    """Cut the set out with these `mask` settings; the folder of the cut-outs."""
    table = dataset / f"02_yolo_crops/{judged.name.split()[0]}.csv"
    tables.write_stage(table, "crop", judged.rows)
    settings = prepare.section("mask", weights=str(weights), device="cpu", **changed)
    task(
        "mask",
        tables=[table],
        dataset=dataset,
        out=dataset / "judged",
        weights=weights,
        settings={**settings, "min_subject": 0.0, "max_subject": 1.0},
        cache=bench.cache,
        threads=prepare.threads(),
    )
    return dataset / "judged" / table.stem


def cut_by_rembg(dataset: Path, judged: Judged, weights: Path, *options: str) -> Path:
    """Let rembg cut the set out; the folder of the cut-outs."""
    source = prepare.linked(dataset / "in", [dataset / row["path"] for row in judged.rows])
    target = dataset / "rembg"
    target.mkdir(exist_ok=True)
    for old in target.iterdir():
        old.unlink()
    env = peers.rembg_env(weights, dataset / "rembg_home")
    run(peers.rembg_folder(source, target, *options), env=env)
    return target


def judge(judged: Judged, folder: Path) -> dict[str, float]:
    """Means of the metrics over the set's pictures as they lie in `folder`, and the median SAD.

    A picture that is not there counts as all scene: nothing was cut out.
    """
    found = []
    for item, truth in judged.truths.items():
        path = folder / f"{item}.png"
        rgba = image_files.read(path) if path.exists() else np.zeros((*truth.shape, 4), np.uint8)
        figures = errors(rgba[..., 3], truth)
        if item in judged.over:
            figures["Colour"] = composite_error(rgba, *judged.over[item], truth / 255)
        found.append(figures)
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return {**means, "median SAD": float(np.median([one["SAD"] for one in found]))}


def contenders(bench: Bench, dataset: Path, isnet: Path) -> Mapping[str, partial]:
    """What cuts a set out, by name: ours in four ways, rembg in three, and the demo's network."""
    ours = partial(cut_by_us, bench, dataset)
    found = {
        name: partial(ours, weights=isnet, segmenter="isnet", **how) for name, how in _OURS.items()
    }
    square = {"segmenter": "isnet", "input": "square"}
    found["ours (default), input: square"] = partial(ours, weights=isnet, **square)
    demo = ROOT / "models/demo/person-seg_openvino_model"
    yolo = {"segmenter": "yolo-seg", "image_size": 320}
    found["ours (default), yolo-seg (demo's)"] = partial(ours, weights=demo, **yolo)
    for name, options in _REMBG.items():
        found[name] = lambda judged, options=options: cut_by_rembg(dataset, judged, isnet, *options)
    return found


def table(name: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A Markdown table of one set's figures."""
    head = ["", *_METRICS]
    lines = [f"**{name}**", "", f"| {' | '.join(head)} |", "|---|" + "---:|" * len(_METRICS)]
    for who, figures in rows.items():
        cells = [f"{figures[key]:.4g}" if key in figures else "-" for key in _METRICS]
        lines.append(f"| {who} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(given: Sequence[str] | None = None) -> int:
    """Cut all sets out by all contenders and print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.mattes", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--pictures", type=int, default=36, help="of each set, at most")
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "work")
    options = parser.parse_args(given)
    bench = Bench(options.work.resolve())
    try:
        isnet = peers.isnet_weights()
        peers.rembg()
    except PeerMissingError as missing:
        print(f"no table of mattes: {missing}")
        return 1
    dataset = bench.fresh("mattes")
    for judged in sets(dataset, options.pictures):
        figures = {}
        for name, cut in contenders(bench, dataset, isnet).items():
            figures[name] = judge(judged, cut(judged))
            print(f"{judged.name}: {name}: {figures[name]}", flush=True)
        print("\n" + table(f"{judged.name}, {len(judged.rows)} pictures", figures) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
